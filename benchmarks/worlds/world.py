"""One world: a simulated LM, rows, a judge, a metric, and the truth about every template."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any

import structq

from .draws import normal, uniform
from .engine import Judged, SimulatedEngine, Written, make_lm
from .proposing import PROPOSERS, Proposer, bank_of
from .rows import make_rows, topic_of
from .rules import TOPICS, Rule, reach

__all__ = ["JUDGES", "World"]

JUDGES = ("fair", "length", "position")
"""Who scores: without bias, with a liking for more words, or for the response that comes first."""

_MARK = re.compile(r" It is of make (\d{5})\.$")
_FILLER = (
    "So it goes with most of what is done at home.",
    "A friend who has done it for years would say much the same.",
    "In the end it is care that decides.",
    "None of this is hard once it has become a custom.",
)


class World:
    """A simulated LM whose response to any template is known.

    An evolved response is worth its original plus the template's effect on the row's topic plus
    noise; the judge sees what it is worth, with noise and bias of its own. All draws are keyed by
    the texts, so that answers do not depend on order or concurrency.

    Args:
        rule: The law of the family.
        seed: Fixes rows and noise.
        proposer: One of ``PROPOSERS``.
        judge: One of ``JUDGES``.
        null: Nothing matters: all templates have the same effect, none. Responses of a null world
            differ in length, but not by their template: a judge that loves length then scores every
            template higher than the original, and all templates alike.

    Attributes:
        seeds: Mutation to the template to begin with.
        bank: The sentences that the proposing LM knows.
        train, val, heldout: Rows with ``instruction`` and ``response``.
        lm: Writes, judges and proposes.
    """

    def __init__(
        self, rule: Rule, seed: int, *, proposer: str, judge: str, null: bool, family: str
    ) -> None:
        for name, value, allowed in (("proposer", proposer, PROPOSERS), ("judge", judge, JUDGES)):
            if value not in allowed:
                raise ValueError(f"unknown {name}: {value!r} (one of {', '.join(allowed)})")
        self.family, self.seed, self.judge, self.null = family, seed, judge, null
        self.proposer = proposer
        self.rule = rule
        self.seeds = dict(rule.seeds)
        self.bank = bank_of(rule, proposer)
        self.train, self.val, self.heldout = make_rows(seed)
        self.engine = SimulatedEngine(self._write, self._judge, Proposer(rule, proposer, seed))
        self.lm = make_lm(self.engine, f"worlds/{family}-{seed}-{proposer}-{judge}-{null}")
        self._effects = lru_cache(maxsize=50_000)(self._scaled)

    @property
    def calls(self) -> int:
        """How many LM calls were made so far, of any kind."""
        return sum(self.engine.counts.values())

    def student(self) -> structq.EvolQuality:
        """What is tuned."""
        return structq.EvolQuality(mutation_templates=self.seeds, lm=self.lm)

    def quality_gain(self, **options: Any) -> structq.QualityGain:
        """A metric that asks the world's judge."""
        return structq.QualityGain(structq.QualityScorer(lm=self.lm), **options)

    @cached_property
    def metric(self) -> Callable[..., float]:
        """A metric that makes no calls: the gain plus noise, from 0 to 1; 0.5 is no gain."""
        seed = self.seed

        def noisy_gain(
            example: Any,
            prediction: Any,
            trace: object = None,
            pred_name: str | None = None,
            pred_trace: object = None,
        ) -> float:
            evolved = str(prediction.evolved_response)
            noise = 0.25 * normal(seed, "metric", evolved)
            return min(1.0, max(0.0, 0.5 + (_marked(evolved) + noise) / 2))

        return noisy_gain

    def true_gain(self, templates: Mapping[str, str]) -> float:
        """The exact mean gain of the mutations over the held-out rows, without noise."""
        gains = [sum(self._effects(text)) / len(TOPICS) for text in templates.values()]
        return sum(gains) / len(gains)

    @cached_property
    def seed_value(self) -> float:
        """What the seed templates are worth."""
        return self.true_gain(self.seeds)

    @cached_property
    def best_templates(self) -> dict[str, str]:
        """The best that can be written of the bank's and the seeds' sentences; see ``reach``."""
        return self.seeds if self.null else reach(self.rule, self.bank)

    @cached_property
    def best_reachable(self) -> float:
        """What the best templates are worth."""
        return self.true_gain(self.best_templates)

    def share(self, templates: Mapping[str, str]) -> float:
        """How much of the reachable gain templates have; 0 for the seeds, below 0 for worse."""
        room = self.best_reachable - self.seed_value
        return (self.true_gain(templates) - self.seed_value) / room if room else 0.0

    @cached_property
    def _scale(self) -> float:
        """Makes the gain that is reachable with the 57 % bank one of the family's usual size."""
        best = reach(self.rule, bank_of(self.rule, "good")).values()
        raw = [sum(self.rule.effect(text)) / len(TOPICS) for text in best]
        seeds = [sum(self.rule.effect(text)) / len(TOPICS) for text in self.seeds.values()]
        low, high = self.rule.gain
        wanted = low + (high - low) * uniform(self.seed, self.family, "gain")
        return wanted * len(self.seeds) / (sum(raw) - sum(seeds))

    def _scaled(self, template: str) -> tuple[float, ...]:
        if self.null:
            return (0.0,) * len(TOPICS)
        return tuple(max(-0.6, min(0.6, self._scale * e)) for e in self.rule.effect(template))

    def _write(self, asked: Written) -> str:
        key = (self.seed, "write", asked.template, asked.instruction, asked.response)
        topic = topic_of(asked.instruction)
        effects = self._effects(asked.template)
        gain = sum(effects) / len(effects) if topic is None else effects[topic]
        marked = round(10_000 * (gain + 0.12 * normal(*key) + 1.0))
        n_words = 0 if self.null else len(asked.template.split())
        n_fillers = 1 + int(2 * uniform(*key, "length")) + (n_words > 50)
        first = int(len(_FILLER) * uniform(*key, "filler"))
        filler = [_FILLER[(first + k) % len(_FILLER)] for k in range(n_fillers)]
        text = _MARK.sub("", asked.response)
        return " ".join([text, *filler, f"It is of make {max(0, min(marked, 99_999)):05d}."])

    def _judge(self, asked: Judged) -> list[Any]:
        lowest, highest = 0, len(asked.labels) - 1
        base = 0.38 + 0.08 * normal(self.seed, "base", asked.instruction)
        labels = []
        for place, response in enumerate(asked.responses):
            key = (self.seed, "judge", place, *asked.responses)
            value = base + _marked(response) + 0.15 * normal(*key)
            if self.judge == "position":
                value += 0.2 * (place == 0)
            if self.judge == "length":
                value += 0.006 * (len(response.split()) - 25)
            label = lowest + (highest - lowest) * value + uniform(*key, "rounding")
            labels.append(asked.labels[max(lowest, min(highest, int(label // 1)))])
        return labels


def _marked(response: str) -> float:
    """What an evolved response is worth more than its original, noise included; else nothing."""
    found = _MARK.search(response)
    return int(found[1]) / 10_000 - 1.0 if found else 0.0
