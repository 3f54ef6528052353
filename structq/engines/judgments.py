"""Judgments: the part of DSPy's canonical requests that asks for probabilities and not for text.

A judgment is a top-level property of the schema with declared answers: a boolean, an enum of texts,
or an enum of the integers 0..n-1. ``config.probabilities`` says whether their distributions are
wanted. Knows nothing of LMs; `pair` measures what is read here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dspy.lm15 import DataPart, Request, UnsupportedFeatureError

from structq.engines.calls import MeasuredSlot

__all__ = ["Judgments", "judged", "judgment_schema", "read_judgments", "wanted_judgments"]

Judgments = Mapping[str, Mapping[str, Any]]
"""For each judgment, in order, the value that each of its keys stands for."""

_BOOLEAN: dict[str, Any] = {"true": True, "false": False}
_NOTES = frozenset({"description", "title"})


def wanted_judgments(request: Request, schema: Mapping[str, Any] | None) -> Judgments | None:
    """The judgments that the request wants measured; ``None`` where its answer is ordinary text.

    Args:
        request: Its ``config.probabilities`` is ``None``, ``"off"``, ``"if_available"`` or
            ``"required"``.
        schema: The schema of its answer.

    Raises:
        dspy.lm15.UnsupportedFeatureError: Probabilities are required of a schema that has more than
            judgments in it, or none.
    """
    policy = request.config.probabilities
    if policy in (None, "off"):
        return None
    found = None if schema is None else read_judgments(schema)
    if found is None and policy == "required":
        raise UnsupportedFeatureError(
            "probabilities are required of an answer that is not all judgments (each top-level "
            "property a boolean, an enum of two or more texts, or an enum of the integers 0..n-1)",
            feature="config.probabilities",
        )
    return found


def read_judgments(schema: Mapping[str, Any]) -> Judgments | None:
    """The judgments of a schema, or ``None`` where a property is none."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return None
    found = {name: _answers(part) for name, part in properties.items()}
    return {name: keys for name, keys in found.items() if keys} if all(found.values()) else None


def judgment_schema(judgments: Judgments) -> dict[str, Any]:
    """The closed schema of judgments, in the one spelling that can be measured."""
    return {
        "type": "object",
        "properties": {name: {"enum": list(keys.values())} for name, keys in judgments.items()},
        "required": list(judgments),
        "additionalProperties": False,
    }


def judged(judgments: Judgments, text: str, slots: Sequence[MeasuredSlot]) -> DataPart:
    """A measured answer as DSPy's content.

    Args:
        judgments: What was asked.
        text: The JSON of the answer: the most probable value of each, or the one that was drawn.
        slots: The distribution of each, in the order of the judgments and of their keys.
    """
    distributions = {
        name: dict(zip(keys, slot.probabilities.tolist(), strict=True))
        for (name, keys), slot in zip(judgments.items(), slots, strict=True)
    }
    return DataPart(
        value=json.loads(text),
        probabilities=distributions,
        method="candidate_sequence_likelihood",
    )


def _answers(part: object) -> dict[str, Any] | None:
    """The keys of one property with their values, or ``None`` if it is no judgment."""
    if not isinstance(part, Mapping):
        return None
    keywords, kind = part.keys() - _NOTES, part.get("type")
    if keywords == {"type"} and kind == "boolean":
        return dict(_BOOLEAN)
    values = _declared(part) if len(keywords - {"type"}) == 1 else []
    keys = {str(value): value for value in values}
    if len(keys) < 2 or len(keys) < len(values):
        return None
    if all(isinstance(value, str) and value for value in values) and kind in (None, "string"):
        return keys
    ordered = all(type(value) is int for value in values) and values == list(range(len(values)))
    return keys if ordered and kind in (None, "integer") else None


def _declared(part: Mapping[str, Any]) -> list[Any]:
    """The values of an ``enum``, or of an ``anyOf`` that is all ``const``."""
    if isinstance(part.get("enum"), list):
        return list(part["enum"])
    options = part.get("anyOf")
    if not isinstance(options, list):
        return []
    if not all(isinstance(one, Mapping) and "const" in one for one in options):
        return []
    return [one["const"] for one in options]
