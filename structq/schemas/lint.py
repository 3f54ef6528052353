"""Refuses every JSON Schema that the constraint layer cannot guarantee.

The list says what is allowed, not what is forbidden: llguidance holds these keywords (measured
against the JSON-Schema-Test-Suite), servers in strict mode mostly do, and ``parse_answer`` checks
them again. A keyword that is not listed is an error that names it, never a constraint that is
silently dropped.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from structq.errors import SchemaError, shorten

__all__ = ["lint"]

Schema = Mapping[str, Any]

_NOTES = frozenset({"title", "description", "default", "examples", "deprecated", "$comment"})
_KEYWORDS: dict[str, frozenset[str]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "prefixItems", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "integer": frozenset(
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    ),
    "number": frozenset(
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    ),
    "boolean": frozenset(),
    "null": frozenset(),
}
_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength"})


def lint(schema: Schema) -> None:
    """Checks that every part of the schema can be guaranteed.

    Raises:
        SchemaError: With the keyword and the JSON pointer to it.
    """
    _check(schema, "", schema)
    for name, part in schema.get("$defs", {}).items():
        _check(part, f"/$defs/{_escape(name)}", schema)


def _check(part: object, pointer: str, root: Schema) -> None:
    if not isinstance(part, Mapping):
        raise _fault("schema", pointer, f"must be an object, found {shorten(part)}")
    for keyword in ("$ref", "anyOf", "enum", "const"):
        if keyword in part:
            _ALONE[keyword](part, pointer, root)
            return
    _check_typed(part, pointer, root)


def _check_typed(part: Schema, pointer: str, root: Schema) -> None:
    kind = part.get("type")
    if kind is None:
        # What is unknown is named first: it says more than the lack of a type.
        _only(part, frozenset(), pointer)
        raise _fault("type", pointer, "is missing (an untyped schema accepts anything)")
    if not isinstance(kind, str) or kind not in _KEYWORDS:
        raise _fault(
            "type", pointer, f"must be one of {', '.join(_KEYWORDS)}, found {shorten(kind)}"
        )
    _only(part, _KEYWORDS[kind] | {"type"}, pointer)
    _check_bounds(part, kind, pointer)
    if kind == "object":
        _check_object(part, pointer)
    elif kind == "array":
        _check_array(part, pointer)
    elif kind == "string" and "pattern" in part:
        _check_pattern(part["pattern"], pointer)
    for child, place in _children(part, pointer):
        _check(child, place, root)


def _children(part: Schema, pointer: str) -> Iterator[tuple[object, str]]:
    for name, child in part.get("properties", {}).items():
        yield child, f"{pointer}/properties/{_escape(name)}"
    if isinstance(part.get("items"), Mapping):
        yield part["items"], f"{pointer}/items"
    for i, child in enumerate(part.get("prefixItems", ())):
        yield child, f"{pointer}/prefixItems/{i}"


def _check_object(part: Schema, pointer: str) -> None:
    properties = part.get("properties")
    if part.get("additionalProperties") is not False:
        raise _fault(
            "additionalProperties", pointer, "must be false (an open object accepts any key)"
        )
    if not isinstance(properties, Mapping):
        raise _fault("properties", pointer, "is missing (a closed object names its keys)")
    if set(part.get("required", ())) != set(properties):
        optional = sorted(set(properties) ^ set(part.get("required", ())))
        raise _fault(
            "required", pointer, f"must name exactly the properties; differs in {shorten(optional)}"
        )


def _check_array(part: Schema, pointer: str) -> None:
    items, prefix = part.get("items"), part.get("prefixItems")
    if prefix is not None and items is not False and part.get("maxItems") != len(prefix):
        raise _fault("prefixItems", pointer, "needs items: false or maxItems equal to its length")
    if prefix is None and not isinstance(items, Mapping):
        raise _fault("items", pointer, "is missing (an array says what it holds)")


def _check_bounds(part: Schema, kind: str, pointer: str) -> None:
    for keyword in _COUNTS & part.keys():
        if not _is_int(part[keyword]) or part[keyword] < 0:
            raise _fault(keyword, pointer, f"must be a count, found {shorten(part[keyword])}")
    for keyword in part.keys() & (_KEYWORDS["number"] if kind in ("integer", "number") else ()):
        bound = part[keyword]
        if not (_is_int(bound) or (isinstance(bound, float) and math.isfinite(bound))):
            raise _fault(keyword, pointer, f"must be a number, found {shorten(bound)}")
    for low, high in (("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum")):
        if low in part and high in part and part[low] > part[high]:
            raise _fault(
                low, pointer, f"{part[low]} is above {high} {part[high]}: nothing can obey it"
            )


def _check_pattern(pattern: object, pointer: str) -> None:
    try:
        re.compile(pattern)  # type: ignore[call-overload]
    except (re.error, TypeError) as error:
        raise _fault("pattern", pointer, f"is not a regular expression: {error}") from error


def _check_ref(part: Schema, pointer: str, root: Schema) -> None:
    _only(part, frozenset({"$ref"}), pointer)
    target = part["$ref"]
    if not isinstance(target, str) or target.removeprefix("#/$defs/") not in root.get("$defs", {}):
        raise _fault("$ref", pointer, f"must point into #/$defs, found {shorten(target)}")


def _check_any_of(part: Schema, pointer: str, root: Schema) -> None:
    _only(part, frozenset({"anyOf"}), pointer)
    if not isinstance(part["anyOf"], list) or not part["anyOf"]:
        raise _fault("anyOf", pointer, "must be a list of schemas")
    for i, child in enumerate(part["anyOf"]):
        _check(child, f"{pointer}/anyOf/{i}", root)


def _check_enum(part: Schema, pointer: str, _root: Schema) -> None:
    _only(part, frozenset({"enum", "type"}), pointer)
    if not isinstance(part["enum"], list) or not part["enum"]:
        raise _fault("enum", pointer, "must be a list of values")
    for value in part["enum"]:
        _check_label(value, "enum", part, pointer)


def _check_const(part: Schema, pointer: str, _root: Schema) -> None:
    _only(part, frozenset({"const", "type"}), pointer)
    _check_label(part["const"], "const", part, pointer)


def _check_label(value: object, keyword: str, part: Schema, pointer: str) -> None:
    if not (value is None or isinstance(value, str | bool | int)):
        raise _fault(
            keyword,
            pointer,
            f"holds {shorten(value)} (text, integers, booleans and null can be held)",
        )
    kind = {bool: "boolean", str: "string", int: "integer", type(None): "null"}[type(value)]
    if part.get("type", kind) not in (kind, "number" if kind == "integer" else kind):
        raise _fault(
            "type", pointer, f"{shorten(part['type'])} does not fit the value {shorten(value)}"
        )


_ALONE = {"$ref": _check_ref, "anyOf": _check_any_of, "enum": _check_enum, "const": _check_const}


def _only(part: Schema, allowed: frozenset[str], pointer: str) -> None:
    notes = _NOTES | {"$defs", "$schema"} if not pointer else _NOTES
    for keyword in part:
        if keyword not in allowed and keyword not in notes:
            raise _fault(str(keyword), pointer, "cannot be guaranteed here")


def _fault(keyword: str, pointer: str, reason: str) -> SchemaError:
    place = f"{pointer}/{_escape(keyword)}"
    return SchemaError(
        f"schema keyword {keyword!r} at {place}: {reason}", keyword=keyword, pointer=place
    )


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
