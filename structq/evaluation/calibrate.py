"""From an LM's scores to people's scale, fitted to labels; refused where it would say nothing.

A score, or the raw value of a comparison or a likelihood, goes through one of two curves: ordinal
(a logistic curve with a threshold for each level; McCullagh, 1980), or isotonic (any rising curve
for each level), which needs more labels, where it predicts held-out labels better by more than
chance. Labels that say which response is better are about the difference to the row's mean, and so
is the curve.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np

from structq.errors import InputError, shorten
from structq.evaluation.curves import METHODS, Fit, above, brier_of, shares, stretched
from structq.evaluation.intervals import Interval, prediction_powered_mean
from structq.evaluation.labels import Labels
from structq.evaluation.numbers import Floats, library

__all__ = ["LEAST_LABELS", "Calibration", "Labelled", "fit_calibration"]

LEAST_LABELS = 100
"""Labelled responses from which on a curve is fitted."""
_MOST_LEVELS = 20
_FOLDS = 5
_CHANCE = 0.05
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """One row with its labels."""

    raw: Sequence[float]
    """What the scorer gave each response; see `structq.evaluation.agreement.judged_by`."""
    labels: Labels
    """One a response."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A fitted curve with what it was fitted to and how well it does on what it did not see."""

    levels: tuple[float, ...]
    """Of the labels, ascending."""
    kind: str
    """Of the labels."""
    within_row: bool
    """Whether the curve is about the difference to the mean of the row."""
    method: str
    """``"isotonic"`` or ``"ordinal"``."""
    curve: list[dict[str, list[float]]]
    """For each level but the lowest: ``x`` and the probability ``p`` of that level or more."""
    held_out_brier: Mapping[str, float]
    """By method, and for ``"base rate"`` and, where a scale is known, ``"uncalibrated"``."""
    labels: list[float]
    """Of the responses that it was fitted to."""
    predicted: list[float]
    """Means predicted for these by curves that did not see their rows."""
    raw: list[float]
    """What the curve was fitted to, sorted: data that look otherwise are told."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """Scorer and LM."""

    def distributions(self, raw: Sequence[float]) -> list[dict[str, float]]:
        """Probability of each level for each response of a row.

        Raises:
            InputError: The curve compares, and the row has one response.
        """
        if self.within_row and len(raw) < 2:
            raise InputError(
                "calibration: it was fitted to which response is better, and the row has one",
                field="calibration",
            )
        found = shares(above(self.curve, _features(raw, self.within_row)))
        names = [f"{level:g}" for level in self.levels]
        return [dict(zip(names, row.tolist(), strict=True)) for row in found]

    def means(self, raw: Sequence[float]) -> list[float]:
        """The mean level of each response of a row."""
        return [
            sum(float(level) * p for level, p in one.items()) for one in self.distributions(raw)
        ]

    def mean_of(self, means: Sequence[float]) -> Interval:
        """The mean of a data set on people's scale, with its prediction-powered interval.

        Args:
            means: Of all its responses; the labels are taken as drawn from the same data.
        """
        return prediction_powered_mean(self.labels, self.predicted, means)

    def shift(self, raw: Sequence[float]) -> str | None:
        """In what the data differ from those that the curve was fitted to, or ``None``.

        Args:
            raw: What the curve would see of the data: `features` of each row.
        """
        if len(raw) < 20:
            return None
        found = library("scipy.stats").ks_2samp(self.raw, list(raw))
        if found.pvalue >= 1e-3 or found.statistic < 0.15:
            return None
        return (
            f"the scores are distributed otherwise than those of the {len(self.raw):,} labelled "
            f"responses (Kolmogorov-Smirnov {found.statistic:.2f}): calibrated values may be off"
        )

    def features(self, raw: Sequence[float]) -> list[float]:
        """What the curve sees of one row."""
        return [float(one) for one in _features(raw, self.within_row)]

    def save(self, path: str | Path) -> None:
        """Writes it as JSON."""
        text = json.dumps({"structq_calibration": _FORMAT, **asdict(self)}, indent=1)
        try:
            Path(path).write_text(text + "\n", encoding="utf8")
        except OSError as error:
            raise InputError(
                f"calibration: cannot write {str(path)!r}: {error.strerror}"
            ) from error

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            InputError: There is no such file, or it holds something else.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf8"))
            if values.pop("structq_calibration") != _FORMAT:
                raise ValueError("another format")
            values["levels"] = tuple(float(one) for one in values["levels"])
            found = cls(**values)
            found._check()
        except OSError as error:
            raise InputError(
                f"calibration: cannot read {str(path)!r}: {error.strerror}", field="calibration"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"calibration: {str(path)!r} is no calibration ({shorten(str(error))}); "
                "`structq calibrate` writes one",
                field="calibration",
            ) from error
        return found

    def _check(self) -> None:
        numbers = [*self.levels, *self.labels, *self.predicted, *self.raw]
        for one in self.curve:
            numbers += [*one["x"], *one["p"]]
            rising = all(np.diff(one["x"]) >= 0) and len(one["x"]) == len(one["p"]) > 0
            if not rising or not all(0 <= p <= 1 for p in one["p"]):
                raise ValueError("a curve that is none")
        if not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            raise ValueError("a number that is none")
        if len(self.curve) != len(self.levels) - 1 or len(self.labels) != len(self.predicted):
            raise ValueError("parts of different lengths")


def fit_calibration(
    rows: Sequence[Labelled],
    *,
    scale: tuple[float, float] | None = None,
    about: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Calibration:
    """The curve that predicts held-out labels better.

    Args:
        rows: Labelled rows of one kind of labels; ties between responses are left out where the
            labels compare.
        scale: Ends of the scale that the scores are on, where they are on one.
        about: Scorer and LM, to be kept.
        seed: Fixes the folds; whole rows are held out.

    Raises:
        InputError: Fewer than `LEAST_LABELS` labelled responses, labels of several kinds or of too
            many levels, or no curve predicts held-out labels better than their base rate.
    """
    kinds = sorted({row.labels.kind for row in rows})
    if len(kinds) != 1:
        raise _refused(f"the labels must be of one kind, found {', '.join(kinds) or 'none'}")
    compares = rows[0].labels.compares
    used = [
        row for row in rows if not compares or (len(row.raw) > 1 and 0.5 not in row.labels.values)
    ]
    x = np.concatenate([_features(row.raw, compares) for row in used] or [np.zeros(0)])
    y = np.array([value for row in used for value in row.labels.values])
    if len(y) < LEAST_LABELS:
        raise _refused(
            f"{len(y)} labelled responses are too few for a curve (at least {LEAST_LABELS})"
        )
    levels = sorted(set(y.tolist()))
    if not 2 <= len(levels) <= _MOST_LEVELS:
        raise _refused(
            f"labels have {len(levels)} different values (2 to {_MOST_LEVELS} can be fitted)"
        )
    groups = np.repeat(np.arange(len(used)), [len(row.raw) for row in used])
    held_out = {
        name: _out_of_fold(fit, x, y, groups, levels, seed) for name, fit in METHODS.items()
    }
    scores = {name: brier_of(or_more, y, levels) for name, or_more in held_out.items()}
    if scale is not None and not compares:
        scores["uncalibrated"] = brier_of(stretched(x, scale, levels), y, levels)

    def is_better(one: str, other: str) -> bool:
        return _is_better(held_out[one], held_out[other], y, groups, levels)

    method = "isotonic" if is_better("isotonic", "ordinal") else "ordinal"
    if not is_better(method, "base rate"):
        raise _refused(
            "no curve predicts held-out labels better than their base rate by more than chance "
            f"would (Brier {scores[method]:.4f} and {scores['base rate']:.4f} on {len(y)} labels): "
            "this scorer says nothing about them, or there are too few"
        )
    return Calibration(
        levels=tuple(levels),
        kind=kinds[0],
        within_row=compares,
        method=method,
        curve=METHODS[method](x, y, levels),
        held_out_brier=scores,
        labels=y.tolist(),
        predicted=(shares(held_out[method]) @ np.array(levels)).tolist(),
        raw=sorted(x.tolist()),
        about=dict(about or {}),
    )


def _refused(reason: str) -> InputError:
    return InputError(f"calibration: {reason}", field="calibration")


def _features(raw: Sequence[float], within_row: bool) -> Floats:
    x = np.asarray(raw, dtype=np.float64)
    return x - x.mean() if within_row else x


def _is_better(
    or_more: Floats, base: Floats, y: Floats, groups: Any, levels: Sequence[float]
) -> bool:
    """Whether the errors are lower by more than chance would make them, once in twenty times.

    Rows are compared, not labels: those of one row go together.
    """
    true = y[:, None] >= np.asarray(levels)[None, 1:]
    gains = ((base - true) ** 2 - (or_more - true) ** 2).mean(axis=1)
    per_row = np.bincount(groups, weights=gains)
    if np.ptp(per_row) == 0:
        return bool(per_row[0] > 0)
    tested = library("scipy.stats").ttest_1samp(per_row, 0.0, alternative="greater")
    return bool(tested.pvalue < _CHANCE)


def _out_of_fold(
    fit: Fit, x: Floats, y: Floats, groups: Any, levels: Sequence[float], seed: int
) -> Floats:
    """Probabilities of each level or more, shape ``(n, n_levels - 1)``, by curves of other rows."""
    folds = np.random.default_rng(seed).permutation(groups.max() + 1) % _FOLDS
    of_row = folds[groups]
    or_more = np.zeros((len(x), len(levels) - 1))
    for fold in range(_FOLDS):
        seen = of_row != fold
        or_more[~seen] = above(fit(x[seen], y[seen], levels), x[~seen])
    return or_more
