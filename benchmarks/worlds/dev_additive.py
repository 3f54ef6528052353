"""A world in which each known sentence adds or takes a fixed amount, and no other text does."""

from __future__ import annotations

import numpy as np

from .rules import TOPICS, deal, seed_templates
from .sentences import read_exactly

__all__ = ["Additive"]


class Additive:
    """Amounts with a long tail: a few sentences carry most of the gain. Length costs nothing.

    Two wordings of one wish count once. A sentence is worth the same on every topic and in every
    mutation.
    """

    gain = (0.28, 0.40)

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([seed, 101])
        self.seeds = seed_templates()
        self.helpful, self.harmful, self.neutral = deal(random, 14, 11)
        self.amounts: dict[str, float] = {}
        for sign, sentences in ((1.0, self.helpful), (-1.0, self.harmful)):
            for sentence in sentences:
                self.amounts[read_exactly(sentence)[0]] = sign * (0.15 + random.exponential())

    def effect(self, template: str) -> tuple[float, ...]:
        total = sum(self.amounts.get(wish, 0.0) for wish in set(read_exactly(template)))
        return (total,) * len(TOPICS)
