"""What sentences earn: one Bayesian regression, which believes what the evidence supports.

All texts that ran on a cell (a row in a group) are compared with each other: gains are centred
there, so that the row needs no parameter. What is left is explained by who wrote the sentences, by
each sentence, two sentences together, and each whole text. How far each of these may explain
anything, and how much less a long text is heeded, is chosen by how well it predicts (the marginal
likelihood: each gain predicted from those before it). Where sentences predict nothing, only whole
texts are left, and the search becomes Thompson sampling of whole texts. Scales are relative to the
noise: the metric's does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .columns import GROUPS, USUAL, Columns, Piece, choose_columns
from .moves import Effects
from .sentences import Program, Unit, Units

__all__ = ["Belief", "Observation", "Posterior", "Values"]

Floats = NDArray[np.float64]

# Prior standard deviations in units of the noise of one trial: where the search for better ones
# begins. Those of _TUNED move by _STEP, a step an update.
_START = {"author": 0.1, "sentence": 0.15, "pair": 0.04, "text": 0.05}
_TUNED = ("sentence", "pair", "text")
_LOWEST, _HIGHEST, _STEP = 0.01, 1.2, 1.6
_PRIOR_SD = 1.2
"""A pull towards the start, as a normal prior on the logarithm."""
_READING_SD = 1.0
_PATIENCE = {np.inf: 0.4, 80.0: 0.2, 40.0: 0.2, 20.0: 0.2}
"""Words after which half of a text is heeded, and how likely that is beforehand."""
_NEVER = -1e3
_UNLIKELY = 0.02


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What texts gained on one cell."""

    pieces: tuple[Piece, ...]
    """Of the group that the row met."""
    gain: float
    """Finite."""
    original: float | None = None
    """What the judge gave the original beside it, on any scale: its scatter is noise."""


class Belief:
    """Learns from cells and says what to believe.

    Args:
        n_parts: How many texts share their evidence.
        n_authors: How many write, the seed's author included.
    """

    def __init__(self, n_parts: int, n_authors: int) -> None:
        self._n_parts, self._n_authors = n_parts, n_authors
        self._seen: Counter[Units] = Counter()
        self._cells: dict[Hashable, dict[tuple[Piece, ...], Observation]] = {}
        self._n_learned = 0
        self._sds = dict(_START)
        self._n_tuned = self._likely = 0
        self._promise = np.zeros(0)

    def learn(self, cell: Hashable, found: Sequence[Observation]) -> None:
        """Takes in what ran on one cell; what ran there before counts once."""
        known = self._cells.setdefault(cell, {})
        for observation in found:
            if observation.pieces not in known:
                known[observation.pieces] = observation
                self._n_learned += 1
                self._seen.update(units for _, units in observation.pieces)

    def update(self, units: Sequence[Unit]) -> Posterior:
        """What to believe of every unit, tried or not."""
        promise = np.full(len(units), np.inf)
        promise[: len(self._promise)] = self._promise
        columns = choose_columns(units, self._seen, promise, n_authors=self._n_authors)
        tasks = [self._task(columns, patience) for patience in _PATIENCE]
        # Priors change slowly: they are chosen anew when there is an eighth more to learn from.
        if (self._n_learned - self._n_tuned) * 8 >= self._n_learned > 0:
            self._tune(tasks[self._likely])
            self._n_tuned = self._n_learned
        evidence = np.array([task.evidence(self._sds) for task in tasks])
        weights = np.exp(evidence - evidence.max()) * list(_PATIENCE.values())
        self._likely = int(weights.argmax())
        kinds = [task.solve(self._sds) for task in tasks]
        posterior = Posterior(kinds, weights / weights.sum(), self._sds["text"])
        self._promise = np.mean(
            [effects.alone for effects in posterior.likely.effects(self._n_parts)], axis=0
        )
        return posterior

    def _tune(self, task: _Task) -> None:
        """One step uphill of each prior."""
        here = task.evidence(self._sds)
        for group in _TUNED:
            for factor in (_STEP, 1 / _STEP) if task.columns.sizes[group] else ():
                tried = {**self._sds, group: self._sds[group] * factor}
                if not _LOWEST <= tried[group] <= _HIGHEST:
                    continue
                if (there := task.evidence(tried)) > here:
                    self._sds, here = tried, there
                    break

    def _task(self, columns: Columns, patience: float) -> _Task:
        # One alone on a cell has nothing to be compared with.
        cells = [list(cell.values()) for cell in self._cells.values() if len(cell) > 1]
        seen, sizes = [o for cell in cells for o in cell], [len(cell) for cell in cells]
        numbers: dict[Units, int] = {}
        places = [[numbers.setdefault(p, len(numbers)) for _, p in o.pieces] for o in seen]
        rows = columns.rows(list(numbers), patience)
        x = np.zeros((len(seen), len(columns.groups) + 1))
        for row, place in enumerate(places):
            x[row, :-1] = rows[place].sum(axis=0)
        x[:, -1] = _readings(seen)
        y = np.array([o.gain for o in seen])
        if seen:
            starts = np.cumsum([0, *sizes[:-1]])
            x -= np.repeat(np.add.reduceat(x, starts) / np.c_[sizes], sizes, axis=0)
            y -= np.repeat(np.add.reduceat(y, starts) / sizes, sizes)
        return _Task(columns, patience, x, y, n_free=len(seen) - len(sizes))


def _readings(seen: Sequence[Observation]) -> Floats:
    """Of the original, in its own standard deviations; the mean where there is none."""
    given = np.array([np.nan if o.original is None else o.original for o in seen])
    known = np.isfinite(given)
    if not known.any():
        return np.zeros(len(given))
    spread = float(given[known].std()) or 1.0
    return np.where(known, (given - given[known].mean()) / spread, 0.0)


class _Task:
    """One regression: the columns, and one of the original's reading."""

    def __init__(
        self, columns: Columns, patience: float, x: Floats, y: Floats, *, n_free: int
    ) -> None:
        self.columns, self.patience = columns, patience
        self._n_free = max(n_free, 1)
        self._n_observed = len(y)
        self._gram, self._moment, self._square = x.T @ x, x.T @ y, float(y @ y)

    def solve(self, sds: dict[str, float]) -> Values:
        """The posterior at these prior standard deviations."""
        precision = self._gram + np.diag(self._shrinkage(sds))
        covariance = np.linalg.inv(precision)
        step = covariance @ self._moment
        rest = max(self._square - float(step @ self._moment), 1e-12)
        return Values(
            self.columns, self.patience,
            # The reading of the original is no property of a program.
            mean=step[:-1],
            covariance=np.asarray(covariance[:-1, :-1], dtype=np.float64),
            noise=rest / self._n_free if self._n_observed else 1.0,
        )  # fmt: skip

    def evidence(self, sds: dict[str, float]) -> float:
        """Log marginal likelihood with the noise at its best, and the pull to the start."""
        shrinkage = self._shrinkage(sds)
        n = len(shrinkage)
        # The last row of the factor of [[A, b], [b', c]] holds what one would solve for.
        whole = np.empty((n + 1, n + 1))
        whole[:n, :n] = self._gram
        whole[range(n), range(n)] += shrinkage
        whole[n, :n] = whole[:n, n] = self._moment
        whole[n, n] = self._square * (1 + 1e-9) + 1e-12
        diagonal = np.diag(np.linalg.cholesky(whole))
        logdet = 2 * float(np.log(diagonal[:n]).sum()) - float(np.log(shrinkage).sum())
        pull = sum((np.log(sds[g] / _START[g]) / _PRIOR_SD) ** 2 for g in _TUNED)
        return float(-0.5 * (self._n_free * 2 * np.log(diagonal[n]) + logdet + pull))

    def _shrinkage(self, sds: dict[str, float]) -> Floats:
        own = np.array([sds[group] for group in GROUPS])[self.columns.groups]
        return np.asarray(np.append(own, _READING_SD) ** -2)


class Values:
    """A normal distribution over what the columns are worth, at one patience."""

    def __init__(
        self, columns: Columns, patience: float, *, mean: Floats, covariance: Floats, noise: float
    ) -> None:
        self.mean, self.covariance, self.noise = mean, covariance, noise
        self.columns, self._patience = columns, patience

    def draw(self, rng: np.random.Generator) -> Values:
        """Values as they may be (Thompson sampling)."""
        size = len(self.mean)
        factor = np.linalg.cholesky(self.covariance + 1e-12 * np.eye(size))
        drawn = self.mean + factor @ rng.normal(size=size) * np.sqrt(self.noise)
        return Values(
            self.columns, self._patience, mean=drawn, covariance=self.covariance, noise=self.noise
        )

    def effects(self, n_parts: int) -> list[Effects]:
        """What sentences are worth in each of the texts."""
        columns, v = self.columns, self.mean
        n, never = len(columns.units), _NEVER * np.sqrt(self.noise)
        alone = np.full((n_parts, n), never)
        index = list(columns.sentences)
        alone[:, index] = v[columns.part("sentence")]
        alone[:, index] += (columns.authors @ v[columns.part("author")])[index]
        together = np.zeros((n, n))
        for (i, j), worth in zip(columns.pairs, v[columns.part("pair")], strict=True):
            together[i, j] = together[j, i] = worth
        heads = [i for i, unit in enumerate(columns.units) if unit.head_of]
        for i in heads:
            others = sorted({*range(n_parts)} - columns.units[i].head_of)
            alone[others, i] = never
            together[i, [j for j in heads if j != i]] = never
        usual = 1.0 + USUAL / self._patience
        return [
            Effects(
                alone=usual * row, together=usual * together, words=columns.lengths,
                patience=self._patience,
            )
            for row in alone
        ]  # fmt: skip

    def worths(self, programs: Sequence[Program], shares: Floats) -> Floats:
        """Each beside the bare purpose sentences, whole texts included."""
        return np.asarray(self._lines(programs, shares) @ self.mean)

    def contrast(self, program: Program, other: Program, shares: Floats) -> tuple[float, float]:
        """Expected gain of the first program over the other, and its variance."""
        mine, theirs = self._lines([program, other], shares)
        line = mine - theirs
        return float(line @ self.mean), self.noise * float(line @ self.covariance @ line)

    def _lines(self, programs: Sequence[Program], shares: Floats) -> Floats:
        flat = self.columns.rows([text for program in programs for text in program], self._patience)
        rows = flat.reshape((len(programs), len(shares), len(self.mean)))
        return np.asarray(np.einsum("p,npc->nc", shares, rows))


class Posterior:
    """What to believe: each patience as far as it predicts."""

    def __init__(self, kinds: Sequence[Values], weights: Floats, text_sd: float) -> None:
        self.kinds, self.weights = kinds, weights
        self.likely = kinds[int(weights.argmax())]
        self.noise = self.likely.noise
        self._text_sd = text_sd

    def draw(self, rng: np.random.Generator, n: int) -> list[Values]:
        """Values of the columns as they may be (Thompson sampling)."""
        chosen = rng.choice(len(self.kinds), n, p=self.weights).tolist()
        return [self.kinds[i].draw(rng) for i in chosen]

    def likely_kinds(self) -> list[Values]:
        """Those that are not next to refuted."""
        pairs = zip(self.kinds, self.weights, strict=True)
        return [kind for kind, weight in pairs if weight > _UNLIKELY]

    def worths(self, programs: Sequence[Program], shares: Floats) -> Floats:
        """Each beside the bare purpose sentences, whole texts included."""
        return np.asarray(self.weights @ [kind.worths(programs, shares) for kind in self.kinds])

    def contrast(self, program: Program, other: Program, shares: Floats) -> tuple[float, float]:
        """Expected gain of the first program over the other, and its standard deviation."""
        found = [kind.contrast(program, other, shares) for kind in self.kinds]
        means, variances = np.array(found).T
        mean = float(self.weights @ means)
        spread = float(self.weights @ (variances + (means - mean) ** 2))
        return mean, float(np.sqrt(max(0.0, spread)))

    def surprise(self) -> float:
        """How far a text may be from what its sentences are worth together."""
        return self._text_sd * float(np.sqrt(self.noise))

    def authors(self) -> tuple[Floats, Floats]:
        """What a sentence of each author is worth as a rule, and how sure that is."""
        found = self.likely
        part = found.columns.part("author")
        spread = np.sqrt(found.noise * np.diag(found.covariance)[part])
        return found.mean[part], np.asarray(spread)
