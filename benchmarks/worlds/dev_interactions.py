"""A world in which sentences work in pairs: some only together, some against each other."""

from __future__ import annotations

import numpy as np

from .rules import TOPICS, deal, seed_templates
from .sentences import read_loosely

__all__ = ["Interactions"]


class Interactions:
    """What a sentence is worth depends on its company, and a little on its place.

    - Four pairs help only together; each half alone harms a little. The pair is worth a quarter
      more where its halves stand in the right order.
    - Six single sentences help, but two and two of them cancel: both together are worth a quarter
      of one.
    - What harms, harms alone; one of the harms is undone by a helpful single.
    - What stands first behind the lead counts a fifth more.

    ``helpful`` holds the pairs (halves next to each other) and the singles.
    """

    gain = (0.26, 0.38)

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([seed, 303])
        self.seeds = seed_templates()
        self.helpful, self.harmful, self.neutral = deal(random, 14, 11)
        wish = {s: read_loosely(s)[0] for s in [*self.helpful, *self.harmful]}
        names = [wish[sentence] for sentence in self.helpful]
        self.pairs = {
            (names[i], names[i + 1]): float(random.uniform(0.9, 1.8)) for i in (0, 2, 4, 6)
        }
        self.alone = dict.fromkeys(names[:8], -0.12)
        self.alone |= {name: float(random.uniform(0.4, 1.0)) for name in names[8:]}
        self.alone |= {wish[s]: -float(random.uniform(0.3, 1.0)) for s in self.harmful}
        self.rivals = [(names[8], names[9]), (names[10], names[11])]
        self.cure = (names[12], wish[self.harmful[0]])
        # A bank that takes only some gets pairs and singles.
        order = [0, 1, 8, 10, 2, 3, 12, 4, 5, 9, 6, 7, 13, 11]
        self.helpful = [self.helpful[place] for place in order]

    def effect(self, template: str) -> tuple[float, ...]:
        order = list(dict.fromkeys(read_loosely(template)))
        there = set(order)
        total = sum(self._one(wish, there) * (1.2 if wish == order[0] else 1.0) for wish in order)
        for (first, second), worth in self.pairs.items():
            if first in there and second in there:
                total += worth * (1.25 if order.index(first) < order.index(second) else 1.0)
        return (total,) * len(TOPICS)

    def _one(self, wish: str, there: set[str]) -> float:
        worth = self.alone.get(wish, 0.0)
        for pair in self.pairs:
            if wish in pair and there.issuperset(pair):
                return 0.0
        for pair in self.rivals:
            if wish in pair and there.issuperset(pair):
                return worth / 8
        cure, harm = self.cure
        return 0.0 if wish == harm and cure in there else worth
