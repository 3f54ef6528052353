"""Which sentence of a template earns what: one Bayesian linear regression for all mutations.

Every template that runs on a cell (one row in one mutation) is compared with the others on that
cell: gains are centred there, so that neither the row nor the mutation needs a parameter. What is
left is explained by

- how many sentences there are (the pooled worth of one, and a bend: too many may spoil it),
- each sentence, as a deviation from the pooled worth, shared by all mutations,
- each sentence in one mutation, as a deviation from that,
- each two sentences that were tried together, and
- each whole text: what cannot be credited to its parts.

All of them are shrunk to zero, each group by its own prior variance; the variances are chosen by
marginal likelihood, so that a group that explains nothing costs little. Variances are relative to
that of the noise, and so the scale of the metric does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .recombine import Effects
from .sentences import Program

__all__ = ["Contrast", "Credit", "Observation", "Posterior", "SentenceCredit"]

Floats = NDArray[np.float64]
Key = tuple[Any, ...]

_GROUPS = ("count", "bend", "sentence", "specific", "pair", "text")
# Prior standard deviations of an effect, in units of the noise of one trial: where the search for
# better ones begins, and how far it may go from there.
_START = {
    "count": 0.1,
    "bend": 0.06,
    "sentence": 0.15,
    "specific": 0.02,
    "pair": 0.02,
    "text": 0.02,
}
_TUNED = ("sentence", "specific", "pair", "text")
_LOWEST, _HIGHEST = 0.015, 1.2
_STEP = 1.6
# Prior mean of a sentence for each vote, in units of the noise of one trial.
_TRUSTS = (0.0, 0.02, 0.05, 0.1)
# A pull towards the start, as a normal prior on the logarithm.
_PRIOR_SD = 1.2


@dataclass(frozen=True, kw_only=True)
class Observation:
    """The gain of one template on one cell."""

    mutation: int
    """Number of the mutation."""
    sentences: tuple[int, ...]
    """Of the template, ascending."""
    gain: float
    """Finite."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """What is believed of the difference between two programs, as a normal distribution."""

    mean: float
    """Expected difference of gain, over the mutations."""
    sd: float
    """Standard deviation of that belief."""


class Credit(Protocol):
    """Learns from cells and says what to believe of sentences.

    ``learn`` may be called any number of times with one cell each, ``believe`` at any time after.
    A belief depends on what was learned and on nothing else.
    """

    def learn(self, cell: Sequence[Observation]) -> None:
        """Takes in the templates that ran on one cell."""
        ...

    def believe(self, votes: Mapping[int, float] | None = None) -> Posterior:
        """What to believe of every sentence that was learned of."""
        ...


class SentenceCredit:
    """The regression of the module's docstring.

    Args:
        n_mutations: How many mutations share their evidence.
        max_pairs: Pairs that get an effect: the first that are seen together.
        max_texts: Whole texts that get one.
    """

    def __init__(self, n_mutations: int, *, max_pairs: int = 160, max_texts: int = 60) -> None:
        self._n_mutations = n_mutations
        self._room = {"pair": max_pairs, "text": max_texts}
        self._places: dict[Key, int] = {("count",): 0, ("bend",): 1}
        self._groups = ["count", "bend"]
        self._gram = np.zeros((64, 64))
        self._moment = np.zeros(64)
        self._square = 0.0
        self._n_free = 0
        self._sds = dict(_START)
        self._votes: Mapping[int, float] = {}
        self._trust = 0.0
        self._n_unlearned = 0

    def learn(self, cell: Sequence[Observation]) -> None:
        """Takes in the templates that ran on one cell; one alone says nothing."""
        if len(cell) < 2:
            return
        features = [self._features(o.sentences, o.mutation, grow=True) for o in cell]
        touched = sorted({place for row in features for place in row})
        columns = {place: i for i, place in enumerate(touched)}
        x = np.zeros((len(cell), len(touched)))
        for i, row in enumerate(features):
            for place, value in row.items():
                x[i, columns[place]] = value
        y = np.array([o.gain for o in cell])
        x -= x.mean(axis=0)
        y -= y.mean()
        self._gram[np.ix_(touched, touched)] += x.T @ x
        self._moment[touched] += x.T @ y
        self._square += float(y @ y)
        self._n_free += len(cell) - 1
        self._n_unlearned += len(cell) - 1

    def believe(self, votes: Mapping[int, float] | None = None) -> Posterior:
        """The posterior at the prior variances that explain the data best.

        Args:
            votes: How strongly proposers stand behind each sentence, on any scale; a sentence's
                prior mean is this times a trust that the data decide, and that may be none.
        """
        self._votes = votes or {}
        # Priors change slowly: they are chosen anew when there is a tenth more to learn from.
        if self._n_unlearned * 8 >= self._n_free:
            self._tune()
            self._n_unlearned = 0
        n = len(self._groups)
        precision = self._gram[:n, :n] + np.diag(self._shrinkage(self._sds))
        prior = self._prior_mean(self._trust)
        moment, square = self._less(prior)
        mean = np.linalg.solve(precision, moment)
        rest = square - float(moment @ mean)
        mean = mean + prior
        noise = max(rest, 1e-12) / max(self._n_free, 1)
        return Posterior(
            places=dict(self._places),
            n_mutations=self._n_mutations,
            mean=mean,
            precision=precision,
            noise=noise,
            sds=dict(self._sds),
            hopes={i: self._trust * vote for i, vote in self._votes.items()},
        )

    def _prior_mean(self, trust: float) -> Floats:
        prior = np.zeros(len(self._groups))
        if trust:
            for i, vote in self._votes.items():
                if (place := self._places.get(("sentence", i))) is not None:
                    prior[place] = trust * vote
        return prior

    def _less(self, prior: Floats) -> tuple[Floats, float]:
        """Moment and square of what the prior mean leaves to explain."""
        n = len(prior)
        moment, gram = self._moment[:n], self._gram[:n, :n]
        if not np.any(prior):
            return moment, self._square
        pulled = gram @ prior
        square = self._square - 2 * float(prior @ moment) + float(prior @ pulled)
        return moment - pulled, square

    def _features(
        self, sentences: tuple[int, ...], mutation: int, *, grow: bool
    ) -> dict[int, float]:
        keys = _keys(sentences, mutation)
        if grow:
            for key, _ in keys:
                self._place(key)
        return {self._places[key]: value for key, value in keys if key in self._places}

    def _place(self, key: Key) -> None:
        group = str(key[0])
        if key in self._places:
            return
        if group in self._room:
            if not self._room[group]:
                return
            self._room[group] -= 1
        n = len(self._groups)
        if n == len(self._moment):
            self._gram = np.pad(self._gram, (0, n))
            self._moment = np.pad(self._moment, (0, n))
        self._places[key] = n
        self._groups.append(group)

    def _shrinkage(self, sds: Mapping[str, float]) -> Floats:
        return np.array([sds[group] ** -2 for group in self._groups])

    def _tune(self) -> None:
        """One step of each group's variance uphill."""
        here = self._evidence(self._sds)
        unit = (self._square / max(self._n_free, 1)) ** 0.5
        best = self._trust
        for step in _TRUSTS if self._votes else ():
            self._trust, before = step * unit, self._trust
            if (there := self._evidence(self._sds)) > here:
                here, best = there, self._trust
            else:
                self._trust = before
        self._trust = best
        for group in _TUNED:
            for factor in (_STEP, 1 / _STEP):
                sd = self._sds[group] * factor
                if not _LOWEST <= sd <= _HIGHEST:
                    continue
                tried = {**self._sds, group: sd}
                if (there := self._evidence(tried)) > here:
                    self._sds, here = tried, there
                    break

    def _evidence(self, sds: Mapping[str, float]) -> float:
        """Log marginal likelihood with the noise at its best, and the pull to the start."""
        n = len(self._groups)
        shrinkage = self._shrinkage(sds)
        factor = np.linalg.cholesky(self._gram[:n, :n] + np.diag(shrinkage))
        moment, square = self._less(self._prior_mean(self._trust))
        half = np.linalg.solve(factor, moment)
        rest = max(square - float(half @ half), 1e-12)
        logdet = 2 * float(np.log(np.diag(factor)).sum()) - float(np.log(shrinkage).sum())
        pull = sum((np.log(sds[g] / _START[g]) / _PRIOR_SD) ** 2 for g in _TUNED)
        return float(-0.5 * (self._n_free * np.log(rest) + logdet + pull))


class Posterior:
    """A normal distribution over the effects of sentences."""

    def __init__(
        self,
        *,
        places: Mapping[Key, int],
        n_mutations: int,
        mean: Floats,
        precision: Floats,
        noise: float,
        sds: Mapping[str, float],
        hopes: Mapping[int, float],
    ) -> None:
        self.hopes = dict(hopes)
        self.noise = noise
        self.sds = dict(sds)
        self._places = places
        self._n_mutations = n_mutations
        self._mean = mean
        self._precision = precision

    def expected(self, n_sentences: int) -> list[Effects]:
        """The expected effects in each mutation, for sentences 0 to n."""
        return self._effects(self._mean, n_sentences, None)

    def draw(self, rng: np.random.Generator, n_draws: int, n_sentences: int) -> list[list[Effects]]:
        """Effects as they may be (Thompson sampling), in each mutation, for each draw."""
        # With A = L L', A^-1 (b + L z) has covariance A^-1: one solve serves all draws.
        factor = np.linalg.cholesky(self._precision)
        z = rng.normal(size=(len(self._mean), n_draws))
        shifts = np.linalg.solve(factor.T, z) * np.sqrt(self.noise)
        return [self._effects(self._mean + shifts[:, i], n_sentences, rng) for i in range(n_draws)]

    def contrast(
        self, program: Program, other: Program, weights: Sequence[float] | None = None
    ) -> Contrast:
        """The first program against the other."""
        n = self._n_mutations
        shares = np.full(n, 1 / n) if weights is None else np.asarray(weights) / np.sum(weights)
        line = np.zeros(len(self._mean))
        unknown = 0.0
        for m, share in enumerate(shares):
            for sentences, sign in ((program[m], 1.0), (other[m], -1.0)):
                if program[m] == other[m]:
                    continue
                for key, value in _keys(sentences, m):
                    place = self._places.get(key)
                    if place is not None:
                        line[place] += sign * share * value
                    elif key[0] in ("sentence", "specific", "text"):
                        unknown += (share * value * self.sds[str(key[0])]) ** 2
        spread = float(line @ np.linalg.solve(self._precision, line)) + unknown
        return Contrast(mean=float(line @ self._mean), sd=float(np.sqrt(self.noise * spread)))

    def _effects(
        self, values: Floats, n_sentences: int, rng: np.random.Generator | None
    ) -> list[Effects]:
        """Effects in each mutation; a sentence never tried has the prior's, drawn or expected."""
        shared = np.full(n_sentences, values[0])
        for i, hope in self.hopes.items():
            shared[i] += hope
        specific = np.zeros((self._n_mutations, n_sentences))
        together = np.zeros((n_sentences, n_sentences))
        if rng is not None:
            scale = np.sqrt(self.noise)
            shared += scale * self.sds["sentence"] * rng.normal(size=n_sentences)
            specific += scale * self.sds["specific"] * rng.normal(size=specific.shape)
        for key, place in self._places.items():
            if key[0] == "sentence":
                shared[key[1]] = values[0] + values[place]
            elif key[0] == "specific":
                specific[key[1], key[2]] = values[place]
            elif key[0] == "pair":
                together[key[1], key[2]] = together[key[2], key[1]] = values[place]
        bend = float(values[1]) / _BEND_UNIT
        return [
            Effects(alone=shared + specific[m], together=together, bend=bend)
            for m in range(self._n_mutations)
        ]


_BEND_UNIT = 8.0


def _keys(sentences: tuple[int, ...], mutation: int) -> list[tuple[Key, float]]:
    """Names and values of the features of a template."""
    n = len(sentences)
    keys: list[tuple[Key, float]] = [(("count",), float(n)), (("bend",), n * n / _BEND_UNIT)]
    keys += [(("sentence", i), 1.0) for i in sentences]
    keys += [(("specific", mutation, i), 1.0) for i in sentences]
    keys += [(("pair", i, j), 1.0) for k, i in enumerate(sentences) for j in sentences[k + 1 :]]
    keys.append((("text", sentences), 1.0))
    return keys
