"""Whether probabilities mean what they say: Brier score, calibration error, reliability curve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from structq.errors import InputError
from structq.evaluation.numbers import Floats, finite, same_length

__all__ = ["Reliability", "brier", "expected_calibration_error", "reliability"]


class Reliability(NamedTuple):
    """One bin of a reliability curve."""

    low: float
    """Where the bin begins; it ends where the next one begins, the last one at 1."""
    predicted: float
    """Mean probability in the bin."""
    observed: float
    """Share of outcomes that came true."""
    n: int
    """So many of them."""


def brier(probabilities: Iterable[float], outcomes: Iterable[float]) -> float:
    """Mean squared difference between probability and outcome (0 or 1); lower is better."""
    p, y = _both(probabilities, outcomes)
    return float(((p - y) ** 2).mean())


def expected_calibration_error(
    probabilities: Iterable[float], outcomes: Iterable[float], n_bins: int = 10
) -> float:
    """Mean difference between probability and share of true outcomes over bins of equal width."""
    p, y = _both(probabilities, outcomes)
    bins = _reliability(p, y, n_bins)
    return sum(one.n * abs(one.predicted - one.observed) for one in bins) / len(p)


def reliability(
    probabilities: Iterable[float], outcomes: Iterable[float], n_bins: int = 10
) -> list[Reliability]:
    """The bins of equal width that hold a probability, ascending."""
    return _reliability(*_both(probabilities, outcomes), n_bins)


def _reliability(p: Floats, y: Floats, n_bins: int) -> list[Reliability]:
    # A probability on an edge belongs to the bin that begins there; 1 to the last one.
    places = np.minimum((p * n_bins).astype(int), n_bins - 1)
    return [
        Reliability(
            low=place / n_bins,
            predicted=float(p[places == place].mean()),
            observed=float(y[places == place].mean()),
            n=int((places == place).sum()),
        )
        for place in np.unique(places).tolist()
    ]


def _both(probabilities: Iterable[float], outcomes: Iterable[float]) -> tuple[Floats, Floats]:
    p, y = finite(probabilities, "probabilities"), finite(outcomes, "outcomes")
    same_length(p, y, ("probabilities", "outcomes"))
    if ((p < 0) | (p > 1)).any():
        raise InputError("probabilities: must be from 0 to 1", field="probabilities")
    if not np.isin(y, (0.0, 1.0)).all():
        raise InputError("outcomes: must be 0 or 1", field="outcomes")
    return p, y
