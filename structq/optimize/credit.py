"""Which sentence of a template earns what: one Bayesian linear regression for all mutations.

Every template that runs on a cell (one row in one mutation) is compared with the others on that
cell: gains are centred there, so that neither the row nor the mutation needs a parameter. What is
left is explained by

- how many sentences there are (the pooled worth of one, and a bend: too many may spoil it),
- each sentence, as a deviation from that, shared by all mutations,
- each sentence in one mutation, as a deviation from that,
- two sentences together, beyond each alone,
- each whole text: what cannot be credited to its parts,
- what proposers stand behind (see ``votes``), by a trust that the data decide, and
- how the judge happened to read the original, where it says so: that reading is noise.

All of them are shrunk, each group by its own prior variance; the variances are chosen by marginal
likelihood, so that a group that explains nothing costs little. Variances are relative to that of
the noise, and so the scale of the metric does not matter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .features import GROUPS, Layout, Text, make_layout
from .posterior import Contrast, Posterior
from .votes import Hopes

__all__ = ["Contrast", "Credit", "Observation", "Posterior", "SentenceCredit"]

Floats = NDArray[np.float64]

# Prior standard deviations of an effect, in units of the noise of one trial: where the search for
# better ones begins, and how far it may go from there.
_START = {
    "count": 0.1,
    "bend": 0.06,
    "sentence": 0.15,
    "specific": 0.03,
    "pair": 0.05,
    "text": 0.05,
}
_TUNED = ("sentence", "specific", "pair", "text")
_LOWEST, _HIGHEST = 0.015, 1.2
_STEP = 1.6
# A pull towards the start, as a normal prior on the logarithm.
_PRIOR_SD = 1.2
# Prior mean and standard deviation of the trust in what proposers stand behind, alone and together.
_TRUST, _TRUST_SD = np.array([0.2, 0.3]), np.array([0.2, 0.2])
# Of the reading of the original, in its own standard deviations.
_READING_SD = 1.0


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The gain of one template on one cell."""

    mutation: int
    """Number of the mutation."""
    sentences: tuple[int, ...]
    """Of the template, ascending."""
    gain: float
    """Finite."""
    original: float | None = None
    """What the judge gave the original beside it, on any scale."""


class Credit(Protocol):
    """Learns from cells and says what to believe of sentences.

    ``learn`` may be called any number of times with one cell each, ``believe`` at any time after.
    """

    def learn(self, cell: Sequence[Observation]) -> None:
        """Takes in the templates that ran on one cell."""
        ...

    def believe(self, n_sentences: int, hopes: Hopes | None = None) -> Posterior:
        """What to believe of every sentence."""
        ...


class SentenceCredit:
    """The regression of the module's docstring.

    Args:
        n_mutations: How many mutations share their evidence.
        specific: Whether a sentence may be worth something else in each mutation.
    """

    def __init__(self, n_mutations: int, *, specific: bool = True) -> None:
        self._n_mutations = n_mutations
        self._specific = specific
        self._seen: Counter[Text] = Counter()
        self._observations: list[Observation] = []
        self._starts: list[int] = []
        self._sds = dict(_START)
        self._n_tuned = 0
        self._promise = np.zeros(0)

    def learn(self, cell: Sequence[Observation]) -> None:
        """Takes in the templates that ran on one cell; one alone says nothing."""
        if len(cell) < 2:
            return
        self._starts.append(len(self._observations))
        self._observations += cell
        self._seen.update(o.sentences for o in cell)

    def believe(self, n_sentences: int, hopes: Hopes | None = None) -> Posterior:
        """The posterior at the prior variances that explain the data best.

        Args:
            n_sentences: Sentences 0 to n are asked about, tried or not.
            hopes: What proposers stand behind.
        """
        hopes = hopes or Hopes()
        # A new sentence is as promising as proposers are usually right.
        promise = np.full(n_sentences, np.inf)
        promise[: len(self._promise)] = self._promise
        layout = make_layout(
            self._seen, n_sentences, hopes, promise,
            n_mutations=self._n_mutations, specific=self._specific,
        )  # fmt: skip
        task = self._task(layout, layout.lift(hopes))
        # Priors change slowly: they are chosen anew when there is an eighth more to learn from.
        n_new = len(self._observations) - self._n_tuned
        if n_new * 8 >= len(self._observations) > 0:
            self._sds = _tuned(task, self._sds)
            self._n_tuned = len(self._observations)
        posterior = task.solve(self._sds, n_sentences)
        self._promise = posterior.shared()
        return posterior

    def _task(self, layout: Layout, lift: Floats) -> _Task:
        seen = self._observations
        rows = layout.rows([o.sentences for o in seen], [o.mutation for o in seen])
        x = np.hstack([rows, rows @ lift, self._readings().reshape(-1, 1)])
        y = np.array([o.gain for o in seen])
        if self._starts:
            counts = np.diff([*self._starts, len(seen)])
            x -= np.repeat(np.add.reduceat(x, self._starts) / counts[:, None], counts, axis=0)
            y -= np.repeat(np.add.reduceat(y, self._starts) / counts, counts)
        spread = float(np.sqrt(np.mean(x[:, -1] ** 2))) if len(seen) else 0.0
        x[:, -1] /= spread or 1.0
        return _Task(layout=layout, lift=lift, x=x, y=y, n_free=len(seen) - len(self._starts))

    def _readings(self) -> Floats:
        """Of the original, each less the mean of its cell; 0 where there is none."""
        given = [o.original for o in self._observations]
        known = np.array([value is not None for value in given], dtype=np.float64)
        values = np.array([0.0 if value is None else value for value in given])
        if not self._starts:
            return values
        counts = np.diff([*self._starts, len(given)])
        sums, ns = (np.add.reduceat(part, self._starts) for part in (values, known))
        return np.asarray(known * (values - np.repeat(sums / np.maximum(ns, 1.0), counts)))


class _Task:
    """One regression: columns of the layout, two of trust, one of the original's reading."""

    def __init__(self, *, layout: Layout, lift: Floats, x: Floats, y: Floats, n_free: int) -> None:
        self._layout = layout
        self._lift = lift
        self._n_free = max(n_free, 1)
        self._n_observed = len(y)
        # Without data any unit will do: only the order of programs matters then.
        self._unit = float(np.sqrt(y @ y / self._n_free)) if len(y) else 1.0
        self._centre = np.zeros(x.shape[1])
        self._centre[-3:-1] = _TRUST * self._unit
        rest = y - x @ self._centre
        self._gram = x.T @ x
        self._moment = x.T @ rest
        self._square = float(rest @ rest)

    def solve(self, sds: dict[str, float], n_sentences: int) -> Posterior:
        """The posterior at these prior standard deviations."""
        precision = self._gram + np.diag(self._shrinkage(sds))
        step = np.linalg.solve(precision, self._moment)
        rest = max(self._square - float(step @ self._moment), 1e-12)
        return Posterior(
            layout=self._layout,
            lift=self._lift,
            mean=(self._centre + step)[:-1],
            # The reading of the original is no property of a program.
            covariance=np.asarray(np.linalg.inv(precision)[:-1, :-1], dtype=np.float64),
            noise=rest / self._n_free if self._n_observed else 1.0,
            n_sentences=n_sentences,
        )

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
        own = np.array([sds[group] for group in GROUPS])[self._layout.groups]
        return np.concatenate([own, _TRUST_SD, [_READING_SD]]) ** -2

    def sizes(self) -> dict[str, int]:
        """Columns of each group."""
        return self._layout.sizes


def _tuned(task: _Task, sds: dict[str, float]) -> dict[str, float]:
    """One step of each group's prior uphill."""
    here = task.evidence(sds)
    sizes = task.sizes()
    for group in _TUNED:
        for factor in (_STEP, 1 / _STEP) if sizes[group] else ():
            tried = {**sds, group: sds[group] * factor}
            if not _LOWEST <= tried[group] <= _HIGHEST:
                continue
            if (there := task.evidence(tried)) > here:
                sds, here = tried, there
                break
    return sds
