"""The held-out world: the style of the whole text counts, and cannot be split into sentences."""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from .rules import TOPICS, seed_templates
from .sentences import WISHES, write

__all__ = ["Style"]

_N_BUCKETS = 512
_N_AXES = 3


class Style:
    """A template has a style, a point in space; the nearer to a hidden point, the better.

    The style is the mean over all character 4-grams of the whole text (its lead included), each
    with a direction of its own. So whatever is added moves the whole, the more the shorter it is;
    what helps next to one text harms next to another; and no word is needed. Two topics look for a
    point a little aside of the other two's. Length as such costs nothing.
    """

    gain = (0.25, 0.36)

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([seed, 909])
        self.seeds = seed_templates()
        self.directions = random.normal(size=(_N_BUCKETS, _N_AXES))
        middle = np.mean([self.style(text) for text in self.seeds.values()], axis=0)
        moves = {s: self._moved(s) - middle for wordings in WISHES.values() for s in wordings}
        spread = float(np.mean([np.linalg.norm(move) for move in moves.values()]))
        towards = np.mean(random.permutation(list(moves.values()))[:25], axis=0)
        towards /= np.linalg.norm(towards)
        aside = random.normal(size=_N_AXES)
        aside *= 0.5 * spread / np.linalg.norm(aside)
        self.width = 2.2 * spread
        point = middle + 2.4 * spread * towards
        self.points = [point + aside, point - aside, point + aside, point - aside][: len(TOPICS)]
        self.helpful, self.harmful, self.neutral = self._sort(random)

    def style(self, template: str) -> np.ndarray:
        """The point at which a text stands."""
        text = " ".join(template.lower().split())
        grams = [_bucket(text[i : i + 4]) for i in range(max(1, len(text) - 3))]
        return np.asarray(self.directions[grams].mean(axis=0))

    def effect(self, template: str) -> list[float]:
        style = self.style(template)
        away = [float(((style - point) ** 2).sum()) for point in self.points]
        return [math.exp(-distance / (2 * self.width**2)) for distance in away]

    def _moved(self, sentence: str) -> np.ndarray:
        return np.mean(
            [self.style(write(lead, [sentence])) for lead in self.seeds.values()], axis=0
        )

    def _sort(self, random: np.random.Generator) -> tuple[list[str], list[str], list[str]]:
        """Wishes by what their sentence does alone; of each the wording that fills what lacks."""
        leads = list(self.seeds.values())
        before = float(np.mean([self.effect(lead) for lead in leads]))
        sorts: tuple[list[str], list[str], list[str]] = ([], [], [])
        room = (14, 11, 5)
        for name in random.permutation(list(WISHES)):
            alone = {
                s: float(np.mean([self.effect(write(lead, [s])) for lead in leads])) - before
                for s in WISHES[str(name)]
            }
            wishes = sorted(alone, key=alone.__getitem__)
            options = [
                (0, wishes[-1], alone[wishes[-1]] > 0),
                (1, wishes[0], alone[wishes[0]] < 0),
            ]
            open_ = [(k, s) for k, s, true in options if true and len(sorts[k]) < room[k]]
            if open_:
                kind, sentence = open_[int(random.integers(len(open_)))]
                sorts[kind].append(sentence)
            else:
                sorts[2].append(min(alone, key=lambda s: abs(alone[s])))
        return sorts


@lru_cache(maxsize=100_000)
def _bucket(gram: str) -> int:
    return int.from_bytes(blake2b(gram.encode(), digest_size=2).digest()) % _N_BUCKETS
