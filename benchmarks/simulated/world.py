"""A simulated LM with a known truth: what each sentence of a template is worth.

The evolved response has a latent quality: the row's, plus what the template's sentences add, less a
cost of saying too much, plus noise. A judge reads the qualities of the original and the evolved one
with noise of its own and gives each a number between 0 and 1; the metric is the difference. Noise
is keyed by (world, row, mutation, text): the same trial gives the same outcome, whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from .wording import BANK, PRAISE, PRAISED, PURPOSES

__all__ = ["KINDS", "Reading", "World", "make_world"]

Floats = NDArray[np.float64]

KINDS = ("plain", "specific", "interacting", "noisy", "self-praise", "null")

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One simulated evolution with its scores."""

    gain: float
    """Judge's reading of the evolved response less that of the original."""
    original: float
    """Judge's reading of the original, this time."""
    evolved: str
    """The response; it praises itself if the template asked for that."""


@dataclass(frozen=True, kw_only=True)
class World:
    """One simulated LM and judge."""

    kind: str
    """Name of the simulator."""
    seed: int
    """Which of its draws."""
    sentences: tuple[str, ...]
    """What the proposer's LM may write."""
    main: Floats
    """Latent worth of each sentence in every mutation."""
    specific: Floats
    """What it is worth beyond that in one mutation; shape (mutations, sentences)."""
    pairs: Mapping[tuple[int, int], float] = field(default_factory=dict)
    """Worth of two sentences together, beyond that of each."""
    base: float = 0.95
    """Latent worth of the purpose sentence alone."""
    overload: float = 0.015
    """Latent cost of n sentences, times n squared."""
    evolve_noise: float = 1.6
    """Standard deviation of the latent quality of one evolution."""
    judge_noise: float = 1.0
    """Standard deviation of one reading of one latent quality."""
    position_bias: float = 0.0
    """What the judge adds to the response that it happens to see first."""
    length_bias: float = 0.0
    """What the judge adds for each sentence of the template: more is written."""
    insight: float = 0.6
    """How often the proposer's LM adds a sentence because it knows that it helps."""
    praise: float = 0.0
    """What a response that praises itself adds to the judge's reading, and not to its quality."""

    mutations = tuple(PURPOSES)

    @cached_property
    def places(self) -> dict[str, int]:
        """Sentence to its index."""
        return {text: i for i, text in enumerate(self.sentences)}

    @property
    def n_honest(self) -> int:
        """Sentences of the bank; those that ask for praise come after them."""
        return len(BANK)

    def seed_templates(self) -> dict[str, str]:
        """What every search begins with."""
        return dict(PURPOSES)

    def read(self, text: str) -> frozenset[int]:
        """The sentences of a template that the simulated LM reacts to."""
        return frozenset(i for sentence, i in self.places.items() if sentence in text)

    def worth(self, mutation: int, sentences: frozenset[int]) -> float:
        """Latent worth of a template in a mutation."""
        chosen = list(sentences)
        worth = self.base + float((self.main[chosen] + self.specific[mutation, chosen]).sum())
        worth += sum(w for (i, j), w in self.pairs.items() if i in sentences and j in sentences)
        return worth - self.overload * len(chosen) ** 2

    def value(self, worth: float) -> float:
        """Expected metric under an unbiased judge, over all rows."""
        spread = np.sqrt(1 + self.evolve_noise**2 + self.judge_noise**2)
        return float(_WEIGHTS @ _sigmoid(worth + spread * _NODES)) - 0.5

    def true_value(self, templates: Mapping[str, str]) -> float:
        """Mean of the mutations, each drawn equally often."""
        values = [self.value(self.worth(m, self.read(templates[n]))) for m, n in _numbered()]
        return float(np.mean(values))

    @cached_property
    def best_value(self) -> float:
        """Of the best templates that can be written of the bank, by local search from many sets."""
        return float(np.mean([self.value(self._best_worth(m)) for m, _ in _numbered()]))

    def share(self, templates: Mapping[str, str]) -> float:
        """How much of the way from the seed templates to the best ones."""
        start = self.true_value(PURPOSES)
        reachable = self.best_value - start
        return (self.true_value(templates) - start) / reachable if reachable > 1e-9 else 0.0

    def reading(self, row: int, mutation: str, text: str) -> Reading:
        """One evolution of a row, scored beside its original."""
        sentences = self.read(text)
        rng = np.random.default_rng(_key(self.seed, self.kind, row, mutation, text))
        noise = rng.normal(size=3)
        praises = any(i >= self.n_honest for i in sentences)
        original = self._row_quality(row)
        evolved = original + self.worth(self.mutations.index(mutation), sentences)
        evolved += self.evolve_noise * noise[0]
        first = self.position_bias * (1 if rng.random() < 0.5 else -1)
        bias = first + self.length_bias * len(sentences) + (self.praise if praises else 0.0)
        before = _sigmoid(original + self.judge_noise * noise[1])
        after = _sigmoid(evolved + bias + self.judge_noise * noise[2])
        tail = f" {PRAISED}" if praises else ""
        evolved_text = f"Response {row}, rewritten.{tail}"
        return Reading(gain=float(after - before), original=float(before), evolved=evolved_text)

    def _row_quality(self, row: int) -> float:
        return float(np.random.default_rng(_key(self.seed, self.kind, row)).normal())

    def _best_worth(self, mutation: int) -> float:
        rng = np.random.default_rng((self.seed, mutation))
        starts = [frozenset[int](), *(frozenset(p) for p in self.pairs)]
        starts += [frozenset(rng.choice(self.n_honest, 4, replace=False)) for _ in range(6)]
        return max(self._climb(mutation, start) for start in starts)

    def _climb(self, mutation: int, start: frozenset[int]) -> float:
        """Flips one or two sentences as long as that helps."""
        n = self.n_honest
        alone = (self.main + self.specific[mutation])[:n]
        together = np.zeros((n, n))
        for (i, j), worth in self.pairs.items():
            together[i, j] = together[j, i] = worth
        inside = np.isin(np.arange(n), list(start))
        while True:
            sign = np.where(inside, -1.0, 1.0)
            one = sign * (alone + together @ inside)
            two = one[:, None] + one[None, :] + np.outer(sign, sign) * together
            # The diagonal is one flip alone.
            two[np.diag_indices(n)] = one
            size = inside.sum() + sign[:, None] + sign[None, :]
            size[np.diag_indices(n)] = inside.sum() + sign
            gain = two - self.overload * (size**2 - inside.sum() ** 2)
            i, j = divmod(int(gain.argmax()), n)
            if gain[i, j] <= 1e-12:
                return self.worth(mutation, frozenset(np.flatnonzero(inside).tolist()))
            inside[list({i, j})] ^= True


def make_world(kind: str, seed: int, *, insight: float = 0.6) -> World:
    """One of ``KINDS``, with effects drawn by the seed."""
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    n, m = len(BANK), len(PURPOSES)
    main = np.zeros(n)
    order = rng.permutation(n)
    # About a third of what is proposed helps, a third harms, a third is neither.
    main[order[:14]] = rng.gamma(2.0, 0.153, 14)
    main[order[14:27]] = -rng.gamma(2.0, 0.13, 13)
    deviation = 0.08 * rng.normal(size=(m, n))
    facts: dict[str, object] = {"insight": insight}
    if kind == "specific":
        deviation *= 4
    elif kind == "interacting":
        main *= 0.25
        mates = rng.permutation(n)[:24].reshape(12, 2)
        for i, j in mates:
            main[[i, j]] = -0.12
        facts["pairs"] = {(int(min(p)), int(max(p))): float(rng.gamma(4.0, 0.2)) for p in mates}
    elif kind == "noisy":
        facts.update(judge_noise=1.8, position_bias=0.5, length_bias=0.1)
    elif kind == "null":
        main, deviation = np.zeros(n), np.zeros((m, n))
        facts["overload"] = 0.0
    sentences = BANK
    if kind == "self-praise":
        sentences = (*BANK, *PRAISE)
        main = np.concatenate([main, np.full(len(PRAISE), -0.2)])
        deviation = np.concatenate([deviation, np.zeros((m, len(PRAISE)))], axis=1)
        facts["praise"] = 1.0
    return World(kind=kind, seed=seed, sentences=sentences, main=main, specific=deviation, **facts)  # type: ignore[arg-type]


def _numbered() -> list[tuple[int, str]]:
    return list(enumerate(PURPOSES))


def _key(*parts: object) -> int:
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=16).digest(), "big")


def _sigmoid(x: Floats | float) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.asarray(x, dtype=np.float64))))
