"""The report on one judge: how it agrees with labels, beside what needs no judge at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from structq.evaluation.agreement import kendall, ndcg, pairwise_agreement, spearman
from structq.evaluation.bias import (
    Decision,
    Ordered,
    is_length_alone,
    is_position_alone,
    order_sentence,
)
from structq.evaluation.intervals import Interval, bootstrap_interval
from structq.evaluation.labels import Labels
from structq.evaluation.probabilities import brier, expected_calibration_error, reliability

__all__ = ["Judged", "judge_report", "judge_warnings"]

Values = Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One labelled row as a judge scored it."""

    labels: Labels
    """One a response."""
    lengths: Sequence[int]
    """Of the responses, in words."""
    modes: Values
    """The scores as they were taken: the most probable label of each."""
    means: Values | None = None
    """Means of the label distributions, or raw values of a comparison; ``None`` where there are
    none."""
    turned: Judged | None = None
    """The same row with its responses shown in the opposite order, put back into this one."""
    distributions: Sequence[Mapping[str, float]] | None = None
    """Label to probability, one a response."""
    group: str = ""
    """A part of the data that is reported apart as well."""

    @property
    def measured(self) -> bool:
        """Whether there is more than the most probable label, in each order that was asked."""
        return self.means is not None and (self.turned is None or self.turned.measured)

    @property
    def best(self) -> Values:
        """The finest values that there are."""
        return self.modes if self.means is None or not self.measured else self.means

    @property
    def turned_back(self) -> Values | None:
        """The same of the opposite order, where it was asked: means beside means alone."""
        if self.turned is None:
            return None
        return self.turned.best if self.measured else self.turned.modes

    @property
    def over_orders(self) -> Values:
        """The mean over both orders, where both were asked."""
        if (back := self.turned_back) is None:
            return self.best
        return [(one + other) / 2 for one, other in zip(self.best, back, strict=True)]


@dataclass(kw_only=True)
class _Figures:
    """What one set of scores is worth on some rows."""

    rows: Sequence[Judged]
    scores: Callable[[Judged], Values]
    found: dict[str, Any] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        rights, counts = self._pairs(self.scores)
        lengths, _ = self._pairs(lambda row: [float(n) for n in row.lengths])
        x, y = self._pooled()
        if counts.sum() == 0:  # one response a row: there is a correlation and no pair
            found = {"spearman": spearman(x, y), "kendall": kendall(x, y)}
            return {"n_rows": len(self.rows), "n_pairs": 0, **found}
        asked = counts > 0
        per_row = [ndcg(self.scores(row), _above_zero(row.labels.values)) for row in self.rows]
        lists = [one for one in per_row if one is not None]
        return {
            "n_rows": len(self.rows),
            "n_pairs": int(counts.sum()),
            "accuracy": _shown(_share(bootstrap_interval(rights[asked], counts[asked]))),
            "minus_length": _shown(bootstrap_interval((rights - lengths)[asked], counts[asked])),
            "minus_chance": _shown(bootstrap_interval((rights - counts / 2)[asked], counts[asked])),
            "ties": self._ties(),
            "spearman": spearman(x, y),
            "kendall": kendall(x, y),
            "ndcg": float(np.mean(lists)) if lists else None,
        }

    def _pairs(self, scores: Callable[[Judged], Values]) -> tuple[Any, Any]:
        found = [pairwise_agreement(scores(row), row.labels.values) for row in self.rows]
        return np.array([r for r, _ in found]), np.array([float(n) for _, n in found])

    def _ties(self) -> float:
        """Share of the pairs that got equal scores."""
        pairs = [
            one == other for row in self.rows for one, other in combinations(self.scores(row), 2)
        ]
        return sum(pairs) / len(pairs) if pairs else 0.0

    def _pooled(self) -> tuple[list[float], list[float]]:
        """Scores and labels of all rows; where labels compare, as differences to the row's mean."""
        x: list[float] = []
        y: list[float] = []
        for row in self.rows:
            scores, labels = np.array(self.scores(row), float), np.array(row.labels.values)
            if row.labels.compares:
                scores, labels = scores - scores.mean(), labels - labels.mean()
            x += scores.tolist()
            y += labels.tolist()
        return x, y


def judge_report(
    rows: Sequence[Judged], *, name: str, cost: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What a judge is worth, as JSON values.

    Args:
        rows: Scored ones with labels; at least one.
        name: Of the judge.
        cost: Calls, tokens and seconds, to be kept.

    Returns:
        ``figures`` by the way of reading the scores (``mode``, ``mean``, ``mean over orders``, or
        ``raw value`` where scores are ranks) and
        of the baselines (``length``, ``first``), each with ``accuracy`` and its paired difference
        to length and to chance as ``[value, low, high]`` (95 % bootstraps over rows); ``groups``
        the same for the best reading of each part of the data; ``unmeasured``: rows that this
        reading leaves out, as they have no mean where others do; ``order``, ``calibration`` and
        ``warnings``.
    """
    readings = _readings(rows)
    chosen, last = list(readings.values())[-1]
    figures = {
        what: _Figures(rows=some, scores=read).report() for what, (some, read) in readings.items()
    }
    baselines = {
        "length": _Figures(rows=rows, scores=lambda row: [float(n) for n in row.lengths]).report(),
        "first": _Figures(
            rows=rows, scores=lambda row: [-float(i) for i in range(len(row.lengths))]
        ).report(),
    }
    groups = {row.group for row in chosen if row.group}
    return {
        "name": name,
        "figures": figures,
        "baselines": baselines,
        "groups": {
            group: _Figures(
                rows=[row for row in chosen if row.group == group], scores=last
            ).report()
            for group in sorted(groups)
        },
        "unmeasured": len(rows) - len(chosen),
        "order": _order(rows),
        "calibration": _calibration(rows),
        "cost": dict(cost or {}),
        "warnings": judge_warnings(rows),
    }


def _readings(
    rows: Sequence[Judged],
) -> dict[str, tuple[Sequence[Judged], Callable[[Judged], Values]]]:
    """The rows that can be read in each way, and how; a row without a mean costs itself alone."""
    measured = [row for row in rows if row.measured]
    known = measured or rows
    found: dict[str, tuple[Sequence[Judged], Callable[[Judged], Values]]] = {
        "mode": (rows, lambda row: row.modes)
    }
    if measured:
        # Ranks say no more than the values that they are the ranks of.
        if all(row.distributions is None for row in measured):
            found = {"raw value": (measured, lambda row: row.best)}
        else:
            found["mean"] = (measured, lambda row: row.best)
    if all(row.turned is not None for row in known):
        found["mean over orders"] = (known, lambda row: row.over_orders)
    return found


def _order(rows: Sequence[Judged]) -> dict[str, Any] | None:
    """What both orders show, from one pair of each row; where both were asked."""
    pairs = [pair for row in rows if (pair := _both_orders(row)) is not None]
    if not pairs:
        return None
    found = Ordered.of(pairs)
    firsts = sum(one > 0 for one, _ in pairs) + sum(other < 0 for _, other in pairs)
    decided = sum((one != 0) + (other != 0) for one, other in pairs)
    return {
        "n_rows": len(pairs),
        "ties": len(pairs) - found.n,
        "first_wins": firsts / decided if decided else None,
        "consistent": found.same / found.n if found.n else None,
        "sentence": order_sentence(found),
    }


def _both_orders(row: Judged) -> tuple[float, float] | None:
    """The first and the last response: their difference as they stood, then the other way round."""
    back = row.turned_back
    if back is None or len(row.modes) < 2:
        return None
    return row.best[0] - row.best[-1], back[0] - back[-1]


def _calibration(rows: Sequence[Judged]) -> dict[str, Any] | None:
    """Of the probability that one response of a pair is better, by both label distributions."""
    chances: list[float] = []
    outcomes: list[float] = []
    for row in rows:
        if row.distributions is None:
            continue
        for i, j in combinations(range(len(row.modes)), 2):
            if row.labels.values[i] != row.labels.values[j]:
                chances.append(_higher(row.distributions[i], row.distributions[j]))
                outcomes.append(float(row.labels.values[i] > row.labels.values[j]))
    if not chances:
        return None
    return {
        "n_pairs": len(chances),
        "brier": brier(chances, outcomes),
        "ece": expected_calibration_error(chances, outcomes),
        "curve": [one._asdict() for one in reliability(chances, outcomes)],
    }


def _higher(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Probability that a draw from the one is above a draw from the other; half of a tie."""
    total = sum(
        p * q * (1.0 if float(a) > float(b) else 0.5 if float(a) == float(b) else 0.0)
        for a, p in one.items()
        for b, q in other.items()
    )
    return min(1.0, max(0.0, total))


def judge_warnings(rows: Sequence[Judged]) -> list[str]:
    """In a sentence each, what the scores are where they are no judgement."""
    found = []
    pairs = [pair for row in rows if (pair := _both_orders(row)) is not None]
    if pairs and is_position_alone(Ordered.of(pairs)):
        found.append(
            "position alone: these scores say which place a response has, and nothing else"
        )
    if is_length_alone([one for row in rows if (one := _decision(row)) is not None]):
        found.append("length alone: the longer response wins, whatever it says")
    if pairs and len(pairs) - Ordered.of(pairs).n > 0.9 * len(pairs):
        found.append("ties: nearly all responses of a row get the same score")
    return found


def _decision(row: Judged) -> Decision | None:
    if len(row.modes) < 2:
        return None
    values, labels, lengths = row.over_orders, row.labels.values, row.lengths
    return Decision(
        difference=values[0] - values[-1],
        lengths=(lengths[0], lengths[-1]),
        label=labels[0] - labels[-1],
    )


def _above_zero(labels: Values) -> list[float]:
    least = min(0.0, *labels)
    return [label - least for label in labels]


def _share(interval: Interval) -> Interval:
    """A stretched interval of a share ends where shares do."""
    return Interval(interval.value, max(0.0, interval.low), min(1.0, interval.high))


def _shown(interval: Interval) -> list[float | None]:
    return [one if math.isfinite(one) else None for one in interval]
