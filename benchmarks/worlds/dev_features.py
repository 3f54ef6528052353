"""A world of features: wordings of one thing, topics that like it or not, and little patience."""

from __future__ import annotations

import math

import numpy as np

from .rules import TOPICS, deal, seed_templates
from .sentences import WISHES, read_exactly, read_loosely

__all__ = ["Features"]


class Features:
    """A template is read as a set of features, and followed less the more words it has.

    - Any wording carries its feature, some better than others; a second one adds nothing. A lead
      that asks for a feature already ("add a specific example") has it.
    - On one topic, which is another for each feature, its worth is turned around; on another it
      counts double.
    - The gains of a topic saturate: twice as much is worth half as much again. Harm does not.
    - Of a template up to ``patience`` words all is followed; beyond, the share that is followed
      falls by half with each ``half_life`` further words. So an unknown sentence costs as well.
    """

    gain = (0.25, 0.36)

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([seed, 202])
        self.seeds = seed_templates()
        self.helpful, self.harmful, self.neutral = deal(random, 14, 11)
        self.patience = float(random.uniform(34, 44))
        self.half_life = float(random.uniform(22, 34))
        worth = {sentence: random.uniform(0.25, 1.0) for sentence in self.helpful}
        worth |= {sentence: -random.uniform(0.2, 0.9) for sentence in self.harmful}
        self.worths: dict[str, list[float]] = {}
        self.clarity: dict[str, float] = {}
        for sentence, amount in worth.items():
            wish = read_exactly(sentence)[0]
            turned, doubled = random.choice(len(TOPICS), 2, replace=False)
            factors = [1.0] * len(TOPICS)
            factors[turned], factors[doubled] = -0.6, 2.0
            self.worths[wish] = [amount * factor for factor in factors]
            for wording in WISHES[wish]:
                self.clarity[wording] = float(random.uniform(0.75, 1.0))

    def effect(self, template: str) -> list[float]:
        words = len(template.split())
        followed = 0.5 ** (max(0.0, words - self.patience) / self.half_life)
        wishes = [wish for wish in dict.fromkeys(read_loosely(template)) if wish in self.worths]
        strength = {wish: self._clearest(wish, template) for wish in wishes}
        sums = [
            sum(strength[wish] * self.worths[wish][topic] for wish in wishes)
            for topic in range(len(TOPICS))
        ]
        return [followed * _saturate(total) for total in sums]

    def _clearest(self, wish: str, template: str) -> float:
        """How well the best wording that stands there carries a feature; a foreign one: 0.8."""
        said = [self.clarity[w] for w in WISHES[wish] if w.lower()[:-1] in template.lower()]
        return max(said, default=0.8)


def _saturate(total: float) -> float:
    return total if total <= 0 else 1.8 * (1.0 - math.exp(-total / 1.8))
