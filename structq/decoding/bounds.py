"""Bounds on numbers, without which an answer could not be read back; knows nothing of tokens."""

from __future__ import annotations

import decimal
import math
from collections.abc import Mapping
from typing import Any

from structq.schemas.support import DEFINITIONS, NUMBER_BOUNDS, kinds_of

__all__ = ["guarded"]

_DIGITS = 15
"""Significant digits of a bound on numbers: the grammar rounds longer ones, at times outwards."""
_LARGEST = 10**_DIGITS - 1
"""Numbers without a bound end here; every JSON reader holds such an integer exactly."""
_SMALLEST = 1e-12
"""Distance kept from an excluded zero, to which a long enough fraction rounds."""
_UPWARDS = decimal.Context(prec=_DIGITS, rounding=decimal.ROUND_CEILING)


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
