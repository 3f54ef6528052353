"""A local LM as an `outlines.models.Model`, for users of Outlines without DSPy.

Outlines' own ``Generator`` knows a closed list of models and refuses others, so the model compiles
output types itself: with llguidance, compact JSON, a matcher for each row.
"""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from outlines.generator import BlackBoxGenerator
from outlines.inputs import Chat
from outlines.models.base import Model, ModelTypeAdapter
from outlines.processors import OutlinesLogitsProcessor
from outlines.types import JsonSchema
from outlines.types.dsl import python_types_to_terms

from structq.engines.local import Call, LocalLM
from structq.engines.onnx import OnnxRuntime
from structq.engines.rows import Answer, Logits
from structq.engines.sampling import Sampling
from structq.errors import InputError

__all__ = ["OnnxModel"]

_Input = str | Chat


class OnnxModel(Model):
    """A decoder on onnxruntime behind Outlines' model interface.

    Prompts are strings (one user turn) or `outlines.inputs.Chat`. Output types are pydantic models,
    dataclasses, typed dicts, `outlines.types.JsonSchema`, a dict that is a JSON Schema, or an
    Outlines logits processor for numpy; ``None`` leaves the text free. Objects get no keys beyond
    those that the type names. Settings of a call are ``max_tokens``, ``temperature`` (0),
    ``top_p``, ``top_k``, ``seed`` and ``stop``.

    Args:
        lm: A folder with ``model.onnx``, ``tokenizer.json`` and ``model.json``, or an open LM.

    Example:
        >>> model = OnnxModel("path/to/lm")  # doctest: +SKIP
        >>> model("Name a colour.", {"enum": ["red", "blue"]}, max_tokens=8)  # doctest: +SKIP
        '"blue"'
    """

    tensor_library_name = "numpy"

    def __init__(self, lm: str | Path | LocalLM) -> None:
        self.lm = lm if isinstance(lm, LocalLM) else LocalLM(OnnxRuntime(lm))
        self.type_adapter = _TypeAdapter()

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
        return self.lm.submit(self._call(model_input, output_type, settings)).result().text

    def generate_batch(
        self, model_input: list[_Input], output_type: Any = None, **settings: Any
    ) -> list[str]:
        """The answers to several prompts, in order; they share the passes of the LM."""
        if isinstance(output_type, OutlinesLogitsProcessor):
            # A processor holds the state of one generation.
            return [self.generate(one, output_type, **settings) for one in model_input]
        calls = [self._call(one, output_type, settings) for one in model_input]
        return [future.result().text for future in self.lm.submit_all(calls)]

    def generate_stream(
        self, model_input: _Input, output_type: Any = None, **settings: Any
    ) -> Iterator[str]:
        """The answer in pieces as it grows; leaving the iterator cancels the row."""
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        call = self._call(model_input, output_type, settings)
        growing = _Growing(self.lm, pieces)
        future = self.lm.submit(replace(call, listen=growing))
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
        shape: dict[str, Any] = {"schema": self.type_adapter.format_output_type(output_type)}
        if isinstance(output_type, OutlinesLogitsProcessor):
            output_type.reset()  # type: ignore[no-untyped-call]
            prompt = self.lm.encode(turns)
            shape = {"constraint": _Processed(output_type, prompt)}
        return Call(
            messages=turns,
            sampling=Sampling(**settings),
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

    def format_output_type(self, output_type: Any = None) -> dict[str, Any] | None:
        if output_type is None or isinstance(output_type, OutlinesLogitsProcessor):
            return None
        if isinstance(output_type, dict):
            return _closed(output_type)
        term = python_types_to_terms(output_type)
        if not isinstance(term, JsonSchema):
            raise InputError(
                f"unknown output type: {output_type!r} (a pydantic model, dataclass, typed dict, "
                "JsonSchema, JSON Schema as dict, or numpy logits processor is allowed)",
                field="output_type",
            )
        return _closed(json.loads(term.schema))


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


class _Processed:
    """An Outlines logits processor as the constraint of one row."""

    is_complete = False

    def __init__(self, processor: OutlinesLogitsProcessor, prompt: Sequence[int]) -> None:
        self._processor = processor
        self._tokens = list(prompt)

    def apply(self, logits: Logits) -> None:
        allowed = self._processor(np.array([self._tokens]), logits[None])
        logits[:] = np.asarray(allowed)[0]

    def consume(self, token: int) -> None:
        self._tokens.append(token)

    def forced(self) -> list[int]:
        return []


class _Growing:
    """Turns growing token lists into the pieces of text that are new and whole."""

    def __init__(self, lm: LocalLM, pieces: queue.SimpleQueue[str | None]) -> None:
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
    future: Future[Answer], growing: _Growing, pieces: queue.SimpleQueue[str | None]
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
    if backend not in (None, "llguidance"):
        raise InputError(
            f"unknown backend: {backend!r} (only 'llguidance' keeps the bounds of a schema)",
            field="backend",
        )
