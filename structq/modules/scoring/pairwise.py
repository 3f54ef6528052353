"""Which of two responses is better, asked for every pair in both orders.

The answer is 1 or 2: each of them is one token for any LM, and is measured at its slot as every
label is. A pair's probability is the mean over its two orders, so that a preference for a place
cancels. K responses get strengths under the model of Bradley and Terry (1952), fitted to these.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import dspy
import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError
from structq.modules.calls import Ask, Reply
from structq.modules.settings import ScorerSettings
from structq.signatures import ScoreCall, score_signature

from .way import Plan, Scored, ranks

__all__ = ["pairwise", "strengths"]

_PREFER = ScoreCall(2, (1, 2), prefers=True)
_PRIOR = 0.1
"""Wins of each response over each other one that nobody saw: strengths stay finite."""


def pairwise(
    predict: dspy.Predict, settings: ScorerSettings, instruction: str, responses: Sequence[str]
) -> Plan:
    """A prompt for each ordered pair: K(K-1) of them.

    Raises:
        InputError: There is one response only.
    """
    if len(responses) < 2:
        raise InputError(
            "responses: holds one, and pairwise scoring compares (2 or more are needed)",
            field="responses",
        )
    signature = score_signature(predict.signature, _PREFER)
    pairs = list(permutations(range(len(responses)), 2))
    asks = [
        Ask(
            predict=predict,
            inputs={"instruction": instruction, "responses": [responses[i], responses[j]]},
            signature=signature,
        )
        for i, j in pairs
    ]

    def read(replies: Sequence[Reply]) -> Scored:
        wins = np.zeros((len(responses), len(responses)))
        for (i, j), reply in zip(pairs, replies, strict=True):
            first = _first_wins(reply)
            wins[i, j] += first / 2
            wins[j, i] += (1 - first) / 2
        found = strengths(wins)
        return Scored(
            scores=ranks([round(one, 9) for one in found]),
            facts={
                "raw_scores": list(found),
                "win_probabilities": wins.tolist(),
                "uncalibrated": "scores are ranks among the responses of the row: pairs were "
                "compared, and no score was asked for",
            },
        )

    return Plan(asks=asks, read=read)


def _first_wins(reply: Reply) -> float:
    """Probability that the first response is better; 0 or 1 where the LM measures nothing."""
    measured = reply.answer.measurement
    return measured[0].probabilities[0] if measured else float(reply.prediction.scores[0] == 1)


def strengths(wins: NDArray[np.float64], n_steps: int = 500) -> list[float]:
    """Strengths of K responses on the logit scale, with a mean of 0.

    Args:
        wins: Shape ``(K, K)``: how often, or how probably, row beats column; the diagonal is 0.
        n_steps: Steps of the minorisation of Hunter (2004) at most.

    Returns:
        The maximum of the likelihood, with a tenth of a win of each over each other one added.
    """
    k = len(wins)
    if k == 1:
        return [0.0]
    wins = wins + _PRIOR * (1 - np.eye(k))
    games = wins + wins.T
    power = np.ones(k)
    for _ in range(n_steps):
        before = power
        power = wins.sum(axis=1) / (games / (power[:, None] + power)).sum(axis=1)
        power /= np.exp(np.log(power).mean())
        if np.abs(np.log(power) - np.log(before)).max() < 1e-12:
            break
    return [float(one) for one in np.log(power)]
