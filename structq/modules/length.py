"""How long an evolution must and may be; knows nothing of LMs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from structq.errors import InputError, shorten
from structq.texts import n_words

__all__ = ["MAX_GROWTH", "Length", "check_growth"]

MAX_GROWTH = 3.0
"""An evolution of more than three times the words is another text."""
_LEAST_BASE = 40
"""Words from which growth counts: a short answer may become a paragraph."""
_LEAST_ADDED = 5
"""Words behind an original that is kept whole: with fewer, nothing was said."""


@dataclass(frozen=True, kw_only=True)
class Length:
    """Bounds on the words of an evolution, from the response that it evolves."""

    min_added: int | None = None
    """How many words longer it must be."""
    max_added: int | None = None
    """How many words longer it may be."""
    max_growth: float | None = None
    """How many times as long it may be, from 40 words on."""

    def least(self, response: str, original: str, *, anchored: bool, shortens: bool) -> int:
        """Fewest words of an evolution.

        Args:
            response: What the step evolves.
            original: The response of the row.
            anchored: The evolution begins with the original.
            shortens: The mutation asks for less; else half of the response is the least.
        """
        n_last = n_words(response)
        least = 1 if shortens else math.ceil(n_last / 2)
        if self.min_added is not None:
            least = n_last + self.min_added
        if anchored:
            least = max(least, n_words(original) + _LEAST_ADDED)
        # Who allows fewer words gets fewer: an upper bound is a promise.
        return least if self.max_added is None else min(least, n_last + self.max_added)

    def most(self, response: str) -> int | None:
        """Most words of an evolution."""
        n_last = n_words(response)
        bounds = []
        if self.max_added is not None:
            bounds.append(n_last + self.max_added)
        if self.max_growth is not None:
            grown = math.ceil(self.max_growth * max(n_last, _LEAST_BASE))
            bounds.append(max(grown, n_last + (self.min_added or 0)))
        return min(bounds, default=None)

    def sentence(self, response: str) -> str:
        """The bounds in words for an LM; nothing where there are none."""
        parts = []
        if self.min_added is not None:
            parts.append(f"Add at least {self.min_added} words.")
        if self.max_added is not None:
            parts.append(f"Add at most {self.max_added} words.")
        elif (most := self.most(response)) is not None:
            parts.append(f"Use at most {most} words.")
        return " ".join(parts)


def check_growth(value: object) -> None:
    """Raises ``InputError`` unless the value is a number above 1, or ``None``."""
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 < value < math.inf:
        raise InputError(
            f"max_growth: must be a number above 1, or None, found {shorten(value)}",
            field="max_growth",
        )
