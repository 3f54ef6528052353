"""A score from the place where an LM gives it to the row that keeps it; knows nothing of LMs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LabelDistribution", "Score", "mean_score"]


@dataclass(frozen=True, kw_only=True)
class LabelDistribution:
    """An LM's own distribution over the labels of one score."""

    labels: tuple[int, ...]
    """Ascending."""
    probabilities: tuple[float, ...]
    """One a label; they sum to 1."""
    label_mass: float | None = None
    """Probability that fell on labels at all, before normalising."""

    @property
    def expected(self) -> float:
        """The mean label."""
        pairs = zip(self.labels, self.probabilities, strict=True)
        # A sum of floats may end a last bit outside of the scale.
        mean = sum(label * p for label, p in pairs) / sum(self.probabilities)
        return min(max(mean, float(self.labels[0])), float(self.labels[-1]))

    def to_json(self) -> dict[str, float]:
        """Label to probability, as a row has it."""
        return {str(label): p for label, p in zip(self.labels, self.probabilities, strict=True)}


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one response got."""

    value: float | None
    """The score; ``None`` where there is none."""
    distribution: LabelDistribution | None = None
    """What it was drawn from, where the LM shows it."""
    reason: str | None = None
    """Why there is no score."""


def mean_score(scores: Sequence[Score]) -> Score:
    """The mean of what one response got in several prompts, at least one.

    A distribution is there only where every prompt gave one: a mean over some of the orders would
    bring back the position bias that they are against.
    """
    values = [score.value for score in scores if score.value is not None]
    known = [score.distribution for score in scores if score.distribution is not None]
    distribution = None
    if len(known) == len(scores):
        columns = zip(*(one.probabilities for one in known), strict=True)
        means = tuple(sum(column) / len(known) for column in columns)
        distribution = LabelDistribution(labels=known[0].labels, probabilities=means)
    return Score(
        value=sum(values) / len(values) if values else None,
        distribution=distribution,
        reason=None if values else next((one.reason for one in scores if one.reason), None),
    )
