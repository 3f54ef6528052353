"""What a row must hold before a module may see it; knows nothing of files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from structq.errors import shorten

__all__ = ["EVOLVING", "SCORING", "Contract", "Fault", "find_unwritable"]

MAX_DEPTH = 100
"""Levels of lists and objects in one row; more could end the recursion of whoever reads it."""

_JSON_NAMES: Mapping[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One reason why a row cannot be used."""

    field: str | None
    """The column and the place in it (``responses[1]``); ``None`` where the whole row is wrong."""

    reason: str
    """What was found and what is allowed."""


Check = Callable[[str, Any], "Fault | None"]
"""Takes a column's name and value; returns what is wrong with it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contract:
    """The columns that a row must have, and those that it may have.

    Columns that the contract does not name are never looked at: they pass through.
    """

    name: str
    """What the rows are for, as a word."""

    required: Mapping[str, Check]
    """Check of each column that must be there, in the order of checking."""

    optional: Mapping[str, Check] = field(default_factory=dict)
    """Check of each column that may be left out."""

    reshape: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Makes the columns out of others that stand for them."""

    def shaped(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], Fault | None]:
        """The row with the columns of the contract, and the first reason why it has them not."""
        found = self.reshape(dict(values))
        return found, self.fault(found)

    def fault(self, values: Mapping[str, Any]) -> Fault | None:
        """The first reason why these columns break the contract, or ``None``."""
        for name, check in self.required.items():
            if name not in values:
                return Fault(field=name, reason=f"missing (the row has {shorten(list(values))})")
            if found := check(name, values[name]):
                return found
        for name, check in self.optional.items():
            if name in values and (found := check(name, values[name])):
                return found
        return None


def find_unwritable(values: Mapping[str, Any]) -> Fault | None:
    """The first part of a parsed row that a UTF-8 JSON file cannot hold, or ``None``.

    That is a lone surrogate in a text or a key, a number that is not finite, or nesting deeper
    than ``MAX_DEPTH``. Python's parser lets all three through.
    """
    todo: list[tuple[str, Any, int]] = [("", values, 0)]
    while todo:
        place, value, depth = todo.pop()
        if isinstance(value, (dict, list)) and depth < MAX_DEPTH:
            todo.extend((part, inner, depth + 1) for part, inner in reversed(_parts(value, place)))
        elif reason := _unwritable(value):
            return Fault(field=place[:80] or None, reason=reason)
    return None


def _parts(value: dict[str, Any] | list[Any], place: str) -> list[tuple[str, Any]]:
    """Each part of a list or an object with its place; a key is a part too, at its object."""
    if isinstance(value, list):
        return [(f"{place}[{i}]", inner) for i, inner in enumerate(value)]
    members = [(f"{place}.{key}" if place else key, inner) for key, inner in value.items()]
    return [(place, key) for key in value if not key.isascii()] + members


def _unwritable(value: Any) -> str | None:
    """Why this text, number or too deep part cannot be written, or ``None``."""
    if isinstance(value, str):
        return _lone_surrogate(value)
    if isinstance(value, float):
        return None if math.isfinite(value) else f"{value} (JSON has finite numbers only)"
    if isinstance(value, (dict, list)):
        return f"nested more than {MAX_DEPTH} levels deep"
    return None


def _lone_surrogate(text: str) -> str | None:
    try:
        text.encode("utf8")
    except UnicodeEncodeError as error:
        found = f"a lone surrogate, {text[error.start]!r}, at character {error.start + 1}"
        return f"{found} (UTF-8 cannot hold it)"
    return None


def _text(name: str, value: Any) -> Fault | None:
    if isinstance(value, str):
        return None
    return Fault(field=name, reason=f"{_kind(value)} (must be text)")


def _filled_text(name: str, value: Any) -> Fault | None:
    if found := _text(name, value):
        return found
    return None if value.strip() else Fault(field=name, reason=f"blank: {shorten(value)}")


def _text_or_null(name: str, value: Any) -> Fault | None:
    return None if value is None else _text(name, value)


def _texts(name: str, value: Any) -> Fault | None:
    if not isinstance(value, list):
        return Fault(field=name, reason=f"{_kind(value)} (must be a list of texts)")
    if not value:
        return Fault(field=name, reason="an empty list (must hold one response or more)")
    faults = (_text(f"{name}[{i}]", item) for i, item in enumerate(value))
    return next((found for found in faults if found), None)


def _kind(value: Any) -> str:
    name = _JSON_NAMES.get(type(value), type(value).__name__)
    return name if value is None else f"{name}: {shorten(value)}"


EVOLVING = Contract(name="evolving", required={"instruction": _filled_text, "response": _text})
"""One response to evolve: ``instruction`` (not blank) and ``response`` (may be the empty text)."""


def _to_score(values: dict[str, Any]) -> dict[str, Any]:
    """The responses of a row that holds one, or what evolved from it."""
    if "responses" in values:
        return values
    evolved = values.get("evolved_responses")
    if evolved is None and values.get("evolved_response") is not None:
        evolved = [values["evolved_response"]]
    original = values.get("response")
    if isinstance(evolved, list):
        first = [] if original is None or evolved[:1] == [original] else [original]
        return {**values, "responses": [*first, *evolved]}
    return values if original is None else {**values, "responses": [original]}


SCORING = Contract(
    name="scoring",
    required={"instruction": _filled_text, "responses": _texts},
    optional={"system_prompt": _text_or_null},
    reshape=_to_score,
)
"""Responses to score: ``instruction``, ``responses`` (one or more), maybe ``system_prompt``.

Without ``responses``, they are the ``response`` and what ``evolve`` made of it, in this order."""
