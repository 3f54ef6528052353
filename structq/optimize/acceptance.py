"""The one test of a search: does the candidate beat the seed on rows that nobody has looked at?

``draw_pairs`` plans it, ``judge`` decides it. The unit is the row: the mean over the row's pairs of
what the candidate gains less what the seed gains. Where both programs would draw the same mutation
with the same template the difference is zero by definition and costs nothing.

Sign-flip, t and studentised bootstrap were compared by ``python benchmarks/acceptance.py --repeats
1000``: on the null simulator they rejected .046/.047/.047 at 6 rows, .051/.052/.045 at 10 and
.051/.052/.052 at 35 (two standard errors: .014), and their power was the same within error. The
sign-flip is used: under the null the programs' names can be exchanged on every row, and so it needs
neither a normal distribution nor many rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .verdict import Gain

__all__ = ["Pair", "Test", "adjust", "draw_pairs", "gain_of", "n_rows_to_settle", "p_value"]

Floats = NDArray[np.float64]
Test = Literal["sign-flip", "t", "bootstrap"]

_N_FLIPS = 9_999
_POWER = 0.8
_FEWEST_TO_ADJUST = 15


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two trials on one row: the mutation that each program draws there."""

    row: int
    """Index into the validation rows."""
    candidate: int
    """Number of the candidate's mutation."""
    seed: int
    """Number of the seed's."""


def draw_pairs(
    n_pairs: int,
    n_rows: int,
    candidate: Sequence[float],
    seed: Sequence[float],
    rng: np.random.Generator,
) -> list[Pair]:
    """Pairs whose mean difference is the difference of the programs under their own draws.

    Rows are taken in random order, each once before any comes again. Both programs draw with the
    same number, so that equal weights mean the same mutation; over all pairs the numbers are spread
    evenly, and so is each row's share of them.

    Args:
        n_pairs: How many; fewer come back if there are no more different ones.
        n_rows: Validation rows.
        candidate: Weight of each mutation in the candidate.
        seed: The same for the seed.
        rng: Source of the order.
    """
    if n_rows < 1 or n_pairs < 1:
        return []
    ends = [np.cumsum(np.asarray(w) / np.sum(w)) for w in (candidate, seed)]
    order = rng.permutation(n_rows)
    n_rounds = min(math.ceil(n_pairs / n_rows), len(ends[0]))
    # Row i starts at its own place on the circle, later rounds go on by equal steps.
    starts = (rng.permutation(n_rows) + rng.random()) / n_rows
    pairs = []
    for step in range(n_rounds):
        for row in order.tolist():
            u = (starts[row] + step / n_rounds) % 1.0
            mine, theirs = (int(min(np.searchsorted(e, u, side="right"), len(e) - 1)) for e in ends)
            pairs.append(Pair(row=row, candidate=mine, seed=theirs))
    return pairs[:n_pairs]


def adjust(differences: Sequence[float], readings: Sequence[float]) -> list[float]:
    """Differences without what chance readings of the original put into them.

    A pair's two trials score the same original twice. What the two scores differ by is noise that
    entered both gains; the differences are regressed on it, through zero. Where the two programs
    change names both columns change their signs, the slope stays, and the sign-flip test of the
    result is as exact as that of the differences.

    Args:
        differences: Candidate's gain less the seed's, one a pair.
        readings: Original's score beside the candidate's less that beside the seed's.
    """
    d, c = np.asarray(differences, dtype=np.float64), np.asarray(readings, dtype=np.float64)
    square = float(c @ c)
    # With few pairs the slope would be noise itself.
    if len(d) < _FEWEST_TO_ADJUST or square <= 0:
        return list(differences)
    return [float(value) for value in d - (d @ c) / square * c]


def p_value(differences: Sequence[float] | Floats, test: Test, rng: np.random.Generator) -> float:
    """One-sided p-value of "the mean difference is above zero"."""
    d = np.asarray(differences, dtype=np.float64)
    n = len(d)
    if n < 2 or not np.any(d):
        return 1.0
    if test == "t":
        spread = float(d.std(ddof=1))
        return _t_tail(float(d.mean()) / (spread / math.sqrt(n)), n - 1) if spread else 0.5**n
    if test == "bootstrap":
        return _bootstrap(d, rng)
    # Under the null the two programs could change names on any row: signs are exchangeable.
    signs = rng.integers(0, 2, size=(_N_FLIPS, n), dtype=np.int8) * 2 - 1
    flipped = signs @ d
    return (1 + int((flipped >= d.sum() - 1e-12).sum())) / (_N_FLIPS + 1)


def gain_of(differences: Sequence[float] | Floats) -> Gain | None:
    """Mean and 95 % t interval; ``None`` without two differences."""
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    half = _t_quantile(0.975, len(d) - 1) * float(d.std(ddof=1)) / math.sqrt(len(d))
    mean = float(d.mean())
    return Gain(mean=mean, low=mean - half, high=mean + half, n=len(d))


def n_rows_to_settle(differences: Sequence[float] | Floats, level: float) -> int | None:
    """Rows with which a test would accept in 80 % of cases, were the estimate the truth."""
    d = np.asarray(differences, dtype=np.float64)
    mean = float(d.mean()) if len(d) else 0.0
    if len(d) < 2 or mean <= 0:
        return None
    normal = NormalDist()
    reach = normal.inv_cdf(1 - level) + normal.inv_cdf(_POWER)
    return max(2, math.ceil((reach * float(d.std(ddof=1)) / mean) ** 2))


def _bootstrap(d: Floats, rng: np.random.Generator) -> float:
    """Of the studentised mean, resampled from the differences moved to mean zero."""
    n = len(d)
    found = _student(d[None, :])[0]
    centred = d - d.mean()
    drawn = centred[rng.integers(0, n, size=(1_999, n))]
    return (1 + int((_student(drawn) >= found).sum())) / 2_000


def _student(rows: Floats) -> Floats:
    spread = rows.std(axis=1, ddof=1)
    return np.asarray(rows.mean(axis=1) / np.maximum(spread, 1e-12) * math.sqrt(rows.shape[1]))


def _t_tail(t: float, df: int) -> float:
    """P(T > t), by integrating the density over its angle: t = sqrt(df) tan(angle)."""
    # The density of the angle is cos(angle) ** (df - 1), which a fine grid integrates exactly
    # enough: the error is below 1e-9 for every df.
    angles = np.linspace(-np.pi / 2, np.pi / 2, 20_001)
    density = np.cos(angles) ** (df - 1)
    below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(1 - np.interp(math.atan(t / math.sqrt(df)), angles, below / below[-1]))


def _t_quantile(p: float, df: int) -> float:
    """The t at which P(T < t) = p, by bisection."""
    low, high = -1e4, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - _t_tail(middle, df) < p else (low, middle)
    return (low + high) / 2
