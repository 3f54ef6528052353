"""What a search found, whether it is proven, and what a person wants to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from structq.texts import n_words

__all__ = ["Change", "Finding", "Gain", "Optimization", "Progress", "Verdict"]


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
    """Rows."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One validation row under the candidate and under the seed."""

    row: int
    """Index into the validation rows."""
    gain: float
    """Candidate less seed, in the metric."""
    names: tuple[str, ...]
    """What of the program the row met: its mutation, or its predictors."""
    before: str | None
    """Output under the seed; ``None`` where it failed."""
    after: str | None
    """Output under the candidate."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of the one test on reserved rows."""

    accepted: bool
    """Whether the candidate is better than the seed at the chosen level."""
    reason: str
    """In a sentence for the user."""
    gain: Gain | None = None
    """Of the whole program, on validation rows; ``None`` if no test was run."""
    p_value: float | None = None
    """One-sided, of the sign-flip test."""
    n_calls_to_settle: int | None = None
    """If refused for lack of calls: about how many calls the test would need at this estimate."""
    n_words: tuple[int, int] | None = None
    """Mean words of an output under the seed and under the candidate."""
    n_calls: tuple[float, float] | None = None
    """Mean LM calls of a row under the seed and under the candidate, its measurement included."""
    helped: tuple[Change, ...] = ()
    """The rows that gained most, at most five."""
    hurt: tuple[Change, ...] = ()
    """The rows that lost most, at most five."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of a search."""

    seed: Mapping[str, str]
    """The texts that it began with."""
    best: Mapping[str, str]
    """What it found; the seed if nothing looked better."""
    verdict: Verdict
    """Whether ``best`` is proven."""
    gains: Mapping[str, Gain] = field(default_factory=dict)
    """For each group that has rows of its own, ``best`` against the seed, on validation rows."""
    history: tuple[str, ...] = ()
    """What was tried and why it was kept or dropped, one line a step."""

    @property
    def chosen(self) -> Mapping[str, str]:
        """What the user gets: the best if it is proven, else the seed."""
        return self.best if self.verdict.accepted else self.seed


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
    """Trials so far that had no output or no score."""
    lead: float
    """How much better the best texts look than the seed's, on the training rows: no proof."""
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
    """Trials that were run: an output and its score."""
    notes: tuple[str, ...] = ()
    """What was done to the rows."""

    @property
    def verdict(self) -> Verdict:
        """Whether the best candidate is proven."""
        return self.finding.verdict

    @property
    def candidate(self) -> Mapping[str, str]:
        """The best texts that were found, proven or not."""
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
        """Names whose text is another one in the best candidate."""
        old = self.finding.seed
        return tuple(n for n, text in self.candidate.items() if text != old.get(n))

    @property
    def template_words(self) -> tuple[int, int]:
        """Words of all templates, of the seed's and of the best candidate's."""
        old, new = self.finding.seed.values(), self.candidate.values()
        return sum(map(n_words, old)), sum(map(n_words, new))

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {**asdict(self), "changed": self.changed, "template_words": self.template_words}
