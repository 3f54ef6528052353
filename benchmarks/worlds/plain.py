"""Two plain searches to hold the others against: random, and a ridge on sentences with a test."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from .trials import Found, Trials, proposal
from .world import World

__all__ = ["random_search", "ridge"]


def random_search(world: World, seed: int, calls: int, metric: str) -> Found:
    """For each mutation, proposals measured on all its rows in turn; the best mean wins.

    A mutation's rows are a fifth of the training rows, or half of that below 1,500 calls.
    """
    trials = Trials(world, metric, calls)
    places = range(len(world.train) if calls >= 1_500 else len(world.train) // 2)
    names = list(world.seeds)
    rows = {
        name: [world.train[k] for k in places if k % len(names) == turn]
        for turn, name in enumerate(names)
    }
    best = {name: (-np.inf, text) for name, text in world.seeds.items()}
    n_done = 0
    while trials.left() > max(map(len, rows.values())) * trials.cost:
        name = names[n_done % len(names)]
        first = n_done < len(names)
        text = world.seeds[name] if first else proposal(world, world.seeds[name])
        mean = float(np.mean([trials.gain(name, text, row) for row in rows[name]]))
        best[name] = max(best[name], (mean, text), key=lambda pair: pair[0])
        n_done += 1
    return Found({name: text for name, (_, text) in best.items()})


def ridge(world: World, seed: int, calls: int, metric: str) -> Found:
    """A ridge on sentences, Thompson sampling, and one test of the whole.

    Proposals are split into sentences. A gain is taken as what the mutation is worth plus what each
    sentence adds, the same in every mutation and on every row. A trial's template has the sentences
    that a draw from the posterior finds helpful; the last one, those that its mean does. That one
    meets the seed's templates on validation rows, on a share of the calls that is kept back.
    """
    trials, model = Trials(world, metric, calls), _Sentences(world.seeds, seed)
    reserved = round(calls * (0.28 if calls < 1_500 else 0.15))
    names, random = list(world.seeds), np.random.default_rng([seed, 11])
    n_search = calls - reserved
    rows: list[Mapping[str, str]] = []
    next_round, texts, n_done = 0.0, dict(world.seeds), 0
    while trials.left(reserved) >= trials.cost:
        if world.calls >= next_round:
            # Two of each seed template first, then one of each of the best.
            for name in names * (1 if n_done else 2):
                if trials.left(reserved) > trials.cost:
                    model.learn_of(proposal(world, texts[name]))
            next_round = world.calls + n_search / 8
        if not rows:
            rows = [world.train[int(k)] for k in random.permutation(len(world.train))]
        name = names[n_done % len(names)]
        text = world.seeds[name] if n_done < 2 * len(names) else model.drawn(name)
        model.add(name, text, trials.gain(name, text, rows.pop()))
        texts = {one: model.best(one) for one in names} if n_done % 20 == 0 else texts
        n_done += 1
    texts = {name: model.best(name) for name in names}
    if _accepted(trials, world, texts, reserved, random):
        return Found(texts)
    return Found(world.seeds, refused=True)


def _accepted(
    trials: Trials,
    world: World,
    texts: Mapping[str, str],
    reserved: int,
    random: np.random.Generator,
) -> bool:
    """A one-sided sign-flip test at 5 % of paired differences, each row once."""
    names = list(texts)
    n_rows = min(len(world.val), reserved // (2 * trials.cost))
    gains = [
        trials.gain(name, texts[name], row) - trials.gain(name, world.seeds[name], row)
        for row, name in zip(world.val[:n_rows], names * n_rows, strict=False)
    ]
    flipped = random.choice([-1.0, 1.0], (9_999, n_rows)) @ np.array(gains)
    return bool(1 + np.sum(flipped >= sum(gains) - 1e-12) <= 0.05 * 10_000)


class _Sentences:
    """The posterior of what sentences add, from trials of templates that have them.

    A sentence's worth has a third of the noise's deviation before anything is known of it.
    """

    n_most = 8

    def __init__(self, seeds: Mapping[str, str], seed: int) -> None:
        self.leads = {name: split(text)[0] for name, text in seeds.items()}
        self.known: list[str] = []
        self._random = np.random.default_rng([seed, 12])
        self._at = {name: place for place, name in enumerate(seeds)}
        self._precision = np.eye(len(seeds))
        self._n_trials, self._sums = np.zeros(len(seeds)), np.zeros(len(seeds))
        self._gains: list[float] = []
        for text in seeds.values():
            self.learn_of(text)

    def learn_of(self, text: str) -> None:
        for sentence in split(text)[1]:
            if sentence not in self._at:
                self._at[sentence] = len(self._at)
                self.known.append(sentence)
                self._precision = np.pad(self._precision, (0, 1))
                self._precision[-1, -1] = 9.0
                self._n_trials, self._sums = np.pad((self._n_trials, self._sums), ((0, 0), (0, 1)))

    def add(self, name: str, text: str, gain: float) -> None:
        at = [self._at[one] for one in dict.fromkeys([name, *split(text)[1]])]
        self._precision[np.ix_(at, at)] += 1.0
        self._n_trials[at] += 1.0
        self._sums[at] += gain
        self._gains.append(gain)

    def drawn(self, name: str) -> str:
        root = np.linalg.cholesky(self._precision)
        noise = np.linalg.solve(root.T, self._random.standard_normal(len(root)))
        return self._written(name, self._mean() + np.std(self._gains) * noise)

    def best(self, name: str) -> str:
        return self._written(name, self._mean())

    def _written(self, name: str, worth: np.ndarray) -> str:
        own = worth[len(self.leads) :]
        order = [k for k in np.argsort(-own) if own[k] > 0][: self.n_most]
        return " ".join([self.leads[name], *(self.known[k] for k in order)])

    def _mean(self) -> np.ndarray:
        sums = self._sums - np.mean(self._gains) * self._n_trials
        return np.linalg.solve(self._precision, sums)


def split(text: str) -> tuple[str, Sequence[str]]:
    """A template's first sentence, and the others."""
    lead, *others = re.split(r"(?<=[.!?])\s+", text.strip())
    return lead, others
