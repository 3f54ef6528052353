"""What a run adds up to; knows nothing of how it is shown."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from structq.modules.derived import facts_of, finest_scores, orders_rows
from structq.runs.rows import Finished

__all__ = ["Mean", "Tally"]


@dataclass(kw_only=True)
class Mean:
    """A mean that needs no list."""

    n: int = 0
    """Numbers added so far."""

    total: float = 0.0
    """Their sum."""

    def add(self, number: float) -> None:
        """Counts one number."""
        self.n += 1
        self.total += number

    @property
    def value(self) -> float | None:
        """The mean; ``None`` of no numbers."""
        return self.total / self.n if self.n else None


@dataclass(kw_only=True)
class Tally:
    """Counts and means over the rows that a run has finished so far."""

    compares: bool = False
    """Whether the first response is an original and the others stand against it."""

    judged_by_writer: bool = False
    """Whether the LM that scores the responses is the one that wrote the evolutions."""

    n_rows: int = 0
    """Rows finished, failed ones included."""

    n_failed: int = 0
    """Rows with an error."""

    causes: Counter[str] = field(default_factory=Counter)
    """How many rows failed for each cause."""

    n_short: int = 0
    """Rows without an error whose later evolutions failed."""

    n_lm_calls: int = 0
    """Requests to the LM, retries included."""

    input_tokens: int = 0
    """Tokens of all prompts, as the LM counts them."""

    output_tokens: int = 0
    """Tokens of all answers."""

    scores: Mean = field(default_factory=Mean)
    """Scores of all responses."""

    before: Mean = field(default_factory=Mean)
    """Score of the original response, over compared rows whose scores other rows' can be held
    against."""

    after: Mean = field(default_factory=Mean)
    """Score of the best response, over the same rows."""

    n_improved: int = 0
    """Rows among the compared ones whose best response is an evolution."""

    n_compared: int = 0
    """Rows whose original and best response are both scored."""

    judge_check: dict[str, Any] | None = None
    """What both orders of some rows showed of the judge, where they were asked."""

    calibrated: dict[str, Any] | None = None
    """What calibrated scores say of the data: ``mean`` with its interval, and ``shift``."""

    started: float = field(default_factory=time.monotonic)
    """Start of the run, in seconds of the monotonic clock."""

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self.started

    @property
    def share_improved(self) -> float | None:
        """Improved rows among those scored before and after, from 0 to 1."""
        return self.n_improved / self.n_compared if self.n_compared else None

    def add(self, row: Finished) -> None:
        """Counts one finished row."""
        self.n_rows += 1
        self.n_failed += row.error is not None
        if row.cause is not None:
            self.causes[row.cause] += 1
        for call in row.calls:
            usage = call.get("usage") or {}
            self.n_lm_calls += call.get("attempts", 1)
            self.input_tokens += usage.get("input_tokens") or 0
            self.output_tokens += usage.get("output_tokens") or 0
        if row.error is None:
            self.n_short += bool(facts_of(row.values).get("short"))
            self._add_scores(row.values)

    def _add_scores(self, values: dict[str, Any]) -> None:
        scores = finest_scores(values)
        known = [score for score in scores if score is not None]
        compared = self.compares and known and scores[0] is not None
        if compared:
            self.n_compared += 1
            self.n_improved += max(known) > scores[0]
        if not orders_rows(values):
            return  # a mean over rows of what only compares within one says nothing
        for score in known:
            self.scores.add(score)
        if compared:
            self.before.add(scores[0])
            self.after.add(max(known))
