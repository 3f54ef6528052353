"""What was seen of each text, and the brief that a proposer gets of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .credit import Posterior
from .proposers import Brief, Case, Worth
from .sentences import Frame, Pool, join_sentences
from .trials import Outcome

__all__ = ["Evidence", "make_brief"]

_N_CASES = 4


class Evidence:
    """Gains of every text and the rows behind them.

    Args:
        rows: Instruction and response of the training rows; without them no cases are shown.
    """

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        self._rows = rows
        self._outcomes: dict[tuple[int, tuple[int, ...]], list[Outcome]] = {}

    def add(self, mutation: int, sentences: tuple[int, ...], outcome: Outcome) -> None:
        """Takes down one outcome."""
        self._outcomes.setdefault((mutation, sentences), []).append(outcome)

    def gains(self, mutation: int, sentences: tuple[int, ...]) -> list[float]:
        """Of a text in a mutation."""
        return [outcome.gain for outcome in self._outcomes.get((mutation, sentences), ())]

    def best_texts(self, n: int, *, caution: float = 1.0) -> list[tuple[int, ...]]:
        """Texts by the lower end of their mean gain over all mutations, best first."""
        gains: dict[tuple[int, ...], list[float]] = {}
        for (_, sentences), outcomes in self._outcomes.items():
            gains.setdefault(sentences, []).extend(outcome.gain for outcome in outcomes)
        pooled = [gain for found in gains.values() for gain in found]
        spread = float(np.std(pooled)) if pooled else 0.0
        low = {s: float(np.mean(g)) - caution * spread / len(g) ** 0.5 for s, g in gains.items()}
        return sorted(low, key=lambda s: (-low[s], s))[:n]

    def cases(self, mutation: int, sentences: tuple[int, ...]) -> list[Case]:
        """Rows of a text, best first."""
        found = []
        for outcome in self._outcomes.get((mutation, sentences), ()):
            row = outcome.trial.row
            if outcome.evolved is None or row >= len(self._rows):
                continue
            instruction, response = self._rows[row]
            found.append(
                Case(
                    instruction=instruction,
                    response=response,
                    evolved=outcome.evolved,
                    gain=outcome.gain,
                )
            )
        return sorted(found, key=lambda case: -case.gain)


def make_brief(
    pool: Pool,
    frames: Mapping[str, Frame],
    posterior: Posterior,
    evidence: Evidence,
    mutation: int,
    best: tuple[int, ...],
    seed: int,
) -> Brief:
    """What is known of a mutation."""
    effects = posterior.expected()[mutation]
    worths = [
        Worth(text=text, gain=float(worth))
        for text, worth in zip(pool.sentences, effects.alone, strict=True)
    ]
    ranked = sorted(worths, key=lambda worth: -worth.gain)
    cases = evidence.cases(mutation, best)
    return Brief(
        mutation=pool.names[mutation],
        purpose=frames[pool.names[mutation]].head,
        sentences=tuple(pool.sentences[i] for i in best),
        helped=tuple(worth for worth in ranked if worth.gain > 0),
        harmed=tuple(worth for worth in reversed(ranked) if worth.gain < 0),
        texts=tuple(
            Worth(text=join_sentences(pool.sentences[i] for i in text), gain=effects.worth(text))
            for text in evidence.best_texts(6)
            if text
        ),
        won=tuple(cases[:_N_CASES]),
        lost=tuple(reversed(cases[_N_CASES:][-_N_CASES:])),
        seed=seed,
    )
