"""The one test of a search: does the candidate beat the seed on rows that nobody has looked at?

The unit is the row: the mean over the row's pairs of what the candidate gains less what the seed
gains. It is a sign-flip test: under the null the two can be exchanged on every row, and so it
needs neither a normal distribution nor many rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist, fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structq.texts import n_words

from .result import Change, Gain, Verdict
from .trials import Outcome, Space, Trial

__all__ = ["MIN_ROWS", "adjust", "gain_of", "judge", "p_value", "plan_pairs"]

Floats = NDArray[np.float64]

MIN_ROWS = 5
"""Five signs can be flipped in 32 ways: with fewer rows no test reaches 5 %."""
_N_FLIPS = 9_999
_POWER = 0.8
_FEWEST_TO_ADJUST = 15
_N_SHOWN = 5


def plan_pairs(
    space: Space, best: Mapping[str, str], n_pairs: int, n_rows: int, rng: np.random.Generator
) -> list[tuple[Trial, Trial]]:
    """Candidate and seed on the same rows, each group as often as its weight says.

    Rows are taken in random order, each once before any comes again. Where the two have the same
    texts their difference is zero and nothing need be asked: only other pairs count.
    """
    ends = np.cumsum(np.asarray(space.weights) / np.sum(space.weights))
    order = rng.permutation(n_rows)
    n_rounds = len(ends) if n_rows else 0
    # Row i starts at its own place on the circle, later rounds go on by equal steps.
    starts = (rng.permutation(n_rows) + rng.random()) / max(n_rows, 1)
    pairs: list[tuple[Trial, Trial]] = []
    asked: set[Trial] = set()
    for step in range(n_rounds):
        for row in order.tolist():
            u = (starts[row] + step / n_rounds) % 1.0
            group = int(min(np.searchsorted(ends, u, side="right"), len(ends) - 1))
            names = space.groups[group]
            mine, theirs = _trial(names, best, row), _trial(names, space.templates, row)
            asked |= {mine} - {theirs}
            if len(asked) > n_pairs:
                return pairs
            pairs.append((mine, theirs))
    return pairs


def _trial(names: Sequence[str], texts: Mapping[str, str], row: int) -> Trial:
    return Trial(texts=tuple((name, texts[name]) for name in names), split="val", row=row)


def judge(
    pairs: Sequence[tuple[Outcome, Outcome]],
    *,
    level: float,
    rng: np.random.Generator,
    same: Sequence[int] = (),
) -> tuple[Verdict, dict[str, Gain]]:
    """The verdict, and the gain of each group that has rows of its own.

    Args:
        pairs: Candidate and seed on the same rows.
        level: Of the test.
        rng: Flips signs.
        same: Rows that met a group in which the two are the same, once for each time.
    """
    readings = [
        0.0 if a.original is None or b.original is None else a.original - b.original
        for a, b in pairs
    ]
    differences = adjust([a.gain - b.gain for a, b in pairs], readings)
    by_row: dict[int, list[float]] = {}
    for row in same:
        by_row.setdefault(row, []).append(0.0)
    by_group: dict[str, list[float]] = {}
    for (mine, _), difference in zip(pairs, differences, strict=True):
        by_row.setdefault(mine.trial.row, []).append(difference)
        names = ", ".join(name for name, _ in mine.trial.texts)
        by_group.setdefault(names, []).append(difference)
    gains = {names: gain for names, found in by_group.items() if (gain := gain_of(found))}
    rows = [fmean(found) for found in by_row.values()]
    verdict = _decide(rows, sum(a.n_calls + b.n_calls for a, b in pairs), level, rng)
    return replace(verdict, **_costs(pairs)), gains if len(gains) > 1 else {}


def _decide(rows: list[float], n_calls: int, level: float, rng: np.random.Generator) -> Verdict:
    gain, n = gain_of(rows), len(rows)
    if n < MIN_ROWS:
        reason = f"{n} validation rows are too few for a test (at least {MIN_ROWS} are needed)"
        return Verdict(accepted=False, reason=reason, gain=gain)
    p = p_value(rows, rng)
    if p <= level:
        reason = f"better than the seed on {n} validation rows (p = {p:.4f})"
        return Verdict(accepted=True, reason=reason, gain=gain, p_value=p)
    wanted = _n_rows_to_settle(rows, level)
    if wanted is None:
        reason = f"not better than the seed on {n} validation rows (p = {p:.4f})"
        return Verdict(accepted=False, reason=reason, gain=gain, p_value=p)
    calls = math.ceil(wanted * n_calls / n)
    reason = (
        f"looks better by {fmean(rows):+.3f}, but {n} validation rows do not prove it "
        f"(p = {p:.4f}); about {calls} calls on {wanted} rows would settle it"
    )
    return Verdict(accepted=False, reason=reason, gain=gain, p_value=p, n_calls_to_settle=calls)


def _costs(pairs: Sequence[tuple[Outcome, Outcome]]) -> dict[str, Any]:
    """What a person wants to know beside the mean."""
    whole = [(a, b) for a, b in pairs if a.evolved is not None and b.evolved is not None]
    facts: dict[str, Any] = {}
    if whole:
        words = [fmean(n_words(o.evolved or "") for o in side) for side in zip(*whole, strict=True)]
        facts["n_words"] = (round(words[1]), round(words[0]))
    if pairs:
        calls = [round(fmean(o.n_calls for o in side), 2) for side in zip(*pairs, strict=True)]
        facts["n_calls"] = (calls[1], calls[0])
    changes = sorted((_change(a, b) for a, b in pairs), key=lambda change: -change.gain)
    facts["helped"] = tuple(c for c in changes if c.gain > 0)[:_N_SHOWN]
    facts["hurt"] = tuple(c for c in reversed(changes) if c.gain < 0)[:_N_SHOWN]
    return facts


def _change(mine: Outcome, theirs: Outcome) -> Change:
    return Change(
        row=mine.trial.row, gain=mine.gain - theirs.gain,
        names=tuple(name for name, _ in mine.trial.texts),
        before=theirs.evolved, after=mine.evolved,
    )  # fmt: skip


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


def p_value(differences: Sequence[float] | Floats, rng: np.random.Generator) -> float:
    """One-sided p-value of "the mean difference is above zero"."""
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2 or not np.any(d):
        return 1.0
    signs = rng.integers(0, 2, size=(_N_FLIPS, len(d)), dtype=np.int8) * 2 - 1
    return (1 + int((signs @ d >= d.sum() - 1e-12).sum())) / (_N_FLIPS + 1)


def gain_of(differences: Sequence[float] | Floats) -> Gain | None:
    """Mean and 95 % t interval; ``None`` without two differences."""
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return None
    half = _t_quantile(0.975, len(d) - 1) * float(d.std(ddof=1)) / math.sqrt(len(d))
    mean = float(d.mean())
    return Gain(mean=mean, low=mean - half, high=mean + half, n=len(d))


def _n_rows_to_settle(differences: Sequence[float] | Floats, level: float) -> int | None:
    """Rows with which a test would accept in 80 % of cases, were the estimate the truth."""
    d = np.asarray(differences, dtype=np.float64)
    mean = float(d.mean()) if len(d) else 0.0
    if len(d) < 2 or mean <= 0:
        return None
    normal = NormalDist()
    reach = normal.inv_cdf(1 - level) + normal.inv_cdf(_POWER)
    return max(2, math.ceil((reach * float(d.std(ddof=1)) / mean) ** 2))


def _t_quantile(p: float, df: int) -> float:
    """The t at which P(T < t) = p, by the distribution of its angle: t = sqrt(df) tan(angle)."""
    # The density of the angle is cos(angle) ** (df - 1): a fine grid is exact enough.
    angles = np.linspace(-np.pi / 2, np.pi / 2, 20_001)
    density = np.cos(angles) ** (df - 1)
    below = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return math.sqrt(df) * math.tan(float(np.interp(p, below / below[-1], angles)))
