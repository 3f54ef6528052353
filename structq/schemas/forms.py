"""How an answer is written: the forms that an LM may be asked for, and JSON as each writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["FORMS", "Form", "compact", "show_form", "to_json"]

Form = Literal["text", "json", "compact"]
"""``text``: one text output is the answer itself, and structq writes the JSON; anything else is
JSON. ``json``: always JSON, spaced as ``json.dumps`` does and LMs learned it. ``compact``: JSON
without spaces, in the prompts that nano was trained on."""
FORMS: tuple[Form, ...] = ("text", "json", "compact")


def to_json(value: Any, form: Form = "json") -> str:
    """JSON as the form spaces it, with every character but the control ones as it is."""
    separators = (",", ":") if form == "compact" else (", ", ": ")
    return json.dumps(value, ensure_ascii=False, separators=separators)


def compact(value: Any) -> str:
    """JSON without spaces."""
    return to_json(value, "compact")


def show_form(schema: Mapping[str, Any], form: Form = "json") -> str:
    """One line that shows what a JSON answer looks like.

    What an LM has to fill in is a word in ``<>`` without quotes, so that the line itself is no JSON
    that could pass for an answer. Compact, as nano knows it, a text is ``"..."`` and a list of K
    scores ``[s1,s2,..,sK]``.

    Example:
        >>> item = {"type": "integer", "enum": [1, 2, 3]}
        >>> scores = {"type": "array", "items": item, "minItems": 2, "maxItems": 2}
        >>> show_form({"type": "object", "properties": {"scores": scores}})
        '{"scores": [<1, 2 or 3>, <1, 2 or 3>]}'
        >>> show_form({"type": "object", "properties": {"scores": scores}}, "compact")
        '{"scores":[s1,s2]}'
    """
    return _Shown(schema, _COMPACT if form == "compact" else _SPACED).part(schema, depth=0)


@dataclass(frozen=True, kw_only=True)
class _Words:
    """How the parts of a form are shown."""

    comma: str
    colon: str
    text: str
    kinds: Mapping[str, str]
    labels_in_words: bool


_KINDS = {
    "integer": "<integer>",
    "number": "<number>",
    "boolean": "<true or false>",
    "null": "null",
}
_COMPACT = _Words(comma=",", colon=":", text='"..."', kinds=_KINDS, labels_in_words=False)
_SPACED = _Words(comma=", ", colon=": ", text="<text>", kinds=_KINDS, labels_in_words=True)
_MOST_ITEMS = 8


class _Shown:
    """Shows the parts of one schema; holds its root, for references."""

    def __init__(self, root: Mapping[str, Any], words: _Words) -> None:
        self._root = root
        self._words = words

    def part(self, part: Mapping[str, Any], depth: int) -> str:
        words = self._words
        if "$ref" in part:
            if depth > 8:  # a type that holds itself
                return "..."
            name = part["$ref"].removeprefix("#/$defs/")
            return self.part(self._root["$defs"][name], depth + 1)
        if "anyOf" in part:
            return "|".join(self.part(option, depth) for option in part["anyOf"])
        if "enum" in part or "const" in part:
            return self._labels(part["enum"] if "enum" in part else [part["const"]])
        if part["type"] == "object":
            fields = (
                f"{compact(name)}{words.colon}{self.part(child, depth)}"
                for name, child in part["properties"].items()
            )
            return "{" + words.comma.join(fields) + "}"
        if part["type"] == "array":
            return f"[{self._items(part, depth)}]"
        return words.text if part["type"] == "string" else words.kinds[part["type"]]

    def _labels(self, labels: Sequence[Any]) -> str:
        texts = [compact(label) for label in labels]
        if not self._words.labels_in_words or len(texts) == 1:
            return "|".join(texts)
        return f"<{', '.join(texts[:-1])} or {texts[-1]}>"

    def _items(self, part: Mapping[str, Any], depth: int) -> str:
        comma = self._words.comma
        if "prefixItems" in part:
            return comma.join(self.part(item, depth) for item in part["prefixItems"])
        n_items = part.get("maxItems")
        if n_items is not None and n_items == part.get("minItems") and "enum" in part["items"]:
            if not self._words.labels_in_words:
                return comma.join(f"s{i + 1}" for i in range(n_items))
            if n_items <= _MOST_ITEMS:
                return comma.join([self.part(part["items"], depth)] * n_items)
        return f"{self.part(part['items'], depth)}{comma}..."
