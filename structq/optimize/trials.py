"""What a search asks for and what it gets back; knows nothing of LMs, DSPy or files.

A search is a generator. It yields steps (evaluate these trials; ask the proposer's LM these
prompts) and is sent the answers, so the same search runs against an LM, a journal of an interrupted
run or a simulator. It draws from its seed and from the answers alone: the same answers give the
same steps, which is why a journal of answers is all that a resumed run needs.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .verdict import Finding

__all__ = [
    "Answers",
    "Ask",
    "Evaluate",
    "Interrupted",
    "Outcome",
    "Search",
    "Split",
    "Step",
    "Trial",
]

Split = Literal["train", "val"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One template tried on one row: an evolution, and its score beside the original's."""

    mutation: str
    """Name of the mutation."""
    text: str
    """The template that is tried in its place."""
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
    """The metric: quality of the evolved response less the original's; a set score on failure."""
    n_calls: int
    """LM calls that it cost, failures and retries too; 0 if it was known already."""
    evolved: str | None = None
    """The evolved response: text that an LM wrote, untrusted; ``None`` on failure."""
    failure: str | None = None
    """Why there is no evolution or no score."""
    original: float | None = None
    """What the scorer gave the original this time, on any scale: its scatter is noise."""


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Asks for the outcomes of trials, in this order."""

    trials: tuple[Trial, ...]
    """In the order in which outcomes are expected."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Asks the proposer's LM; one call a prompt."""

    prompts: tuple[str, ...]
    """Whole prompts, as text."""


Step = Evaluate | Ask


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The answers to one step."""

    outcomes: tuple[Outcome, ...] = ()
    """One a trial of an ``Evaluate``, in order."""
    replies: tuple[str | None, ...] = ()
    """One a prompt of an ``Ask``, in order; ``None`` where the LM failed."""
    stop: bool = False
    """Whether the time is up: end the search and go on to the verdict."""


class Interrupted(Exception):  # noqa: N818
    """Thrown into a search by a driver that cannot go on: it returns what it has, untested."""


Search = Generator[Step, Answers, "Finding"]
