"""Rising curves from a score to the probability of each level of a label, fitted to labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from structq.evaluation.numbers import Floats, library

__all__ = ["METHODS", "Curve", "Fit", "above", "brier_of", "shares", "stretched"]

Curve = list[dict[str, list[float]]]
"""For each level but the lowest: ``x``, ascending, and the probability ``p`` of that or more."""
Fit = Callable[[Floats, Floats, Sequence[float]], Curve]
"""From scores, labels and levels to a curve."""


def above(curve: Curve, x: Floats) -> Floats:
    """Probability of each level or more at each score, shape ``(n, n_levels - 1)``."""
    return np.stack([np.interp(x, one["x"], one["p"]) for one in curve], axis=1)


def shares(or_more: Floats) -> Floats:
    """Probability of each level from that of each level or more, which never rises."""
    or_more = np.minimum.accumulate(or_more, axis=1)
    ends = np.ones((len(or_more), 1)), np.zeros((len(or_more), 1))
    whole = np.concatenate([ends[0], or_more, ends[1]], axis=1)
    found: Floats = whole[:, :-1] - whole[:, 1:]
    return found


def brier_of(or_more: Floats, y: Floats, levels: Sequence[float]) -> float:
    """Mean squared error of the probability of each level or more.

    Brier's score for two levels, the ranked probability score for several.
    """
    outcomes = y[:, None] >= np.asarray(levels)[None, 1:]
    return float(((or_more - outcomes) ** 2).mean())


def stretched(x: Floats, scale: tuple[float, float], levels: Sequence[float]) -> Floats:
    """The scores as they are, stretched onto the levels; between two levels, of both."""
    place = np.clip((x - scale[0]) / (scale[1] - scale[0]), 0, 1) * (len(levels) - 1)
    found: Floats = np.clip(place[:, None] - np.arange(len(levels) - 1)[None], 0, 1)
    return found


def _isotonic(x: Floats, y: Floats, levels: Sequence[float]) -> Curve:
    regression = library("sklearn.isotonic").IsotonicRegression
    curves = []
    for level in levels[1:]:
        fitted = regression(out_of_bounds="clip", y_min=0.0, y_max=1.0).fit(x, y >= level)
        curves.append(
            {"x": fitted.X_thresholds_.tolist(), "p": fitted.y_thresholds_.clip(0, 1).tolist()}
        )
    return curves


_GRID = 200


def _ordinal(x: Floats, y: Floats, levels: Sequence[float]) -> Curve:
    """Cumulative logits with one slope, as points of their curves.

    Far from the middle scores count by their logarithm (the inverse hyperbolic sine): a sum of log
    probabilities that is ten times another's makes nothing ten times as sure.
    """
    center = float(np.median(x))
    width = float(np.median(np.abs(x - center))) or float(x.std()) or 1.0
    z = np.arcsinh((x - center) / width)
    places = np.searchsorted(np.asarray(levels), y)

    def cuts_of(free: Floats) -> Floats:
        return np.concatenate([free[:1], free[0] + np.cumsum(np.exp(free[1:]))])

    def loss(parameters: Floats) -> float:
        or_more = _logistic(np.exp(parameters[0]) * z[:, None] - cuts_of(parameters[1:])[None])
        chosen = shares(or_more)[np.arange(len(z)), places]
        # A little weight on the slope: classes that can be told apart entirely have no best one.
        return float(-np.log(np.maximum(chosen, 1e-12)).sum() + 0.05 * np.exp(2 * parameters[0]))

    start = np.concatenate([[-1.0, -1.0], np.zeros(len(levels) - 2)])
    best = library("scipy.optimize").minimize(loss, start, method="L-BFGS-B").x
    slope, cuts = float(np.exp(best[0])), cuts_of(best[1:])
    grid = np.linspace(z.min(), z.max(), _GRID)
    return [
        {
            "x": (center + width * np.sinh(grid)).tolist(),
            "p": _logistic(slope * grid - cut).tolist(),
        }
        for cut in cuts
    ]


def _base_rate(x: Floats, y: Floats, levels: Sequence[float]) -> Curve:
    return [{"x": [0.0], "p": [float((y >= level).mean())]} for level in levels[1:]]


def _logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))


METHODS: Mapping[str, Fit] = {
    "isotonic": _isotonic,
    "ordinal": _ordinal,
    "base rate": _base_rate,
}
