"""What people, or a reference, say about the responses of a row: one number a response."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from structq.errors import InputError, shorten

__all__ = ["KINDS", "Labels", "labels_of"]

KINDS = ("best", "correct", "human_scores", "model_scores")
"""What a row's labels may hold, in the order in which one is taken."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of one row."""

    values: tuple[float, ...]
    """One a response; higher is better."""
    kind: str
    """One of `KINDS`."""

    @property
    def compares(self) -> bool:
        """Whether they say which response is the better one, and not how good each is."""
        return self.kind == "best"


def labels_of(
    row: Mapping[str, Any], *, column: str = "labels", kind: str | None = None
) -> Labels | None:
    """The labels of a row, or ``None`` where it has none of the kind.

    Args:
        row: With ``column``: a list of one number or boolean a response, the place of the best
            response (from 0), or a mapping with at least one of ``best`` (such a place), ``tie``
            (``true`` where two are equally good), ``correct`` (booleans), ``human_scores`` and
            ``model_scores`` (numbers).
        column: Where they stand.
        kind: Which of them; by default the first that is there, in the order of `KINDS`.

    Raises:
        InputError: They are of another form.
    """
    found = row.get(column)
    if found is None:
        return None
    n = len(row["responses"]) if isinstance(row.get("responses"), list) else None
    if isinstance(found, list):
        found = {"correct" if all(isinstance(v, bool) for v in found) else "human_scores": found}
    elif isinstance(found, int) and not isinstance(found, bool):
        found = {"best": found}
    if not isinstance(found, Mapping):
        raise _fault(column, f"must be labels, found {shorten(found)}")
    if found.get("tie") is True and "best" not in found and kind in (None, "best"):
        return Labels(values=(0.5,) * (n or 2), kind="best")
    for name in KINDS if kind is None else (kind,):
        if found.get(name) is not None:
            return Labels(values=_values(found[name], name, n, column), kind=name)
    return None


def _values(found: Any, kind: str, n: int | None, column: str) -> tuple[float, ...]:
    place = f"{column}.{kind}"
    if kind == "best":
        most = 2 if n is None else n
        if type(found) is not int or not 0 <= found < most:
            raise _fault(place, f"must be the place of a response, from 0, found {shorten(found)}")
        return tuple(float(i == found) for i in range(most))
    if not isinstance(found, list) or (n is not None and len(found) != n):
        raise _fault(place, f"must be a list of {n} values, one a response: {shorten(found)}")
    for i, value in enumerate(found):
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise _fault(f"{place}[{i}]", f"must be a finite number, found {shorten(value)}")
    return tuple(float(value) for value in found)


def _fault(place: str, reason: str) -> InputError:
    return InputError(f"{place}: {reason}", field=place)
