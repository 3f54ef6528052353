"""The one test of a search: does the candidate beat the seed on rows that nobody has looked at?

The unit is the row: the mean over the row's pairs of what the candidate gains less what the seed
gains. It is a sign-flip test: under the null the two can be exchanged on every row, and so it
needs neither a normal distribution nor many rows. Where texts have rows of their own, a candidate
may be better in some of them alone: what is proven of it is taken.
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
    order: Sequence[str] = (),
) -> tuple[Verdict, dict[str, Gain], set[str]]:
    """The verdict, the gain of each group, and the groups in which to take the candidate.

    What may be taken: the candidate in the first group of the order alone, in the first two, and so
    on up to all of them, the seed in the rest. All are tested at once, by the largest of their
    statistics under the same flips, and of those that are proven the one that gained most is it.

    Args:
        pairs: Candidate and seed on the same rows.
        level: Of the test.
        rng: Flips signs.
        same: Rows that met a group in which the two are the same, once for each time.
        order: Groups, as their names with commas, most promising first; by default as they came.
    """
    readings = [
        0.0 if a.original is None or b.original is None else a.original - b.original
        for a, b in pairs
    ]
    differences = adjust([a.gain - b.gain for a, b in pairs], readings)
    by_group: dict[str, list[float]] = {name: [] for name in order}
    names = [", ".join(name for name, _ in mine.trial.texts) for mine, _ in pairs]
    for name, difference in zip(names, differences, strict=True):
        by_group.setdefault(name, []).append(difference)
    tested = [name for name, found in by_group.items() if found]
    rows = list(dict.fromkeys([*(mine.trial.row for mine, _ in pairs), *same]))
    sums, counts = np.zeros((len(rows), max(len(tested), 1))), np.zeros(len(rows))
    places = {row: place for place, row in enumerate(rows)}
    for name, difference, (mine, _) in zip(names, differences, pairs, strict=True):
        sums[places[mine.trial.row], tested.index(name) :] += difference
        counts[places[mine.trial.row]] += 1
    np.add.at(counts, [places[row] for row in same], 1)
    verdict, n_kept = _decide(
        sums / counts[:, None], sum(a.n_calls + b.n_calls for a, b in pairs), level, rng
    )
    kept = set(tested[:n_kept])
    gains = {name: gain for name in tested if (gain := gain_of(by_group[name]))}
    shown = [pair for pair, name in zip(pairs, names, strict=True) if name in kept]
    return replace(verdict, **_costs(shown)), gains if len(gains) > 1 else {}, kept


def _decide(
    rows: Floats, n_calls: int, level: float, rng: np.random.Generator
) -> tuple[Verdict, int]:
    """The verdict on the differences of rows, a column each number of groups; and which column."""
    n, most = rows.shape
    if n < MIN_ROWS:
        reason = f"{n} validation rows are too few for a test (at least {MIN_ROWS} are needed)"
        return Verdict(accepted=False, reason=reason, gain=gain_of(rows[:, -1])), most
    p_values = p_value(rows, rng)
    gains = np.where(p_values <= level, rows.mean(axis=0), -np.inf)
    place = int(gains.argmax() if np.isfinite(gains).any() else p_values.argmin())
    p, differences = float(p_values[place]), rows[:, place]
    gain = gain_of(differences)
    if p <= level:
        reason = f"better than the seed on {n} validation rows (p = {p:.4f})"
        return Verdict(accepted=True, reason=reason, gain=gain, p_value=p), place + 1
    wanted = _n_rows_to_settle(differences, level)
    if wanted is None:
        reason = f"not better than the seed on {n} validation rows (p = {p:.4f})"
        return Verdict(accepted=False, reason=reason, gain=gain, p_value=p), most
    calls = math.ceil(wanted * n_calls / n)
    reason = (
        f"looks better by {differences.mean():+.3f}, but {n} validation rows do not prove it "
        f"(p = {p:.4f}); about {calls} calls on {wanted} rows would settle it"
    )
    facts: dict[str, Any] = {"gain": gain, "p_value": p, "n_calls_to_settle": calls}
    return Verdict(accepted=False, reason=reason, **facts), most


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


def p_value(rows: Floats, rng: np.random.Generator) -> Floats:
    """One-sided p-values of "the mean of the column is above zero", all columns together."""
    size = np.sqrt(np.square(rows).sum(axis=0))
    if len(rows) < 2 or not size.any():
        return np.ones(rows.shape[1])
    scaled = rows / np.where(size > 0, size, 1.0)
    signs = rng.integers(0, 2, size=(_N_FLIPS, len(rows)), dtype=np.int8) * 2 - 1
    largest = (signs @ scaled).max(axis=1)
    above = largest[:, None] >= scaled.sum(axis=0) - 1e-12
    return np.asarray((1 + above.sum(axis=0)) / (_N_FLIPS + 1))


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
