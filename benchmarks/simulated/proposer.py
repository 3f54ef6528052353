"""The simulated proposer's LM: the same source of wording for every optimizer.

It reads the template that it is shown (the last line of the prompt that holds a purpose sentence)
and writes it anew: mostly keeps what is there, adds one to three sentences, now and then leaves one
out. With some luck it has understood what helps.
"""

from __future__ import annotations

import numpy as np

from .wording import PURPOSES
from .world import World

__all__ = ["SimulatedProposer"]


class SimulatedProposer:
    """Writes templates of a world's bank.

    Args:
        world: Whose sentences it writes. By its ``insight`` a sentence that is added is one that is
            known to help.
        seed: Fixes what it writes; the same prompt asked twice gets two answers.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._rng = np.random.default_rng((seed, 7))
        self._insight = world.insight
        self._mates = {i: j for pair in world.pairs for i, j in (pair, pair[::-1])}
        # What it may understand of a sentence: its worth in good company.
        self._promise = world.main.copy()
        for (i, j), worth in world.pairs.items():
            self._promise[[i, j]] += worth / 2

    def write(self, prompt: str) -> str:
        """A whole template: the purpose sentence of the one shown, and what follows it."""
        purpose, shown = self._shown(prompt)
        sentences = self._rewrite(shown)
        return " ".join([purpose, *(self._world.sentences[i] for i in sentences)])

    def _shown(self, prompt: str) -> tuple[str, list[int]]:
        for line in reversed(prompt.splitlines()):
            for purpose in PURPOSES.values():
                if purpose in line:
                    return purpose, sorted(self._world.read(line))
        return next(iter(PURPOSES.values())), []

    def _rewrite(self, shown: list[int]) -> list[int]:
        rng, world = self._rng, self._world
        kept = [i for i in shown if rng.random() > self._drop_rate(i)]
        for _ in range(int(rng.integers(1, 4))):
            left = [i for i in range(len(world.sentences)) if i not in kept]
            helps = [i for i in left if self._promise[i] > 0.05]
            pool = helps if helps and rng.random() < self._insight else left
            chosen = int(rng.choice(pool))
            kept.append(chosen)
            mate = self._mates.get(chosen)
            if mate is not None and mate not in kept and rng.random() < 0.5:
                kept.append(mate)
        return kept

    def _drop_rate(self, i: int) -> float:
        return 0.5 if self._promise[i] < -0.05 else 0.1
