"""How sure a figure is: bootstraps over rows, and means that predictions help to measure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from structq.errors import InputError
from structq.evaluation.numbers import Floats, finite, library, same_length

__all__ = ["Interval", "bootstrap_interval", "prediction_powered_mean"]

_RESAMPLES = 2000
_CHUNK = 1 << 22


class Interval(NamedTuple):
    """A figure with its interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    values: Iterable[float],
    weights: Iterable[float] | None = None,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The mean over rows with a percentile bootstrap interval, widened for few rows.

    Rows are drawn, so what a row holds several of (pairs) stays together. The percentile interval
    is too narrow for few rows, by about the factor by which Student's quantile is above the
    normal one times the square root of n/(n-1); it is stretched by that (Hesterberg, 2015).

    Args:
        values: Sums over each row, such as the pairs that are right.
        weights: What each sum is to be divided by, such as the pairs there are; 1 by default.
        level: Probability that the interval should cover the truth.
        seed: Fixes the draws.

    Raises:
        InputError: There is no row, or no weight.
    """
    x = finite(values, "values")
    w = np.ones_like(x) if weights is None else finite(weights, "weights")
    same_length(x, w, ("values", "weights"))
    if not w.sum() > 0:
        raise InputError("weights: sum to nothing", field="weights")
    value, n = float(x.sum() / w.sum()), len(x)
    if n == 1:
        return Interval(value, -math.inf, math.inf)
    draws = np.concatenate(list(_means(x, w, np.random.default_rng(seed))))
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    stats = library("scipy.stats")
    stretch = math.sqrt(n / (n - 1)) * stats.t.ppf(1 - tail, n - 1) / stats.norm.ppf(1 - tail)
    return Interval(
        value, value - (value - float(low)) * stretch, value + (float(high) - value) * stretch
    )


def _means(x: Floats, w: Floats, rng: np.random.Generator) -> Iterable[Floats]:
    step = max(1, _CHUNK // len(x))
    for first in range(0, _RESAMPLES, step):
        rows = rng.integers(0, len(x), (min(step, _RESAMPLES - first), len(x)))
        weights = w[rows].sum(axis=1)
        sums = x[rows].sum(axis=1)
        yield sums[weights > 0] / weights[weights > 0]


def prediction_powered_mean(
    labels: Iterable[float],
    predicted: Iterable[float],
    others: Iterable[float],
    *,
    level: float = 0.95,
) -> Interval:
    """The mean of labels over a data set of which few rows have one and all have a prediction.

    The mean of the predictions, put right by how far they are off where there is a label, and
    trusted as far as they follow the labels (Angelopoulos et al., arXiv 2301.09633, with the
    weight of 2311.01453). The naive interval of the predictions' mean is narrower, and wrong.

    Args:
        labels: Of the n labelled rows, drawn at random from the data set.
        predicted: Of the same rows; by a model that was not fitted to their own labels.
        others: Predictions of the N rows without a label.
        level: Probability that the interval should cover the truth.

    Raises:
        InputError: Fewer than two labels, or no other row.
    """
    y, f = finite(labels, "labels"), finite(predicted, "predicted")
    same_length(y, f, ("labels", "predicted"))
    rest = finite(others, "others")
    n, n_others = len(y), len(rest)
    if n < 2 or n_others < 1:
        raise InputError(
            f"labels: at least 2 are needed and 1 other prediction, found {n} and {n_others}",
            field="labels",
        )
    spread = float(np.concatenate([f, rest]).var(ddof=1))
    shared = float(np.cov(y, f)[0, 1])
    trust = min(1.0, max(0.0, shared / ((1 + n / n_others) * spread))) if spread > 0 else 0.0
    value = float(trust * rest.mean() + (y - trust * f).mean())
    # With one other prediction their own spread is not known: that of all is.
    of_others = float(rest.var(ddof=1)) if n_others > 1 else spread
    variance = trust**2 * of_others / n_others + float((y - trust * f).var(ddof=1)) / n
    width = float(library("scipy.stats").t.ppf((1 + level) / 2, n - 1)) * math.sqrt(variance)
    return Interval(value, value - width, value + width)
