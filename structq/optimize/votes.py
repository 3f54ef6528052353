"""What proposers stand behind: how often they add a sentence unasked, alone and beside another.

A proposer that is asked many times and adds the same again and again may know something; how much
that is worth is not assumed here but learned from the data (see ``credit``). One that never repeats
itself gives every sentence the same hope, and that is no information.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

__all__ = ["Hopes", "Votes"]


@dataclass(frozen=True, kw_only=True)
class Hopes:
    """How strongly proposers stand behind something, from 0 to 1."""

    alone: Mapping[int, float] = field(default_factory=dict)
    """Behind a sentence: 0.5 where it is added as often as others are."""
    together: Mapping[tuple[int, int], float] = field(default_factory=dict)
    """Behind two sentences in one text, beyond what chance would put together."""


class Votes:
    """Counts what proposals add to the template that their author was shown."""

    def __init__(self) -> None:
        self._n = 0
        self._added: Counter[int] = Counter()
        self._shown: Counter[int] = Counter()
        self._pairs: Counter[tuple[int, int]] = Counter()

    def add(self, sentences: Iterable[int], shown: Iterable[int]) -> None:
        """Takes down one proposal and what its author had before its eyes."""
        self._n += 1
        self._shown.update(shown)
        new = sorted({*sentences} - {*shown})
        self._added.update(new)
        self._pairs.update(combinations(new, 2))

    def hopes(self) -> Hopes:
        """As of now."""
        if not self._added:
            return Hopes()
        asked = {i: self._n - self._shown[i] for i in self._added}
        usual = self._added.total() / max(1, sum(asked.values()))
        alone = {}
        for i, n_added in self._added.items():
            # One vote at the usual rate is added, for those that had few chances.
            rate = (n_added + 1) / (asked[i] + 1 / usual)
            alone[i] = rate / (rate + usual)
        together = {}
        for (i, j), n in self._pairs.items():
            by_chance = self._added[i] * self._added[j] / self._n
            if n >= 2 and n > by_chance:
                together[i, j] = (n - by_chance) / (n + 1)
        return Hopes(alone=alone, together=together)
