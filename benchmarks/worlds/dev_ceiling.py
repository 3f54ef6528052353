"""A world with nothing to win but by leaving out: most templates are equal, two habits harm."""

from __future__ import annotations

import numpy as np

from .rules import TOPICS, deal, seed_templates
from .sentences import read_loosely

__all__ = ["Ceiling"]


class Ceiling:
    """Two bad habits harm; two of the five seed templates have one each. The rest hardly matters.

    What "helps" is worth a thirtieth of a habit's harm, and what is better is counted once: a
    template with one such sentence is as good as one with ten. All but a small part of the
    reachable gain is had by leaving the habit out.
    """

    gain = (0.07, 0.11)

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([seed, 404])
        self.helpful, self.harmful, self.neutral = deal(random, 14, 11)
        self.habits = {
            read_loosely(s)[0]: float(random.uniform(0.8, 1.2)) for s in self.harmful[:2]
        }
        self.small = {read_loosely(s)[0]: float(random.uniform(0.02, 0.06)) for s in self.helpful}
        self.slips = {read_loosely(s)[0]: 0.03 for s in self.harmful[2:]}
        self.seeds = seed_templates()
        names = random.choice(list(self.seeds), 2, replace=False)
        for name, habit in zip(names, self.harmful[:2], strict=True):
            self.seeds[name] += f" {habit}"

    def effect(self, template: str) -> tuple[float, ...]:
        there = set(read_loosely(template))
        harm = sum(self.habits.get(wish, 0.0) + self.slips.get(wish, 0.0) for wish in there)
        best = max((self.small.get(wish, 0.0) for wish in there), default=0.0)
        return (best - harm,) * len(TOPICS)
