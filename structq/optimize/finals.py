"""The last race: few programs on the same unseen cells, before one of them is tested."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import numpy as np

from .exploration import Exploration
from .proposing import renders
from .racing import Race
from .recombine import Effects, recombine
from .sentences import Program
from .trials import Answers, Step

__all__ = ["last_race"]


def last_race(run: Exploration) -> Generator[Step, Answers, tuple[Program, float]]:
    """The winner, and the belief that it is better than the seed.

    Where no calls are left for it the best so far wins.
    """
    posterior, ledger = run.posterior, run.ledger
    arms = _finalists(run)
    beliefs = [posterior.contrast(arm, arms[0], run.weights) for arm in arms]
    race = Race([b.mean for b in beliefs], [b.sd for b in beliefs], noise=posterior.noise)
    while len(race.alive) > 1 and not ledger.stopped:
        running = [arms[i] for i in race.alive]
        n_cells = min(2 * len(run.pool.names), ledger.n_affordable() // len(running))
        if n_cells < 1:
            break
        before = ledger.n_spent
        gains = yield from run.run(running, n_cells, learn=False)
        for found in gains:
            race.add(found)
        race.drop()
        if ledger.n_spent == before:
            break
    winner = race.leader()
    mean, sd = race.standing(winner)
    base = posterior.contrast(arms[0], run.seed_program, run.weights)
    spread = float(np.hypot(sd, base.sd))
    run.history.append(
        f"{ledger.n_spent} calls: finalist {winner + 1} of {len(arms)} won the last race, "
        f"expected {base.mean + mean:+.3f} (sd {spread:.3f}) against the seed"
    )
    return arms[winner], _belief(base.mean + mean, spread)


def _finalists(run: Exploration) -> list[Program]:
    """The best so far, one text for all mutations, texts as proposed, and what may be better."""
    n = len(run.pool.names)
    shared = _pooled(run.posterior.expected(), run.weights)
    start = max(set(run.best), key=lambda s: shared.worth(s))
    same = recombine(shared, [start], max_sentences=run.settings.max_sentences)
    arms = dict.fromkeys([run.best, (same,) * n])
    for sentences in run.evidence.best_texts(2):
        arms[(sentences,) * n] = None
    for effects in run.posterior.draw(run.rng, 2):
        arms[run.recombined(effects)] = None
    good = [arm for arm in arms if arm == run.best or renders(run.pool, arm)]
    return good[: run.settings.n_finalists]


def _pooled(effects: Sequence[Effects], weights: Sequence[float]) -> Effects:
    alone = np.average([e.alone for e in effects], axis=0, weights=weights)
    return Effects(alone=alone, together=effects[0].together, bend=effects[0].bend)


def _belief(mean: float, sd: float) -> float:
    return 0.5 * (1 + math.erf(mean / sd / math.sqrt(2))) if sd > 0 else float(mean > 0)
