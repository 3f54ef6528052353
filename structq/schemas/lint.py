"""Refuses every output schema that is not of structq's own form; knows nothing of grammars.

First comes what nothing can guarantee, by the one list of `structq.schemas.support`. The rest is
what strict servers ask for and ``parse_answer`` reads: closed objects with every property required,
one type, labels of text, integers, booleans or null. What is left out is an error that names it,
never a constraint that is silently dropped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from structq.errors import SchemaError, shorten
from structq.schemas.support import DEFINITIONS, KEYWORDS, NOTES, Fault, escaped, unsupported

__all__ = ["lint"]

Schema = Mapping[str, Any]

_REFERENCE = "#/$defs/"
_KINDS = {bool: "boolean", str: "string", int: "integer", type(None): "null"}


def lint(schema: Schema) -> None:
    """Checks that every part of the schema can be guaranteed.

    Raises:
        SchemaError: With the keyword and the JSON pointer to it.
    """
    fault = unsupported(schema) or next(_faults(schema, ""), None)
    if fault is not None:
        place = f"{fault.pointer}/{escaped(fault.keyword)}"
        raise SchemaError(
            f"schema keyword {fault.keyword!r} at {place}: {fault.reason}",
            keyword=fault.keyword,
            pointer=place,
        )


def _faults(part: Schema, pointer: str) -> Iterator[Fault]:
    for keyword, check in _ALONE.items():
        if keyword in part:
            yield from _others(part, {keyword, "type"}, pointer)
            yield from check(part, pointer)
            break
    else:
        yield from _typed_faults(part, pointer)
    for child, place in _children(part, pointer):
        yield from _faults(child, place)


def _others(part: Schema, allowed: set[str], pointer: str) -> Iterator[Fault]:
    known = allowed | NOTES | (set() if pointer else {"$defs"})
    for keyword in part:
        if keyword not in known:
            yield Fault(str(keyword), pointer, "cannot be guaranteed here")


def _typed_faults(part: Schema, pointer: str) -> Iterator[Fault]:
    kind = part.get("type")
    if not isinstance(kind, str):
        # What is unknown is named first: it says more than the lack of one type.
        yield from _others(part, {"type"}.union(*KEYWORDS.values()), pointer)
        reason = f"must be one of {', '.join(KEYWORDS)}, found {shorten(kind)}"
        yield Fault("type", pointer, reason)
        return
    yield from _others(part, {"type", *KEYWORDS[kind]} - {"format"}, pointer)
    if kind == "object":
        yield from _object_faults(part, pointer)


def _object_faults(part: Schema, pointer: str) -> Iterator[Fault]:
    if part["additionalProperties"] is not False:
        reason = "must be false (other keys could be anything)"
        yield Fault("additionalProperties", pointer, reason)
    if "properties" not in part:
        yield Fault("properties", pointer, "is missing (a closed object names its keys)")
        return
    if optional := sorted(set(part["properties"]) - set(part.get("required", ()))):
        reason = f"must name exactly the properties; differs in {shorten(optional)}"
        yield Fault("required", pointer, reason)


def _reference_faults(part: Schema, pointer: str) -> Iterator[Fault]:
    name = part["$ref"].removeprefix(_REFERENCE)
    if name == part["$ref"] or "/" in name or name != escaped(name):
        yield Fault("$ref", pointer, f"must point into {_REFERENCE}, found {shorten(part['$ref'])}")


def _label_faults(part: Schema, pointer: str) -> Iterator[Fault]:
    keyword = "enum" if "enum" in part else "const"
    for value in part[keyword] if keyword == "enum" else [part[keyword]]:
        kind = _KINDS.get(type(value))
        if kind is None:
            allowed = "text, integers, booleans and null can be held"
            yield Fault(keyword, pointer, f"holds {shorten(value)} ({allowed})")
        elif part.get("type", kind) not in (kind, "number" if kind == "integer" else kind):
            reason = f"{shorten(part['type'])} does not fit the value {shorten(value)}"
            yield Fault("type", pointer, reason)


def _no_faults(_part: Schema, _pointer: str) -> Iterator[Fault]:
    return iter(())


_ALONE = {
    "$ref": _reference_faults,
    "anyOf": _no_faults,
    "enum": _label_faults,
    "const": _label_faults,
}


def _children(part: Schema, pointer: str) -> Iterator[tuple[Schema, str]]:
    """The schemas inside a schema, with the pointers to them."""
    for keyword in ("properties", *sorted(DEFINITIONS)):
        for name, child in part.get(keyword, {}).items():
            yield child, f"{pointer}/{keyword}/{escaped(name)}"
    if isinstance(part.get("items"), Mapping):
        yield part["items"], f"{pointer}/items"
    for keyword in ("prefixItems", "anyOf"):
        for place, child in enumerate(part.get(keyword, ())):
            yield child, f"{pointer}/{keyword}/{place}"
