"""What a search found and whether it is proven; knows nothing of how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Candidate", "Finding", "Gain", "Verdict"]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One set of mutation templates, and how often each mutation is drawn."""

    templates: Mapping[str, str]
    """Name of the mutation to template."""
    weights: Mapping[str, float] | None = None
    """Name of the mutation to relative frequency; ``None`` for equal ones."""


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Mean difference between candidate and seed in the metric, with an interval."""

    mean: float
    """Over rows, paired."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""
    n: int
    """Pairs."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of the one test on reserved rows."""

    accepted: bool
    """Whether the candidate is better than the seed at the chosen level."""
    reason: str
    """In a sentence for the user."""
    gain: Gain | None
    """Of the whole program, on validation rows; ``None`` if no test was run."""
    p_value: float | None
    """One-sided, of the test named in ``structq.optimize.acceptance``."""
    n_calls_to_settle: int | None = None
    """If refused for lack of calls: about how many calls the test would need at this estimate."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of a search."""

    seed: Candidate
    """What it began with."""
    best: Candidate
    """What it found; the seed if nothing looked better."""
    verdict: Verdict
    """Whether ``best`` is proven."""
    gains: Mapping[str, Gain]
    """For each mutation, ``best`` against the seed, on validation rows where there are some."""
    history: tuple[str, ...] = ()
    """What was tried and why it was kept or dropped, one line a step."""

    @property
    def chosen(self) -> Candidate:
        """What the user gets: the best if it is proven, else the seed."""
        return self.best if self.verdict.accepted else self.seed
