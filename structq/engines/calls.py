"""One prompt and what may answer it: what the doors of a local LM hand to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from outlines.processors import OutlinesLogitsProcessor
from outlines.types import JsonSchema

from structq.decoding import SlotPlan, TextRules, schema_text
from structq.engines.sampling import Sampling
from structq.errors import SchemaError

__all__ = ["Call", "json_schema"]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One prompt and what may answer it."""

    messages: Sequence[tuple[str, str]]
    """``(role, text)`` turns, the oldest first."""
    output_type: JsonSchema | None = None
    """The JSON Schema of the answer as Outlines' output type; free text without one."""
    text: TextRules | None = None
    """What the text of the answer must be; with the schema of that one text, or none."""
    spaced: bool = True
    """JSON as ``json.dumps`` spaces it; else compact."""
    processor: OutlinesLogitsProcessor | None = None
    """In place of a schema: a processor of the caller's own, for numpy. Serves this call alone."""
    measure: bool = False
    """Measure the label slots of the schema instead of generating."""
    slots: SlotPlan | None = None
    """In place of a schema: the fixed text and the slots of an answer to be measured."""
    sampling: Sampling = field(default_factory=Sampling)
    """How tokens, or labels, are chosen."""
    max_tokens: int | None = None
    """Most tokens of the answer; the window limits it in any case."""
    stop: tuple[str, ...] = ()
    """Free text ends before the first of these."""
    listen: Callable[[Sequence[int]], None] | None = None
    """Called in the worker with the tokens so far whenever the row has new ones."""


def json_schema(schema: Mapping[str, Any]) -> JsonSchema:
    """A JSON Schema as Outlines' output type, made once for each schema.

    Raises:
        SchemaError: It is not JSON, or no schema.
    """
    return _json_schema(schema_text(schema))


@lru_cache(maxsize=512)
def _json_schema(text: str) -> JsonSchema:
    try:
        return JsonSchema(text)
    except Exception as error:  # of the package that Outlines checks schemas with
        reason = str(error).partition("\n")[0]
        raise SchemaError(f"the schema is no JSON Schema: {reason}", keyword="schema") from error
