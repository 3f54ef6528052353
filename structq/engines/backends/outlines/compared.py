"""Outlines' own backends in place of structq's, to compare them: what each drops is said first.

A keyword that a backend drops is one whose values it does not enforce: an answer may break the
schema. Found with outlines_core 0.2.14, xgrammar 0.2.8 and llguidance 1.9.1, each against an
independent validator. All three also allow white space between the tokens of JSON where the model
likes it, llguidance and xgrammar without end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from outlines.backends import LLGuidanceBackend, OutlinesCoreBackend, XGrammarBackend
from outlines.backends.base import BaseBackend
from outlines.processors import OutlinesLogitsProcessor
from outlines.types import JsonSchema

from structq.decoding.processor import ForeignProcessor
from structq.decoding.tensors import from_numpy, to_numpy
from structq.engines.backends.outlines.driven import Generations
from structq.engines.backends.outlines.steerable import SteerableRuntime
from structq.engines.calls import Call
from structq.engines.local import LocalLM
from structq.errors import InputError, SchemaError

__all__ = ["BACKENDS", "DROPPED", "ComparedLM"]

BACKENDS: Mapping[str, Any] = {
    "outlines_core": OutlinesCoreBackend,
    "xgrammar": XGrammarBackend,
    "llguidance": LLGuidanceBackend,
}
"""Those of Outlines, by the names that it gives them."""

_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
DROPPED: Mapping[str, frozenset[str]] = {
    "outlines_core": frozenset({*_NUMBERS, "uniqueItems", "not", "prefixItems"}),
    "xgrammar": frozenset({"maxLength", "uniqueItems", "not", "allOf"}),
    "llguidance": frozenset(),
}
"""Keywords that each accepts and does not enforce, or not everywhere; it refuses others itself."""

_OF_NAMES = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_OF_VALUES = frozenset({"enum", "const", "default", "examples", "required"})


class ComparedLM(LocalLM):
    """A local LM whose answers with a schema are held by a backend of Outlines, and not by ours.

    Args:
        runtime: Of the model.
        model: The model of Outlines; its backends know three kinds.
        backend: ``"outlines_core"``, ``"xgrammar"`` or ``"llguidance"``.
        allow_unsound: Answer schemas with keywords that the backend drops.

    Raises:
        InputError: The backend is not known, or its package is missing.
    """

    def __init__(
        self, runtime: SteerableRuntime, model: Any, *, backend: str, allow_unsound: bool
    ) -> None:
        self._model = model
        self._name = backend
        self._backend = _made(backend, model)
        self._allow_unsound = allow_unsound
        self._made: dict[str, OutlinesLogitsProcessor] = {}
        super().__init__(runtime, scheduler=Generations(runtime))
        self.form = "json"

    def _processor(self, call: Call) -> Any:
        if call.processor is not None or call.output_type is None:
            return super()._processor(call)
        processor = self._processor_of(call.output_type)
        return _Elsewhere(processor, self._model.tensor_library_name)

    def _processor_of(self, schema: JsonSchema) -> OutlinesLogitsProcessor:
        """The backend's processor of a schema, compiled once: that takes it up to a second."""
        with self._lock:
            if schema.schema not in self._made:
                self._check(json.loads(schema.schema))
                try:
                    made = self._backend.get_json_schema_logits_processor(schema.schema, None)
                except Exception as error:  # of the backend's own making
                    reason = str(error).partition("\n")[0]
                    raise SchemaError(
                        f"{self._name} refuses the schema: {reason}", keyword="schema"
                    ) from error
                self._made[schema.schema] = made
            return self._made[schema.schema]

    def _check(self, schema: Mapping[str, Any]) -> None:
        dropped = next((word for word in _keywords(schema) if word in DROPPED[self._name]), None)
        if dropped is not None and not self._allow_unsound:
            raise SchemaError(
                f"{self._name} does not enforce this of the schema: {dropped!r} (structq's own "
                "backend does; allow_unsound=True answers all the same)",
                keyword=dropped,
            )


class _Elsewhere(ForeignProcessor):
    """A processor of another tensor library, in the rows of structq."""

    def __init__(self, processor: OutlinesLogitsProcessor, library: str) -> None:
        super().__init__(processor)
        self._library = library
        self._has_begun = False

    def process_logits(self, input_ids: Any, logits: Any) -> Any:
        """What the other makes of the logits."""
        if not self._has_begun:
            # It serves one row after the other; Outlines resets it before a generation.
            self._processor.reset()  # type: ignore[no-untyped-call]
            self._has_begun = True
        ids, tensor = _tensors(input_ids, logits, self._library)
        return to_numpy(self._processor(ids, tensor), self._library)


def _tensors(input_ids: Any, logits: Any, library: str) -> tuple[Any, Any]:
    if library == "torch":
        import torch

        return torch.from_numpy(input_ids), torch.from_numpy(logits)
    if library == "mlx":
        import mlx.core as mx

        return mx.array(input_ids), mx.array(logits)
    return input_ids, from_numpy(logits, logits, library)


def _made(name: str, model: Any) -> BaseBackend:
    if name not in BACKENDS:
        raise InputError(
            f"unknown backend: {name!r} ({', '.join(BACKENDS)} are allowed; structq's own is the "
            "default)",
            field="backend",
        )
    try:
        made: BaseBackend = BACKENDS[name](model)
    except ImportError as error:
        raise InputError(
            f"the backend {name!r} needs another package: {error}", field="backend"
        ) from error
    return made


def _keywords(schema: Any) -> Iterator[str]:
    """The keywords of a schema and of the schemas in it."""
    if isinstance(schema, list):
        for one in schema:
            yield from _keywords(one)
    if not isinstance(schema, Mapping):
        return
    for word, value in schema.items():
        yield word
        if word in _OF_NAMES and isinstance(value, Mapping):
            yield from _keywords(list(value.values()))
        elif word not in _OF_VALUES:
            yield from _keywords(value)
