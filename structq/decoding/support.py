"""Which schemas the grammar can guarantee, and its bounds on numbers; knows nothing of tokens.

An allow-list: what is not named here is refused, so that a keyword which a later draft of JSON
Schema brings (or a misspelt one) is never dropped in silence. The tests hold every entry against
an independent validator.
"""

from __future__ import annotations

import decimal
import math
import re
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any

__all__ = ["guarded", "unsupported"]

Fault = tuple[str, str]

_ANNOTATIONS = frozenset(
    ["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"]
) | frozenset(["$comment", "$schema"])
_DEFINITIONS = frozenset({"$defs", "definitions"})
_NUMBER_BOUNDS = frozenset(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
_KEYWORDS = (
    _NUMBER_BOUNDS
    | frozenset(["type", "enum", "const", "properties", "required", "additionalProperties"])
    | frozenset(["items", "prefixItems", "minItems", "maxItems"])
    | frozenset(["minLength", "maxLength", "pattern", "format", "multipleOf"])
)
_NUMERIC = ["minItems", "maxItems", "minLength", "maxLength", *sorted(_NUMBER_BOUNDS)]
# What the value of a keyword has to be; absent ones read as None.
_VALUES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_NUMERIC, (int, float, NoneType)),
    **dict.fromkeys(["$defs", "definitions", "properties"], (Mapping, NoneType)),
    **dict.fromkeys(["required", "enum", "prefixItems"], (list, NoneType)),
    "type": (str, list, NoneType),
}
_TYPES = frozenset(["object", "array", "string", "integer", "number", "boolean", "null"])
# Not date and date-time: the grammar takes 29 February of any year. Not email, uri and hostname:
# no two checkers agree on them.
_FORMATS = frozenset({"uuid", "ipv4"})
# Constructs that let the grammar write what Python's re, which reads the answer, does not match.
_UNPORTABLE = re.compile(r"(?<!\\)(?:\\\\)*(?:\\[SWDBbpPkAZzc0-9]|\(\?(?!:))")
# The same for character classes, after escapes are taken out: nested ones, set operations, [].
_UNPORTABLE_CLASS = re.compile(r"\[(?:\^?\]|[^\]]*(?:\[|&&|--|~~|\|\|))")
_AT_MOST = (("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum"))

_DIGITS = 15
"""Significant digits of a bound on numbers: the grammar rounds longer ones, at times outwards."""
_LARGEST = 10**_DIGITS - 1
"""Numbers without a bound end here; every JSON reader holds such an integer exactly."""
_SMALLEST = 1e-12
"""Distance kept from an excluded zero, to which a long enough fraction rounds."""
_UPWARDS = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_CEILING)


def unsupported(schema: Mapping[str, Any]) -> Fault | None:
    """First keyword that the grammar cannot guarantee and a JSON pointer to it, or ``None``.

    Refused are unknown keywords, schemas without a type (they allow any value), objects that are
    not closed (``additionalProperties`` has to be ``false`` or a schema), arrays without ``items``,
    references out of the schema, and bounds that contradict each other.
    """
    return next(_faults(schema, "", schema), None)


def guarded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema with every number bounded to what a JSON reader holds exactly.

    An unbounded number could read back as infinity (``1e999``), an unbounded integer could be
    longer than Python reads, and ``0.9999999999999999999`` reads as the 1 that ``exclusiveMaximum:
    1`` forbids. Values that the schema allows may be refused by this; none that it forbids is let
    through.
    """
    return {key: _guarded_value(key, value) for key, value in _with_bounds(schema).items()}


def _guarded_value(key: str, value: Any) -> Any:
    if key in _DEFINITIONS | {"properties"}:
        return {name: _guarded_node(inner) for name, inner in value.items()}
    if key in {"anyOf", "allOf", "prefixItems"}:
        return [_guarded_node(inner) for inner in value]
    return _guarded_node(value) if key in {"items", "additionalProperties"} else value


def _guarded_node(node: Any) -> Any:
    return guarded(node) if isinstance(node, Mapping) else node


def _with_bounds(node: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = _kinds(node)
    if not kinds & {"integer", "number"} or "enum" in node or "const" in node:
        return node
    whole = "number" not in kinds
    low = _lowest(node.get("minimum"), node.get("exclusiveMinimum"), whole=whole)
    high = _lowest(_minus(node.get("maximum")), _minus(node.get("exclusiveMaximum")), whole=whole)
    rest = {key: value for key, value in node.items() if key not in _NUMBER_BOUNDS}
    return {**rest, "minimum": low, "maximum": -high}


def _minus(bound: float | None) -> float | None:
    return None if bound is None else -bound


def _lowest(bound: float | None, excluded: float | None, *, whole: bool) -> float:
    """The least number that is at least ``bound``, above ``excluded`` and not below the limit."""
    found: list[float] = [-_LARGEST]
    if bound is not None:
        found.append(math.ceil(bound) if whole else _decimal_above(bound))
    if excluded is not None:
        found.append(math.floor(excluded) + 1 if whole else _decimal_past(excluded))
    return max(found)


def _decimal_above(bound: float) -> float:
    return float(_UPWARDS.create_decimal(repr(bound)))


def _decimal_past(excluded: float) -> float:
    if not excluded:
        return _SMALLEST
    return float(_UPWARDS.next_plus(decimal.Decimal(repr(excluded))))


def _faults(node: Any, pointer: str, root: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(node, Mapping):
        yield pointer.rpartition("/")[2] or "schema", pointer
        return
    malformed = [key for key, kinds in _VALUES.items() if not isinstance(node.get(key), kinds)]
    if malformed:
        yield malformed[0], pointer
        return
    yield from _definition_faults(node, pointer, root)
    keys = node.keys() - _ANNOTATIONS - _DEFINITIONS - ({"$id"} if not pointer else set())
    for combinator, check in _COMBINATORS.items():
        if combinator in keys:
            yield from ((key, pointer) for key in sorted(keys - {combinator}))
            yield from check(node[combinator], f"{pointer}/{combinator}", root)
            return
    yield from ((key, pointer) for key in sorted(keys - _KEYWORDS))
    yield from _value_faults(node, pointer, root)


def _definition_faults(
    node: Mapping[str, Any], pointer: str, root: Mapping[str, Any]
) -> Iterator[Fault]:
    for key in sorted(_DEFINITIONS & node.keys()):
        for name, inner in node[key].items():
            yield from _faults(inner, f"{pointer}/{key}/{_escaped(name)}", root)


def _reference_faults(reference: Any, pointer: str, root: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(reference, str) or not _resolves(reference, root):
        yield "$ref", pointer.rpartition("/")[0]


def _any_of_faults(branches: Any, pointer: str, root: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(branches, list) or not branches:
        yield "anyOf", pointer.rpartition("/")[0]
        return
    for position, branch in enumerate(branches):
        yield from _faults(branch, f"{pointer}/{position}", root)


def _all_of_faults(branches: Any, pointer: str, root: Mapping[str, Any]) -> Iterator[Fault]:
    # One branch is how some generators put a description beside a reference; more is an
    # intersection.
    if not isinstance(branches, list) or len(branches) != 1:
        yield "allOf", pointer.rpartition("/")[0]
        return
    yield from _faults(branches[0], f"{pointer}/0", root)


_COMBINATORS = {"$ref": _reference_faults, "anyOf": _any_of_faults, "allOf": _all_of_faults}


def _value_faults(
    node: Mapping[str, Any], pointer: str, root: Mapping[str, Any]
) -> Iterator[Fault]:
    kinds = _kinds(node)
    for least, most in _AT_MOST:
        if node.get(least, -math.inf) > node.get(most, math.inf):
            yield least, pointer
    yield from _leaf_faults(node, pointer)
    if "enum" in node or "const" in node:
        if not node.get("enum", [None]) or {"enum", "const"} <= node.keys():
            yield "enum", pointer
        return
    if not kinds or not kinds <= _TYPES:
        yield "type", pointer
    if "object" in kinds:
        yield from _object_faults(node, pointer, root)
    if "array" in kinds:
        yield from _array_faults(node, pointer, root)


def _leaf_faults(node: Mapping[str, Any], pointer: str) -> Iterator[Fault]:
    if "multipleOf" in node and not _divides_exactly(node["multipleOf"], _kinds(node)):
        yield "multipleOf", pointer
    if "format" in node and node["format"] not in _FORMATS:
        yield "format", pointer
    if "pattern" in node and not _is_portable(node["pattern"]):
        yield "pattern", pointer


def _object_faults(
    node: Mapping[str, Any], pointer: str, root: Mapping[str, Any]
) -> Iterator[Fault]:
    properties = node.get("properties", {})
    for name, inner in properties.items():
        yield from _faults(inner, f"{pointer}/properties/{_escaped(name)}", root)
    if not set(node.get("required", ())) <= set(properties):
        yield "required", pointer
    others = node.get("additionalProperties")
    if isinstance(others, Mapping):
        yield from _faults(others, f"{pointer}/additionalProperties", root)
    elif others is not False:
        yield "additionalProperties", pointer


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
        yield "items", pointer


def _kinds(node: Mapping[str, Any]) -> set[str]:
    kind = node.get("type", [])
    return set(kind) if isinstance(kind, list) else {kind}


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


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
