"""Strict reading of an answer: JSON, exactly the closed schema, and no repair of anything.

Strict means: no second value for a key, no ``NaN``, no lone surrogate, and no value of another type
that happens to compare equal (``true`` is not ``1``, ``4.0`` is not ``4``, ``"3"`` is not ``3``).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from structq.errors import shorten

__all__ = ["AnswerFormatError", "parse_answer"]

Schema = Mapping[str, Any]


class AnswerFormatError(ValueError):
    """What is wrong with an answer, and where in it."""


def parse_answer(text: str, schema: Schema) -> Any:
    """The value of a JSON text that obeys the schema.

    Args:
        text: The answer of an LM; whitespace around it is allowed.
        schema: A schema that passes ``lint``.

    Raises:
        AnswerFormatError: The text is not JSON, or breaks the schema; the message says where.
    """
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise AnswerFormatError(f"not JSON: {error.msg} at character {error.pos}") from error
    except RecursionError as error:
        raise AnswerFormatError("not JSON that can be read: nested too deeply") from error
    except AnswerFormatError:
        raise
    except ValueError as error:  # an integer of more digits than Python converts
        raise AnswerFormatError(f"not JSON that can be read: {error}") from error
    _check(value, schema, schema, "")
    return value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise AnswerFormatError(f"the key {shorten(twice)} is there twice")
    return value


def _refuse_constant(name: str) -> None:
    raise AnswerFormatError(f"{name} is not JSON")


def _check(value: Any, schema: Schema, root: Schema, path: str) -> None:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        _check(value, schema, root, path)
    elif "anyOf" in schema:
        _check_any_of(value, schema, root, path)
    elif "enum" in schema or "const" in schema:
        labels = schema["enum"] if "enum" in schema else [schema["const"]]
        # 1 equals true and 1.0, which are other labels.
        same = [label for label in labels if label == value] if value in labels else []
        if type(value) not in map(type, same):
            raise _fault(path, f"found {shorten(value)} (must be one of {shorten(labels)})")
    else:
        _CHECKS[schema["type"]](value, schema, root, path)


def _check_any_of(value: Any, schema: Schema, root: Schema, path: str) -> None:
    reasons = []
    for option in schema["anyOf"]:
        try:
            _check(value, option, root, path)
        except AnswerFormatError as fault:
            reasons.append(str(fault))
        else:
            return
    raise AnswerFormatError(" and ".join(reasons))


def _check_object(value: Any, schema: Schema, root: Schema, path: str) -> None:
    if not isinstance(value, dict):
        raise _fault(path, f"must be an object, found {shorten(value)}")
    properties = schema["properties"]
    if missing := [name for name in properties if name not in value]:
        raise _fault(path, f"lacks the key {missing[0]!r}")
    if unknown := [name for name in value if name not in properties]:
        raise _fault(path, f"has the unknown key {shorten(unknown[0])}")
    for name, child in properties.items():
        _check(value[name], child, root, f"{path}/{name}")


def _check_array(value: Any, schema: Schema, root: Schema, path: str) -> None:
    if not isinstance(value, list):
        raise _fault(path, f"must be an array, found {shorten(value)}")
    _check_size(len(value), schema, "minItems", "maxItems", path, "items")
    prefix = schema.get("prefixItems", ())
    rest = schema.get("items")
    for i, item in enumerate(value):
        part = prefix[i] if i < len(prefix) else rest
        if not isinstance(part, Mapping):
            raise _fault(path, f"has {len(value)} items (must have at most {len(prefix)})")
        _check(item, part, root, f"{path}/{i}")


def _check_string(value: Any, schema: Schema, _root: Schema, path: str) -> None:
    if not isinstance(value, str):
        raise _fault(path, f"must be text, found {shorten(value)}")
    _check_size(len(value), schema, "minLength", "maxLength", path, "characters")
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        raise _fault(path, f"{shorten(value)} does not match {shorten(schema['pattern'])}")
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise _fault(path, "holds a lone surrogate (not valid Unicode)")


def _check_number(value: Any, schema: Schema, _root: Schema, path: str) -> None:
    kinds = (int,) if schema["type"] == "integer" else (int, float)
    if type(value) not in kinds:
        raise _fault(path, f"must be of type {schema['type']}, found {shorten(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise _fault(path, "is too large for a number")
    for keyword, holds in _BOUNDS.items():
        if keyword in schema and not holds(value, schema[keyword]):
            raise _fault(path, f"{shorten(value)} breaks {keyword} {schema[keyword]}")


def _check_boolean(value: Any, _schema: Schema, _root: Schema, path: str) -> None:
    if not isinstance(value, bool):
        raise _fault(path, f"must be true or false, found {shorten(value)}")


def _check_null(value: Any, _schema: Schema, _root: Schema, path: str) -> None:
    if value is not None:
        raise _fault(path, f"must be null, found {shorten(value)}")


_CHECKS = {
    "object": _check_object,
    "array": _check_array,
    "string": _check_string,
    "integer": _check_number,
    "number": _check_number,
    "boolean": _check_boolean,
    "null": _check_null,
}
_BOUNDS: dict[str, Callable[[float, float], bool]] = {
    "minimum": lambda value, bound: value >= bound,
    "maximum": lambda value, bound: value <= bound,
    "exclusiveMinimum": lambda value, bound: value > bound,
    "exclusiveMaximum": lambda value, bound: value < bound,
    "multipleOf": lambda value, step: _divides(step, value),
}


def _divides(step: float, value: float) -> bool:
    if isinstance(step, int) and isinstance(value, int):
        return value % step == 0
    return abs(math.remainder(value, step)) <= 1e-9 * abs(step)


def _check_size(size: int, schema: Schema, low: str, high: str, path: str, what: str) -> None:
    if size < schema.get(low, 0):
        raise _fault(path, f"has {size} {what} (must have at least {schema[low]})")
    if size > schema.get(high, size):
        raise _fault(path, f"has {size} {what} (must have at most {schema[high]})")


def _fault(path: str, reason: str) -> AnswerFormatError:
    return AnswerFormatError(f"{path or 'the answer'}: {reason}")
