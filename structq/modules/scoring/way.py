"""What a way to score is: a function from one row to a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import dspy

from structq.modules.calls import Ask, Reply
from structq.modules.settings import ScorerSettings
from structq.schemas import Score, mean_score

__all__ = ["Plan", "Scored", "Way", "ranks", "scored"]


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The scores of one row, one a response, in the order of the responses."""

    scores: list[float | None]
    """``None`` where there is none."""
    expected: list[float] | None = None
    """Means of the distributions; ``None`` where nothing was measured."""
    distributions: list[dict[str, float]] | None = None
    """Probability of each label."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What ``metadata`` says about them."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The questions of one row, all in flight at once, and what their replies mean."""

    asks: Sequence[Ask]
    """At least one."""
    read: Callable[[Sequence[Reply]], Scored]
    """From the replies, in the order of the questions."""


class Way(Protocol):
    """How a row is scored."""

    def __call__(
        self,
        predict: dspy.Predict,
        settings: ScorerSettings,
        instruction: str,
        responses: Sequence[str],
    ) -> Plan:
        """The plan for one row.

        Args:
            predict: Whose instructions are the criteria, and whose LM is asked.
            settings: Of the scorer.
            instruction: What was asked.
            responses: At least one.
        """


def scored(got: Sequence[Sequence[Score]], *, sampled: int = 0) -> Scored:
    """What each response got, as the mean of what it got in each prompt."""
    scores = [mean_score(one) for one in got]
    known = [one.distribution for one in scores if one.distribution is not None]
    measured = len(known) == len(scores)
    unscored = [
        {"response": i, "reason": one.reason} for i, one in enumerate(scores) if one.value is None
    ]
    facts: dict[str, Any] = {"unscored": unscored} if unscored else {}
    return Scored(
        scores=[one.value for one in scores],
        expected=[one.expected for one in known] if measured else None,
        distributions=[one.to_json() for one in known] if measured else None,
        facts=facts | ({"sampled": sampled} if sampled and measured else {}),
    )


def ranks(values: Sequence[float]) -> list[float | None]:
    """The rank of each value: K for the highest of K; equal ones share the mean of their ranks."""
    return [
        0.5 + sum(other < value for other in values) + sum(other == value for other in values) / 2
        for value in values
    ]
