"""The form of an answer as a prompt shows it, and compact JSON as an answer is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["compact", "show_form"]

_WORDS = {
    "integer": "<integer>",
    "number": "<number>",
    "boolean": "<true or false>",
    "null": "null",
}


def compact(value: Any) -> str:
    """JSON without spaces, with every character but the control ones as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def show_form(schema: Mapping[str, Any]) -> str:
    """One line that shows what an answer looks like.

    A text is ``"..."``; a list of K scores is ``[s1,s2,..,sK]``; other values are a word in ``<>``.

    Example:
        >>> item = {"type": "integer", "enum": [1, 2, 3]}
        >>> scores = {"type": "array", "items": item, "minItems": 2, "maxItems": 2}
        >>> show_form({"type": "object", "properties": {"scores": scores}})
        '{"scores":[s1,s2]}'
    """
    return _show(schema, schema, depth=0)


def _show(part: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    if "$ref" in part:
        if depth > 8:  # a type that holds itself
            return "..."
        return _show(root["$defs"][part["$ref"].removeprefix("#/$defs/")], root, depth + 1)
    if "anyOf" in part:
        return "|".join(_show(option, root, depth) for option in part["anyOf"])
    if "enum" in part or "const" in part:
        labels = part["enum"] if "enum" in part else [part["const"]]
        return "|".join(compact(label) for label in labels)
    if part["type"] == "object":
        fields = (
            f"{compact(name)}:{_show(child, root, depth)}"
            for name, child in part["properties"].items()
        )
        return "{" + ",".join(fields) + "}"
    if part["type"] == "array":
        return f"[{_show_items(part, root, depth)}]"
    return '"..."' if part["type"] == "string" else _WORDS[part["type"]]


def _show_items(part: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    if "prefixItems" in part:
        return ",".join(_show(item, root, depth) for item in part["prefixItems"])
    n_items = part.get("maxItems")
    if n_items is not None and n_items == part.get("minItems") and "enum" in part["items"]:
        return ",".join(f"s{i + 1}" for i in range(n_items))
    return f"{_show(part['items'], root, depth)},..."
