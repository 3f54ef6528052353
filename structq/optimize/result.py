"""What an optimization did and found, for the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .verdict import Candidate, Finding, Gain, Verdict

__all__ = ["Optimization", "Progress"]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands."""

    n_calls: int
    """LM calls so far."""
    max_lm_calls: int
    """Most LM calls."""
    n_steps: int
    """Steps of the search that are done."""
    n_failed: int
    """Trials so far that had no evolution or no score."""
    lead: float
    """How much better the best templates look than the seed's, on the training rows: no proof."""
    seconds: float
    """Time since the start, of earlier runs too."""

    @property
    def calls_left(self) -> int:
        """LM calls that may still be made."""
        return self.max_lm_calls - self.n_calls


@dataclass(frozen=True, kw_only=True)
class Optimization:
    """The outcome of one ``TemplateOptimizer.compile``."""

    finding: Finding
    """Seed, best candidate, gains and verdict."""
    n_calls: int
    """LM calls: evolutions, scores, proposals and repetitions, of earlier runs too."""
    max_lm_calls: int
    """Most that were allowed."""
    seconds: float
    """Time, of earlier runs too."""
    interrupted: bool = False
    """Whether it was ended by an interrupt, before a verdict."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """Why trials failed, and how many."""
    n_trials: int = 0
    """Trials that were run: an evolution and its score."""
    notes: tuple[str, ...] = ()
    """What was done to the rows."""

    @property
    def verdict(self) -> Verdict:
        """Whether the best candidate is proven."""
        return self.finding.verdict

    @property
    def candidate(self) -> Candidate:
        """The best that was found, proven or not."""
        return self.finding.best

    @property
    def gains(self) -> Mapping[str, Gain]:
        """For each mutation, the best candidate's against the seed's."""
        return self.finding.gains

    @property
    def history(self) -> tuple[str, ...]:
        """What was tried, one line a step."""
        return self.finding.history

    @property
    def changed(self) -> tuple[str, ...]:
        """Mutations whose template is another one in the best candidate."""
        old = self.finding.seed.templates
        return tuple(n for n, text in self.candidate.templates.items() if text != old.get(n))
