"""When so many rows fail that going on makes no sense; knows nothing of how they are made."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

from structq.errors import InputError
from structq.runs.rows import Finished

__all__ = ["FailureLimit", "FailureWatch"]

_N_ALIKE = 20
_N_BEFORE_A_RATE = 50


@dataclass(frozen=True, kw_only=True)
class FailureLimit:
    """How many rows may fail."""

    share: float | None = None
    """Of the rows so far, from 0 to 1; counts from the 50th row on."""
    count: int | None = None
    """Of the whole run."""

    @classmethod
    def parse(cls, text: str) -> FailureLimit:
        """From ``20%`` or ``100``.

        Raises:
            InputError: It is something else.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text.strip())
        if match and float(match[1]) <= 100:
            return cls(share=float(match[1]) / 100)
        if text.strip().isdecimal():
            return cls(count=int(text))
        raise InputError(
            f"max_failures: {text!r} (must be a share such as 20%, or a number of rows)",
            field="max_failures",
        )


@dataclass(kw_only=True)
class FailureWatch:
    """Says when a run has to end because of the rows that failed.

    Attributes:
        reason: Why, in a sentence; ``None`` while it may go on.
    """

    limit: FailureLimit = field(default_factory=FailureLimit)
    """What the caller allows."""
    n_rows: int = 0
    """Rows so far."""
    n_first: int = 0
    """Of the first rows of the input, those that are finished."""
    n_failed: int = 0
    """Rows among them that failed."""
    causes: Counter[str] = field(default_factory=Counter)
    """How many failed of each cause."""
    example: str | None = None
    """The first failure, with its place."""

    def add(self, row: Finished) -> str | None:
        """Counts a row; returns why the run has to end, or ``None``."""
        self.n_rows += 1
        self.n_first += row.number < _N_ALIKE
        if row.cause is not None:
            self.n_failed += 1
            self.causes[row.cause] += 1
            self.example = self.example or str(row.error)
        return self._alike() or self._too_many()

    def _alike(self) -> str | None:
        """A fault that every row has is told once."""
        # Rows that are refused at once are there before the first that is asked about.
        if self.n_first < _N_ALIKE or len(self.causes) != 1 or self.n_failed < self.n_rows:
            return None
        return f"each of the first {_N_ALIKE} rows failed for one cause: {self.example}"

    def _too_many(self) -> str | None:
        limit = self.limit
        if limit.count is not None and self.n_failed > limit.count:
            return f"{self.n_failed:,} rows failed (at most {limit.count:,} may): {self._worst()}"
        if limit.share is None or self.n_rows < _N_BEFORE_A_RATE:
            return None
        if self.n_failed > limit.share * self.n_rows:
            found = f"{self.n_failed:,} of {self.n_rows:,} rows failed"
            return f"{found} (at most {limit.share:.0%} may): {self._worst()}"
        return None

    def _worst(self) -> str:
        cause, n = self.causes.most_common(1)[0]
        return f"{n:,} of them for {cause}"
