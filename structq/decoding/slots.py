"""An answer as fixed text around label slots; knows nothing of tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Slot", "SlotPlan"]

_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "$comment", "$schema", "$id", "$defs"}
)
# An answer of more slots than this is decoded under the grammar instead.
_MAX_SLOTS = 4096
_MAX_DEPTH = 32


@dataclass(frozen=True)
class Slot:
    """A place where the answer has a choice."""

    labels: tuple[str, ...]
    """Text of each choice (JSON strings in quotes), in the order of the schema; two or more."""


@dataclass(frozen=True)
class SlotPlan:
    """An answer as fixed text and slots in turn."""

    steps: tuple[str | Slot, ...]
    """In the order of the answer; no two texts are neighbours, no two slots, no text is empty."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots alone, in order."""
        return tuple(step for step in self.steps if isinstance(step, Slot))

    @classmethod
    def of(cls, schema: Mapping[str, Any], *, spaced: bool = True) -> SlotPlan | None:
        """The plan of a JSON answer, or ``None`` where more than a choice among labels is free.

        Labels are ``enum``, ``const`` and ``boolean``; they may sit in closed objects that require
        all of their properties and in arrays of a fixed number of items.

        Args:
            schema: Of the answer.
            spaced: With a space behind ``:`` and ``,``, as ``json.dumps`` writes it.
        """
        try:
            return cls(tuple(_joined(_Reader(schema, spaced=spaced).read(schema, 0))))
        except _NoPlanError:
            return None

    @classmethod
    def between(cls, texts: Sequence[str], labels: Sequence[str]) -> SlotPlan:
        """The plan of an answer in text: a slot of the same labels between each two texts.

        Args:
            texts: What stands before the first slot, between the slots, and behind the last.
            labels: The labels as they stand in the text; two or more.
        """
        slot = Slot(tuple(labels))
        steps = [step for text in texts for step in (text, slot)]
        return cls(tuple(_joined(steps[:-1])))

    def render(self, choices: Sequence[int]) -> str:
        """The JSON text with label ``choices[i]`` in slot ``i``.

        Raises:
            ValueError: Not one choice for every slot.
        """
        if len(choices) != len(self.slots):
            raise ValueError(f"wrong number of choices: {len(choices)} ({len(self.slots)} slots)")
        left = iter(choices)
        return "".join(
            step if isinstance(step, str) else step.labels[next(left)] for step in self.steps
        )


class _NoPlanError(Exception):
    """The schema has a free part."""


class _Reader:
    """Reads one schema; holds its root, for references, and counts its slots."""

    def __init__(self, root: Mapping[str, Any], *, spaced: bool) -> None:
        self._root = root
        self._comma, self._colon = (", ", ": ") if spaced else (",", ":")
        self._n_slots = 0

    def read(self, node: Any, depth: int) -> list[str | Slot]:
        """The steps of one node of the schema."""
        if not isinstance(node, Mapping) or depth > _MAX_DEPTH:
            raise _NoPlanError
        keys = node.keys() - _ANNOTATIONS
        if keys == {"$ref"}:
            return self.read(self._target(node["$ref"]), depth + 1)
        if "enum" in keys or "const" in keys:
            return self._read_labels(node, keys)
        kind = node.get("type")
        if kind == "boolean" and keys == {"type"}:
            return self._slot([False, True])
        if kind == "object":
            return self._read_object(node, keys, depth)
        if kind == "array":
            return self._read_array(node, keys, depth)
        raise _NoPlanError

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise _NoPlanError
        node: Any = self._root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(node, Mapping) or name not in node:
                raise _NoPlanError
            node = node[name]
        return node

    def _read_labels(self, node: Mapping[str, Any], keys: set[str]) -> list[str | Slot]:
        if not keys <= {"enum", "const", "type"} or keys >= {"enum", "const"}:
            raise _NoPlanError
        values = [node["const"]] if "const" in keys else node["enum"]
        if not isinstance(values, list):
            raise _NoPlanError
        return self._slot([value for value in values if _is_a(value, node.get("type"))])

    def _slot(self, values: Iterable[Any]) -> list[str | Slot]:
        labels = tuple(dict.fromkeys(self._label(value) for value in values))
        if not labels:
            raise _NoPlanError
        if len(labels) == 1:
            return [labels[0]]
        self._n_slots += 1
        if self._n_slots > _MAX_SLOTS:
            raise _NoPlanError
        return [Slot(labels)]

    def _label(self, value: Any) -> str:
        return _literal(value, (self._comma, self._colon))

    def _read_object(self, node: Mapping[str, Any], keys: set[str], depth: int) -> list[str | Slot]:
        properties = node.get("properties", {})
        closed = keys <= {"type", "properties", "required", "additionalProperties"}
        if not closed or node.get("additionalProperties") is not False:
            raise _NoPlanError
        if set(node.get("required", ())) != set(properties):
            raise _NoPlanError
        steps: list[str | Slot] = ["{"]
        for position, (name, inner) in enumerate(properties.items()):
            steps.append((self._comma if position else "") + _literal(name) + self._colon)
            steps += self.read(inner, depth + 1)
        return [*steps, "}"]

    def _read_array(self, node: Mapping[str, Any], keys: set[str], depth: int) -> list[str | Slot]:
        if not keys <= {"type", "items", "prefixItems", "minItems", "maxItems"}:
            raise _NoPlanError
        steps: list[str | Slot] = ["["]
        for position, inner in enumerate(_items(node)):
            steps += [self._comma] if position else []
            steps += self.read(inner, depth + 1)
        return [*steps, "]"]


def _items(node: Mapping[str, Any]) -> list[Any]:
    """The schema of each item of an array of fixed length, in order."""
    first = node.get("prefixItems", [])
    rest = node.get("items", True)
    length = node.get("minItems", 0)
    most = min(node.get("maxItems", math.inf), len(first) if rest is False else math.inf)
    if length != most or length > _MAX_SLOTS:
        raise _NoPlanError
    if length > len(first) and not isinstance(rest, Mapping):
        raise _NoPlanError
    return [*first[:length], *[rest] * (length - len(first))]


def _is_a(value: Any, kind: Any) -> bool:
    """Whether a label is of the type that its schema names beside it."""
    if kind is None:
        return True
    if isinstance(kind, list):
        return any(_is_a(value, one) for one in kind)
    types: dict[Any, tuple[type, ...]] = {
        "string": (str,),
        "boolean": (bool,),
        "null": (type(None),),
        "object": (dict,),
        "array": (list,),
        "integer": (int,),
        "number": (int, float),
    }
    return isinstance(value, types.get(kind, ())) and (
        kind == "boolean" or not isinstance(value, bool)
    )


def _literal(value: Any, separators: tuple[str, str] = (",", ":")) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=separators)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _NoPlanError from error
    return text


def _joined(steps: Iterable[str | Slot]) -> Iterable[str | Slot]:
    """The same steps with neighbouring texts made one."""
    text = ""
    for step in steps:
        if isinstance(step, str):
            text += step
            continue
        if text:
            yield text
        yield step
        text = ""
    if text:
        yield text
