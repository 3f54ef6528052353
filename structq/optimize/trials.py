"""What a search asks for and what it gets back; knows nothing of LMs, DSPy or files.

A search is a generator. It yields steps (evaluate these trials; ask the proposer's LM these
prompts) and is sent the answers, so the same search runs against an LM, a journal of an interrupted
run or a simulator. It draws from its seed and from the answers alone: the same answers give the
same steps, which is why a journal of answers is all that a resumed run needs.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .result import Finding

__all__ = [
    "Answers", "Ask", "Evaluate", "Interrupted", "Outcome", "Search", "Space", "Split", "Step",
    "Trial",
]  # fmt: skip

Split = Literal["train", "val"]


@dataclass(frozen=True, kw_only=True)
class Space:
    """What is tuned: texts by name, and which of them a row meets together."""

    templates: Mapping[str, str]
    """The texts to beat."""
    groups: tuple[tuple[str, ...], ...]
    """A row meets the texts of one group: one mutation, or all predictors of a program."""
    weights: tuple[float, ...]
    """How often each group is drawn."""

    @classmethod
    def of(
        cls,
        templates: Mapping[str, str],
        weights: Mapping[str, float] | None = None,
        *,
        together: bool = False,
    ) -> Space:
        """Each text on rows of its own, as often as its weight says; or all of them together."""
        names = tuple(templates)
        if together:
            return cls(templates=dict(templates), groups=(names,), weights=(1.0,))
        drawn = tuple(1.0 if weights is None else float(weights.get(n, 0.0)) for n in names)
        return cls(templates=dict(templates), groups=tuple((n,) for n in names), weights=drawn)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The texts of one group tried on one row: an output, and what it gains."""

    texts: tuple[tuple[str, str], ...]
    """Names and texts that are tried in their place."""
    split: Split
    """Rows to search with, or rows reserved for the verdict."""
    row: int
    """Index into the rows of the split, from 0."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial gave."""

    trial: Trial
    """It."""
    gain: float
    """The metric; a set score on failure."""
    n_calls: int
    """LM calls that it cost, failures and retries too; 0 if it was known already."""
    evolved: str | None = None
    """The output: text that an LM wrote, untrusted; ``None`` on failure."""
    failure: str | None = None
    """Why there is no output or no score."""
    original: float | None = None
    """What the scorer gave the original this time, on any scale: its scatter is noise."""
    feedback: str | None = None
    """What the metric said of it, for proposers."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Asks for the outcomes of trials, in this order."""

    trials: tuple[Trial, ...]
    """In the order in which outcomes are expected."""
    lead: float = 0.0
    """How much better the best texts look than the seed's so far, for whoever watches."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Asks the proposer's LM; one call a prompt."""

    prompts: tuple[str, ...]
    """Whole prompts, as text."""
    lead: float = 0.0
    """As for trials."""


Step = Evaluate | Ask


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers to one step."""

    n_left: int
    """LM calls that may still be made."""
    outcomes: tuple[Outcome, ...] = ()
    """One a trial of an ``Evaluate``, in order."""
    replies: tuple[str | None, ...] = ()
    """One a prompt of an ``Ask``, in order; ``None`` where the LM failed."""
    stop: bool = False
    """Whether the time is up: end the search and go on to the verdict."""


class Interrupted(Exception):  # noqa: N818
    """Thrown into a search by a driver that cannot go on: it returns what it has, untested."""


Search = Generator[Step, Answers, "Finding"]
