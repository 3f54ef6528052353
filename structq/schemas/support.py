"""Which schemas can be guaranteed: the one list of keywords; knows nothing of grammars and tokens.

An allow-list: what is not named here is refused, so that a keyword which a later draft of JSON
Schema brings (or a misspelt one) is never dropped in silence. The tests hold every entry against
an independent validator.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, NamedTuple

from structq.errors import shorten

__all__ = [
    "DEFINITIONS",
    "KEYWORDS",
    "NOTES",
    "NUMBER_BOUNDS",
    "Fault",
    "escaped",
    "kinds_of",
    "unsupported",
]


class Fault(NamedTuple):
    """A keyword that cannot be guaranteed."""

    keyword: str
    pointer: str
    """JSON pointer to the schema that holds it."""
    reason: str
    """To stand behind the keyword in a sentence."""


NOTES = frozenset(
    ["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"]
) | frozenset(["$comment", "$schema"])
"""Keywords that say nothing about answers."""
DEFINITIONS = frozenset({"$defs", "definitions"})
"""Keywords that hold schemas for references."""
NUMBER_BOUNDS = frozenset(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
KEYWORDS: Mapping[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern", "format"}),
    "integer": NUMBER_BOUNDS | {"multipleOf"},
    "number": NUMBER_BOUNDS | {"multipleOf"},
    "boolean": frozenset(),
    "null": frozenset(),
}
"""Keywords that can be guaranteed, by the type that they are for."""
_KNOWN = frozenset({"type", "enum", "const"}).union(*KEYWORDS.values())
_UNKNOWN = "cannot be guaranteed here"
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength")
# What the value of a keyword has to be; absent ones read as None.
_VALUES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys([*_COUNTS, *sorted(NUMBER_BOUNDS)], (int, float, NoneType)),
    **dict.fromkeys(["$defs", "definitions", "properties"], (Mapping, NoneType)),
    **dict.fromkeys(["required", "enum", "prefixItems"], (list, NoneType)),
    "type": (str, list, NoneType),
}
# Not date and date-time: the grammar takes 29 February of any year. Not email, uri and hostname:
# no two checkers agree on them.
_FORMATS = frozenset({"uuid", "ipv4"})
# Constructs that let the grammar write what Python's re, which reads the answer, does not match.
_UNPORTABLE = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[SWDBbpPkAZzc0-9]|\(\?(?!:))")
# The same for character classes, after escapes are taken out: nested ones, set operations, [].
_UNPORTABLE_CLASS = re.compile(r"\[(?:\^?\]|[^\]]*(?:\[|&&|--|~~|\|\|))")
_AT_MOST = (("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum"))


def unsupported(schema: Mapping[str, Any]) -> Fault | None:
    """First keyword that cannot be guaranteed, or ``None``.

    Refused are unknown keywords, schemas without a type (they allow any value), objects that are
    not closed (``additionalProperties`` has to be ``false`` or a schema), arrays without ``items``,
    references out of the schema, and bounds that contradict each other.
    """
    return next(_faults(schema, "", schema), None)


def _faults(node: Any, pointer: str, root: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(node, Mapping):
        reason = f"must be a schema, found {shorten(node)}"
        yield Fault(pointer.rpartition("/")[2] or "schema", pointer, reason)
        return
    malformed = [key for key, kinds in _VALUES.items() if not isinstance(node.get(key), kinds)]
    if malformed:
        yield Fault(malformed[0], pointer, f"cannot be {shorten(node[malformed[0]])}")
        return
    yield from _definition_faults(node, pointer, root)
    keys = node.keys() - NOTES - DEFINITIONS - ({"$id"} if not pointer else set())
    for combinator, check in _COMBINATORS.items():
        if combinator in keys:
            yield from (Fault(key, pointer, _UNKNOWN) for key in sorted(keys - {combinator}))
            yield from check(node[combinator], f"{pointer}/{combinator}", root)
            return
    yield from (Fault(key, pointer, _UNKNOWN) for key in sorted(keys - _KNOWN))
    yield from _value_faults(node, pointer, root)


def _definition_faults(
    node: Mapping[str, Any], pointer: str, root: Mapping[str, Any]
) -> Iterator[Fault]:
    for key in sorted(DEFINITIONS & node.keys()):
        for name, inner in node[key].items():
            yield from _faults(inner, f"{pointer}/{key}/{escaped(name)}", root)


def _reference_faults(reference: Any, pointer: str, root: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(reference, str) or not _resolves(reference, root):
        reason = f"must point into the schema, found {shorten(reference)}"
        yield Fault("$ref", pointer.rpartition("/")[0], reason)


def _any_of_faults(branches: Any, pointer: str, root: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(branches, list) or not branches:
        yield Fault("anyOf", pointer.rpartition("/")[0], "must be a list of schemas")
        return
    for position, branch in enumerate(branches):
        yield from _faults(branch, f"{pointer}/{position}", root)


def _all_of_faults(branches: Any, pointer: str, root: Mapping[str, Any]) -> Iterator[Fault]:
    # One branch is how some generators put a description beside a reference; more is an
    # intersection.
    if not isinstance(branches, list) or len(branches) != 1:
        yield Fault("allOf", pointer.rpartition("/")[0], "must be a list of one schema")
        return
    yield from _faults(branches[0], f"{pointer}/0", root)


_COMBINATORS = {"$ref": _reference_faults, "anyOf": _any_of_faults, "allOf": _all_of_faults}


def _value_faults(
    node: Mapping[str, Any], pointer: str, root: Mapping[str, Any]
) -> Iterator[Fault]:
    kinds = kinds_of(node)
    for least, most in _AT_MOST:
        if node.get(least, -math.inf) > node.get(most, math.inf):
            reason = f"{node[least]} is above {most} {node[most]}: nothing can obey it"
            yield Fault(least, pointer, reason)
    yield from _leaf_faults(node, pointer)
    if "enum" in node or "const" in node:
        if not node.get("enum", [None]) or {"enum", "const"} <= node.keys():
            yield Fault("enum", pointer, "must be a list of values, and without const")
        return
    if not kinds:
        yield Fault("type", pointer, "is missing (an untyped schema accepts anything)")
    elif not kinds <= KEYWORDS.keys():
        reason = f"must be one of {', '.join(KEYWORDS)}, found {shorten(node['type'])}"
        yield Fault("type", pointer, reason)
    if "object" in kinds:
        yield from _object_faults(node, pointer, root)
    if "array" in kinds:
        yield from _array_faults(node, pointer, root)


def _leaf_faults(node: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    for key in _COUNTS:
        if node.get(key, 0) < 0 or node.get(key, 0) % 1:
            yield Fault(key, pointer, f"must be a count, found {shorten(node[key])}")
    if "multipleOf" in node and not _divides_exactly(node["multipleOf"], kinds_of(node)):
        reason = f"must be a whole number and of integers, found {shorten(node['multipleOf'])}"
        yield Fault("multipleOf", pointer, reason)
    if "format" in node and node["format"] not in _FORMATS:
        reason = f"{shorten(node['format'])} cannot be guaranteed ({', '.join(sorted(_FORMATS))})"
        yield Fault("format", pointer, reason)
    if "pattern" in node and not _is_portable(node["pattern"]):
        reason = (
            f"is not a regular expression that all readers read alike: {shorten(node['pattern'])}"
        )
        yield Fault("pattern", pointer, reason)


def _object_faults(
    node: Mapping[str, Any], pointer: str, root: Mapping[str, Any]
) -> Iterator[Fault]:
    properties = node.get("properties", {})
    for name, inner in properties.items():
        yield from _faults(inner, f"{pointer}/properties/{escaped(name)}", root)
    if not set(node.get("required", ())) <= set(properties):
        yield Fault("required", pointer, "names what is not among the properties")
    others = node.get("additionalProperties")
    if isinstance(others, Mapping):
        yield from _faults(others, f"{pointer}/additionalProperties", root)
    elif others is not False:
        yield Fault("additionalProperties", pointer, "is open (an open object accepts any key)")


def _array_faults(
    node: Mapping[str, Any], pointer: str, root: Mapping[str, Any]
) -> Iterator[Fault]:
    first = node.get("prefixItems", [])
    for position, inner in enumerate(first):
        yield from _faults(inner, f"{pointer}/prefixItems/{position}", root)
    others = node.get("items")
    if isinstance(others, Mapping):
        yield from _faults(others, f"{pointer}/items", root)
    elif others is not False and not node.get("maxItems", math.inf) <= len(first):
        yield Fault("items", pointer, "is missing (an array says what it holds)")


def kinds_of(node: Mapping[str, Any]) -> set[str]:
    """The types that a schema names."""
    kind = node.get("type", [])
    return {str(one) for one in kind} if isinstance(kind, list) else {kind}


def _divides_exactly(divisor: Any, kinds: set[str]) -> bool:
    # A decimal divisor is exact in the grammar and not in the floats that a validator divides.
    return isinstance(divisor, int) and divisor > 0 and "number" not in kinds


def _is_portable(pattern: Any) -> bool:
    if not isinstance(pattern, str) or _UNPORTABLE.search(pattern):
        return False
    if _UNPORTABLE_CLASS.search(re.sub(r"\\.", "x", pattern, flags=re.DOTALL)):
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def _resolves(reference: str, root: Mapping[str, Any]) -> bool:
    if reference == "#":
        return True
    node: Any = root
    for part in reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, Mapping) or name not in node:
            return False
        node = node[name]
    return reference.startswith("#/")


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")
