"""A JSON Schema as a grammar of llguidance; knows nothing of tokens.

Numbers get bounds, without which an answer could not be read back.
"""

from __future__ import annotations

import decimal
import json
import math
from collections.abc import Mapping
from typing import Any

import llguidance

from structq.errors import SchemaError
from structq.schemas.support import DEFINITIONS, NUMBER_BOUNDS, kinds_of, unsupported

__all__ = ["guarded", "json_grammar", "text_grammar"]

# Whitespace is never flexible: such a grammar lets a model emit it without end.
_COMPACT = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
_SPACED = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# Escapes of free text. Without \b, \f and \u a model that starts to write \frac or \beta has to
# write \\frac or \\beta.
_ESCAPES = '"\\nrt'
_DIGITS = 15
"""Significant digits of a bound on numbers: the grammar rounds longer ones, at times outwards."""
_LARGEST = 10**_DIGITS - 1
"""Numbers without a bound end here; every JSON reader holds such an integer exactly."""
_SMALLEST = 1e-12
"""Distance kept from an excluded zero, to which a long enough fraction rounds."""
_UPWARDS = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_CEILING)


def text_grammar(all_controls: bool) -> str:
    """Any text that UTF-8 can hold; without most control characters, unless all are wanted."""
    signs = "(?s:.*)" if all_controls else r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*"
    return str(llguidance.LLMatcher.grammar_from_regex(signs))


def json_grammar(schema: Mapping[str, Any], spaced: bool, all_controls: bool) -> str:
    """JSON that obeys the schema, every number bounded.

    Raises:
        SchemaError: A keyword that cannot be guaranteed.
    """
    found = unsupported(schema)
    if found is not None:
        raise SchemaError(
            f"the grammar cannot guarantee this of the schema: {found.keyword!r} at "
            f"{found.pointer or '/'}: {found.reason}",
            keyword=found.keyword,
            pointer=found.pointer,
        )
    options: Any = dict(_SPACED if spaced else _COMPACT)
    if not all_controls:
        options["json_allowed_escapes"] = _ESCAPES
    return str(
        llguidance.LLMatcher.grammar_from_json_schema(
            json.dumps(guarded(schema)), overrides=options
        )
    )


def guarded(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same schema with every number bounded to what a JSON reader holds exactly.

    An unbounded number could read back as infinity (``1e999``), an unbounded integer could be
    longer than Python reads, and ``0.9999999999999999999`` reads as the 1 that ``exclusiveMaximum:
    1`` forbids. Values that the schema allows may be refused by this; none that it forbids is let
    through.
    """
    return {key: _guarded_value(key, value) for key, value in _with_bounds(schema).items()}


def _guarded_value(key: str, value: Any) -> Any:
    if key in DEFINITIONS | {"properties"}:
        return {name: _guarded_node(inner) for name, inner in value.items()}
    if key in {"anyOf", "allOf", "prefixItems"}:
        return [_guarded_node(inner) for inner in value]
    return _guarded_node(value) if key in {"items", "additionalProperties"} else value


def _guarded_node(node: Any) -> Any:
    return guarded(node) if isinstance(node, Mapping) else node


def _with_bounds(node: Mapping[str, Any]) -> Mapping[str, Any]:
    kinds = kinds_of(node)
    if not kinds & {"integer", "number"} or "enum" in node or "const" in node:
        return node
    whole = "number" not in kinds
    low = _lowest(node.get("minimum"), node.get("exclusiveMinimum"), whole=whole)
    high = _lowest(_minus(node.get("maximum")), _minus(node.get("exclusiveMaximum")), whole=whole)
    rest = {key: value for key, value in node.items() if key not in NUMBER_BOUNDS}
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
