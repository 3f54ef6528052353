"""What a family of worlds says of a template: its effect on each topic, and what helps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from structq.templates import default_mutations

from .sentences import WISHES, write

__all__ = ["TOPICS", "Rule", "deal", "reach", "seed_templates"]

TOPICS = ("cooking", "health", "computers", "money")


class Rule(Protocol):
    """The law of one world, up to its scale."""

    seeds: dict[str, str]
    """Mutation to the template that tuning begins with."""
    helpful: list[str]
    harmful: list[str]
    neutral: list[str]
    """Sentences by what they do, each of another wish, in the order in which a bank takes them."""
    gain: tuple[float, float]
    """From where to where the best gain of the 57 % bank is drawn."""

    def effect(self, template: str) -> Sequence[float]:
        """What a template adds to a response, for each topic, before scaling."""
        ...


def seed_templates() -> dict[str, str]:
    """The packaged mutations: what a user tunes."""
    return dict(default_mutations())


def deal(random: np.random.Generator, n_helpful: int, n_harmful: int) -> list[list[str]]:
    """All wishes, one wording each, dealt at random as helpful, harmful and neutral."""
    names = [str(name) for name in random.permutation(list(WISHES))]
    chosen = [WISHES[name][random.integers(3)] for name in names]
    return [
        chosen[:n_helpful],
        chosen[n_helpful : n_helpful + n_harmful],
        chosen[n_helpful + n_harmful :],
    ]


def reach(rule: Rule, bank: Sequence[str], n_starts: int = 3) -> dict[str, str]:
    """The best templates that can be written of a bank's sentences, as far as a climb finds them.

    Noise-free: from nothing, from all that helps, and from random halves, each mutation climbs by
    adding (at the front or the end), dropping and replacing sentences, and by adding two at once
    where nothing else helps, until no such step helps. The tests hold it against full enumeration
    on small banks, and against the exact optimum where the law is a sum.
    """
    random = np.random.default_rng(len(bank))
    helpful = [sentence for sentence in bank if sentence in set(rule.helpful)]
    halves = [[s for s in bank if random.random() < 0.5] for _ in range(n_starts - 1)]
    best = {}
    for name, seed in rule.seeds.items():
        lead, own = _split(seed)
        sources = [*own, *bank]
        starts = [own, helpful, *halves]
        ends = [_climb(rule, lead, start, sources) for start in starts]
        best[name] = max(ends, key=lambda end: (_mean(rule, end), -len(end)))
    return best


def _split(seed: str) -> tuple[str, list[str]]:
    lead, *own = seed.split(". ")
    return lead.rstrip(".") + ".", [sentence.rstrip(".") + "." for sentence in own]


def _mean(rule: Rule, template: str) -> float:
    effects = rule.effect(template)
    return sum(effects) / len(effects)


def _climb(rule: Rule, lead: str, start: Sequence[str], bank: Sequence[str]) -> str:
    now = list(start)
    value = _mean(rule, write(lead, now))
    moved = True
    while moved:
        moved = False
        for steps in (_single_steps, _double_steps):
            for step in steps(now, bank):
                tried = _mean(rule, write(lead, step))
                if tried > value + 1e-9:
                    now, value, moved = step, tried, True
                    break
            if moved:
                break
    return write(lead, now)


def _single_steps(now: list[str], bank: Sequence[str]) -> Iterator[list[str]]:
    for place in range(len(now)):
        yield now[:place] + now[place + 1 :]
    absent = [sentence for sentence in bank if sentence not in now]
    for sentence in absent:
        yield [*now, sentence]
        yield [sentence, *now]
    for place in range(len(now)):
        for sentence in absent:
            yield [*now[:place], sentence, *now[place + 1 :]]
    for place in range(1, len(now)):
        yield [now[place], *now[:place], *now[place + 1 :]]


def _double_steps(now: list[str], bank: Sequence[str]) -> Iterator[list[str]]:
    absent = [sentence for sentence in bank if sentence not in now]
    for first in absent:
        for second in absent:
            if first != second:
                yield [*now, first, second]
