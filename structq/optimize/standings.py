"""How the templates stand while a search goes on: for progress, and for a run that is cut short.

Nothing here is a proof: the leader of many is favoured by luck. Only the verdict tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from .trials import Outcome
from .verdict import Candidate

__all__ = ["Standings"]

_MIN_ROWS = 3


class Standings:
    """Gains of every text on the training rows, beside those of the seed's text.

    Args:
        seed: The templates that the search began with.
    """

    def __init__(self, seed: Candidate) -> None:
        self.seed = seed
        self._gains: dict[str, dict[str, dict[int, float]]] = {name: {} for name in seed.templates}

    def add(self, outcome: Outcome) -> None:
        """Counts one outcome; those of validation rows stand for nothing here."""
        trial = outcome.trial
        if trial.split == "train" and trial.mutation in self._gains:
            texts = self._gains[trial.mutation]
            texts.setdefault(trial.text, {})[trial.row] = outcome.gain

    @property
    def best(self) -> Candidate:
        """For each mutation the text that leads, by a standard error at least, else the seed's."""
        templates = {name: self._leader(name)[0] for name in self.seed.templates}
        return Candidate(templates=templates, weights=self.seed.weights)

    @property
    def lead(self) -> float:
        """Mean over the mutations of the difference between the best and the seed's text."""
        return fmean(self._leader(name)[1] for name in self.seed.templates)

    def _leader(self, name: str) -> tuple[str, float]:
        own = self.seed.templates[name]
        known = self._gains[name]
        found, lead, surest = own, 0.0, 0.0
        base = list(known.get(own, {}).values())
        for text, gains in known.items():
            if text == own or min(len(base), len(gains)) < _MIN_ROWS:
                continue
            difference = fmean(gains.values()) - fmean(base)
            sure = difference - math.hypot(_error(base), _error(list(gains.values())))
            if sure > surest:
                found, lead, surest = text, difference, sure
        return found, lead


def _error(gains: Sequence[float]) -> float:
    """Standard error of the mean."""
    return stdev(gains) / math.sqrt(len(gains))
