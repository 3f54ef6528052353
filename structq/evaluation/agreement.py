"""How far scores agree with labels: pairs, rank correlations, the order of a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from structq.evaluation.labels import labels_of
from structq.evaluation.numbers import Floats, finite, library, same_length
from structq.modules.derived import finest_scores

__all__ = ["Agreement", "kendall", "ndcg", "pairwise_agreement", "spearman"]


def pairwise_agreement(scores: Iterable[float], labels: Iterable[float]) -> tuple[float, int]:
    """How many pairs of a row whose labels differ are in the right order, and how many there are.

    Two equal scores are half right.

    Args:
        scores: K of them, higher is better.
        labels: K of them, higher is better.

    Raises:
        InputError: Their numbers differ, or one is no finite number.
    """
    x, y = _both(scores, labels)
    first, second = np.triu_indices(len(x), k=1)
    wanted = np.sign(y[first] - y[second])
    found = np.sign(x[first] - x[second])
    told = wanted != 0
    right = (found == wanted)[told].sum() + 0.5 * (found == 0)[told].sum()
    return float(right), int(told.sum())


def spearman(scores: Iterable[float], labels: Iterable[float]) -> float | None:
    """Spearman's rank correlation; ``None`` where either side is constant."""
    x, y = _both(scores, labels)
    if _is_constant(x) or _is_constant(y):
        return None
    return float(library("scipy.stats").spearmanr(x, y).statistic)


def kendall(scores: Iterable[float], labels: Iterable[float]) -> float | None:
    """Kendall's tau-b, which takes account of ties; ``None`` where either side is constant."""
    x, y = _both(scores, labels)
    if _is_constant(x) or _is_constant(y):
        return None
    return float(library("scipy.stats").kendalltau(x, y).statistic)


def ndcg(scores: Iterable[float], labels: Iterable[float]) -> float | None:
    """Normalised discounted cumulative gain of one list, its gains being the labels.

    Equal scores share their places (McSherry and Najork, 2008). ``None`` for a list of one, and
    where no label is above 0.

    Raises:
        InputError: A label is below 0.
    """
    x, y = _both(scores, labels)
    finite((float(label) if label >= 0 else None for label in y), "labels")
    if len(x) < 2 or not y.any():
        return None
    return float(library("sklearn.metrics").ndcg_score(y[None], x[None]))


class Agreement:
    """Agreement with a row's labels, as a metric of ``dspy.Evaluate`` and of optimizers.

    Args:
        kind: Which of the labels; by default the first there is of those in `labels_of`.
        column: Where they stand.

    Example:
        >>> row = dspy.Example(instruction="Add 2 and 2.", responses=["5", "4"], labels={"best": 1})
        >>> dspy.Evaluate(devset=[row.with_inputs("instruction", "responses")], metric=Agreement())
    """

    def __init__(self, kind: str | None = None, *, column: str = "labels") -> None:
        self.kind = kind
        self.column = column

    def __call__(self, example: Any, prediction: Any, trace: object = None, *_: object) -> float:
        """Share of the row's pairs that the scores have in the right order, from 0 to 1.

        A half where no two labels differ or a score is missing: nothing is known then.
        """
        labels = labels_of({self.column: example[self.column]}, column=self.column, kind=self.kind)
        scores = judged_by(prediction)
        if labels is None or scores is None or len(scores) != len(labels.values):
            return 0.5
        right, n_pairs = pairwise_agreement(scores, labels.values)
        return right / n_pairs if n_pairs else 0.5


def judged_by(scored: Mapping[str, Any] | Any) -> Sequence[float] | None:
    """The finest scores of a scored row: measured means, raw values of a comparison, or scores."""
    found = finest_scores(scored)
    return None if not found or None in found else list(found)


def _both(scores: Iterable[float], labels: Iterable[float]) -> tuple[Floats, Floats]:
    x, y = finite(scores, "scores"), finite(labels, "labels")
    same_length(x, y, ("scores", "labels"))
    return x, y


def _is_constant(values: Floats) -> bool:
    return bool((values == values[0]).all())
