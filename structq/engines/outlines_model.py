"""What makes a local LM an `outlines.models.Model`: its prompts, output types and generations.

Outlines' own ``Generator`` knows a closed list of models and refuses others; ``generator`` is its
stand-in here.
"""

from __future__ import annotations

import json
import queue
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from outlines.generator import BlackBoxGenerator
from outlines.inputs import Chat
from outlines.models.base import Model, ModelTypeAdapter
from outlines.processors import OutlinesLogitsProcessor
from outlines.types import JsonSchema
from outlines.types.dsl import python_types_to_terms

from structq.decoding.processor import json_schema
from structq.engines.calls import Call, Completion
from structq.engines.sampling import Sampling
from structq.errors import InputError

__all__ = ["LocalModel"]

_Input = str | Chat


class LocalModel(Model):
    """The Outlines side of a local LM, ``structq.lm("nano").engine.lm`` for one.

    Prompts are strings (one user turn) or `outlines.inputs.Chat`. Output types are pydantic models,
    dataclasses, typed dicts, `outlines.types.JsonSchema`, a dict that is a JSON Schema, or an
    Outlines logits processor for numpy; ``None`` leaves the text free. Objects get no keys beyond
    those that the type names. Settings of a call are ``max_tokens``, ``temperature`` (0),
    ``top_p``, ``top_k``, ``seed`` and ``stop``.

    Example:
        >>> model = structq.lm("nano").engine.lm
        >>> model("Name a colour.", {"enum": ["red", "blue"]}, max_tokens=8)
        '"red"'
    """

    tensor_library_name = "numpy"
    form: str
    """How the LM writes answers best."""

    def __init__(self) -> None:
        self.type_adapter = _TypeAdapter()

    @abstractmethod
    def submit(self, call: Call) -> Future[Completion]:
        """Queues a call."""

    @abstractmethod
    def submit_all(self, calls: Sequence[Call]) -> list[Future[Completion]]:
        """Queues calls together; futures in order."""

    @abstractmethod
    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Tokens of a prompt."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens."""

    def __call__(
        self,
        model_input: _Input,
        output_type: Any = None,
        backend: str | None = None,
        **inference_kwargs: Any,
    ) -> str:
        """The answer to one prompt."""
        _check_backend(backend)
        return self.generate(model_input, output_type, **inference_kwargs)

    def batch(
        self,
        model_input: list[_Input],
        output_type: Any = None,
        backend: str | None = None,
        **inference_kwargs: Any,
    ) -> list[str]:
        """The answers to several prompts, in order."""
        _check_backend(backend)
        return self.generate_batch(model_input, output_type, **inference_kwargs)

    def stream(
        self,
        model_input: _Input,
        output_type: Any = None,
        backend: str | None = None,
        **inference_kwargs: Any,
    ) -> Iterator[str]:
        """The answer to one prompt in pieces."""
        _check_backend(backend)
        return self.generate_stream(model_input, output_type, **inference_kwargs)

    def generator(self, output_type: Any = None) -> BlackBoxGenerator:
        """What ``outlines.Generator(model, output_type)`` is for the models that it knows."""
        return BlackBoxGenerator(self, output_type)  # type: ignore[arg-type]

    def generate(self, model_input: _Input, output_type: Any = None, **settings: Any) -> str:
        """The answer to one prompt; raises as `LocalLM.submit` does."""
        return self.submit(self._call(model_input, output_type, settings)).result().text

    def generate_batch(
        self, model_input: list[_Input], output_type: Any = None, **settings: Any
    ) -> list[str]:
        """The answers to several prompts, in order; they share the passes of the LM."""
        if isinstance(output_type, OutlinesLogitsProcessor):
            # A processor holds the state of one generation.
            return [self.generate(one, output_type, **settings) for one in model_input]
        calls = [self._call(one, output_type, settings) for one in model_input]
        return [future.result().text for future in self.submit_all(calls)]

    def generate_stream(
        self, model_input: _Input, output_type: Any = None, **settings: Any
    ) -> Iterator[str]:
        """The answer in pieces as it grows; leaving the iterator cancels the row."""
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        call = self._call(model_input, output_type, settings)
        growing = _Growing(self, pieces)
        future = self.submit(replace(call, listen=growing))
        future.add_done_callback(lambda _: pieces.put(None))
        return _pieces(future, growing, pieces)

    def _call(self, model_input: _Input, output_type: Any, settings: dict[str, Any]) -> Call:
        turns = self.type_adapter.format_input(model_input)
        known = {"max_tokens", "stop", "temperature", "top_p", "top_k", "seed"}
        if unknown := sorted(settings.keys() - known):
            raise InputError(
                f"unknown settings: {unknown} ({', '.join(sorted(known))} are allowed)",
                field=unknown[0],
            )
        stop = settings.pop("stop", None) or ()
        limit = settings.pop("max_tokens", None)
        shape: dict[str, Any] = {"output_type": self.type_adapter.format_output_type(output_type)}
        if isinstance(output_type, OutlinesLogitsProcessor):
            output_type.reset()  # type: ignore[no-untyped-call]
            shape = {"processor": output_type}
        return Call(
            messages=turns,
            sampling=Sampling(**settings),
            spaced=self.form != "compact",
            max_tokens=limit,
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
            **shape,
        )


class _TypeAdapter(ModelTypeAdapter):
    """Outlines' inputs to turns, and its output types to JSON Schema."""

    def format_input(self, model_input: Any) -> list[tuple[str, str]]:
        if isinstance(model_input, str):
            return [("user", model_input)]
        if not isinstance(model_input, Chat):
            raise InputError(
                f"a prompt is a string or a Chat: found {type(model_input).__name__}",
                field="model_input",
            )
        turns = [(str(turn["role"]), turn["content"]) for turn in model_input.messages]
        if not all(isinstance(text, str) for _, text in turns):
            raise InputError("every turn of a Chat must be text", field="model_input")
        return turns

    def format_output_type(self, output_type: Any = None) -> JsonSchema | None:
        if output_type is None or isinstance(output_type, OutlinesLogitsProcessor):
            return None
        if isinstance(output_type, dict):
            return json_schema(_closed(output_type))
        term = python_types_to_terms(output_type)
        if not isinstance(term, JsonSchema):
            raise InputError(
                f"unknown output type: {output_type!r} (a pydantic model, dataclass, typed dict, "
                "JsonSchema, JSON Schema as dict, or numpy logits processor is allowed)",
                field="output_type",
            )
        return json_schema(_closed(json.loads(term.schema)))


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with objects closed that do not say whether they are: no key is made up."""
    closed = {name: _closed_under(name, value) for name, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        closed.setdefault("additionalProperties", False)
    return closed


def _closed_under(keyword: str, value: Any) -> Any:
    if keyword in {"properties", "$defs", "definitions"} and isinstance(value, dict):
        return {name: _closed_under("items", inner) for name, inner in value.items()}
    if keyword in {"anyOf", "prefixItems"} and isinstance(value, list):
        return [_closed_under("items", inner) for inner in value]
    is_schema = keyword in {"items", "additionalProperties"} and isinstance(value, dict)
    return _closed(value) if is_schema else value


class _Growing:
    """Turns growing token lists into the pieces of text that are new and whole."""

    def __init__(self, lm: LocalModel, pieces: queue.SimpleQueue[str | None]) -> None:
        self._lm = lm
        self._pieces = pieces
        self.said = ""

    def __call__(self, tokens: Sequence[int]) -> None:
        # A character that is not whole yet decodes to U+FFFD: wait for its other bytes.
        self.say(self._lm.decode(tokens).rstrip("\ufffd"))

    def say(self, text: str) -> None:
        if text.startswith(self.said) and len(text) > len(self.said):
            self._pieces.put(text[len(self.said) :])
            self.said = text


def _pieces(
    future: Future[Completion], growing: _Growing, pieces: queue.SimpleQueue[str | None]
) -> Iterator[str]:
    try:
        while (piece := pieces.get()) is not None:
            yield piece
        text = future.result().text
        if text != growing.said:
            yield text[len(growing.said) :]
    finally:
        future.cancel()


def _check_backend(backend: str | None) -> None:
    if backend not in (None, "structq", "llguidance"):
        raise InputError(
            f"unknown backend: {backend!r} ('structq' alone keeps the bounds of a schema)",
            field="backend",
        )
