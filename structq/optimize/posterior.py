"""What is believed of programs: a normal distribution over the columns of a layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .features import BEND_UNIT, Layout
from .recombine import Effects
from .sentences import Program

__all__ = ["Contrast", "Posterior"]

Floats = NDArray[np.float64]

# A sentence without a column was believed to be worse than all that have one: never chosen.
_NEVER = -1e3


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What is believed of the difference between two programs, as a normal distribution."""

    mean: float
    """Expected difference of gain, over the mutations."""
    sd: float
    """Standard deviation of that belief."""


class Posterior:
    """A normal distribution over the effects of sentences.

    Args:
        layout: What the columns stand for.
        lift: What a unit of trust adds to each column; shape (columns, 2).
        mean: Of each column, and of the two trusts.
        covariance: Of those, in units of the noise.
        noise: Variance of one gain on its cell.
        n_sentences: How many sentences there are, with a column or without.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        lift: Floats,
        mean: Floats,
        covariance: Floats,
        noise: float,
        n_sentences: int,
    ) -> None:
        self.noise = noise
        self._layout = layout
        self._n_sentences = n_sentences
        self._lift = lift
        self._mean = mean
        self._covariance = covariance
        self._values = self._columns(mean)

    def expected(self) -> list[Effects]:
        """The expected effects in each mutation."""
        return self._effects(self._values)

    def shared(self) -> Floats:
        """The expected worth of each sentence, over the mutations."""
        return np.asarray(np.mean([e.alone for e in self.expected()], axis=0))

    def draw(self, rng: np.random.Generator, n_draws: int) -> list[list[Effects]]:
        """Effects as they may be (Thompson sampling), in each mutation, for each draw."""
        n = len(self._mean)
        factor = np.linalg.cholesky(self._covariance + 1e-12 * np.eye(n))
        shifts = factor @ rng.normal(size=(n, n_draws)) * np.sqrt(self.noise)
        return [self._effects(self._columns(self._mean + shifts[:, i])) for i in range(n_draws)]

    def worths(self, programs: Sequence[Program], weights: Sequence[float]) -> Floats:
        """Expected gain of each beside the bare purpose sentences, whole texts included."""
        return np.array([self._line(p, weights) @ self._values for p in programs])

    def contrast(
        self, program: Program, other: Program, weights: Sequence[float] | None = None
    ) -> Contrast:
        """The first program against the other."""
        shares = [1.0] * len(program) if weights is None else weights
        line = self._line(program, shares) - self._line(other, shares)
        full = np.concatenate([line, line @ self._lift])
        spread = float(full @ self._covariance @ full)
        sd = float(np.sqrt(max(0.0, self.noise * spread)))
        return Contrast(mean=float(line @ self._values), sd=sd)

    def _line(self, program: Program, weights: Sequence[float]) -> Floats:
        shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
        return np.asarray(shares @ self._layout.rows(program, range(len(program))))

    def _columns(self, values: Floats) -> Floats:
        n = len(self._lift)
        return np.asarray(values[:n] + self._lift @ values[n:])

    def _effects(self, values: Floats) -> list[Effects]:
        layout, n_sentences = self._layout, self._n_sentences
        index = list(layout.sentences)
        alone = np.full((layout.n_mutations, n_sentences), _NEVER * np.sqrt(self.noise))
        alone[:, index] = values[0] + values[layout.part("sentence")]
        special = [layout.sentences[place] for place in layout.specific]
        own = values[layout.part("specific")].reshape(layout.n_mutations, len(special))
        alone[:, special] += own
        together = np.zeros((n_sentences, n_sentences))
        pairs = values[layout.part("pair")]
        for (i, j), worth in zip(layout.pairs, pairs, strict=True):
            a, b = layout.sentences[i], layout.sentences[j]
            together[a, b] = together[b, a] = worth
        bend = float(values[1]) / BEND_UNIT
        return [Effects(alone=row, together=together, bend=bend) for row in alone]
