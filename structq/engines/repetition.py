"""What an answer has said before, and which tokens would say it again; knows no settings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Repetition"]

_LONGEST = 64
"""Longer runs are penalised no more: the power would leave the range of float32."""


class Repetition:
    """The tokens of one answer so far, with the repeated run that ends at each place.

    Args:
        breakers: Ids of tokens over which no run goes.
    """

    def __init__(self, breakers: frozenset[int] = frozenset()) -> None:
        self._breakers = breakers
        self._n = 0
        self._tokens = np.zeros(256, np.int64)
        # Entry i: how long the run is that ends before token i and ends the answer too.
        self._runs = np.zeros(257, np.int64)

    def add(self, token: int) -> None:
        """Takes note of the next token."""
        n = self._n
        if n == len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
            self._runs = np.concatenate([self._runs, np.zeros(n, np.int64)])
        if token in self._breakers:
            self._runs[: n + 2] = 0
        else:
            longer = np.where(self._tokens[:n] == token, self._runs[:n] + 1, 0)
            self._runs[1 : n + 1] = longer
            self._runs[n + 1] = 0
        self._tokens[n] = token
        self._n = n + 1

    def divide(self, logits: NDArray[np.float32], penalty: float) -> None:
        """Divides the logits of tokens that were said (multiplies those below 0), in place."""
        said = np.unique(self._tokens[: self._n])
        kept = logits[said]
        logits[said] = np.where(kept > 0, kept / penalty, kept * penalty)

    def dry(
        self, logits: NDArray[np.float32], multiplier: float, base: float, allowed: int
    ) -> None:
        """Takes the DRY penalty off the logits of tokens that would make a run longer, in place."""
        at = np.flatnonzero(self._runs[: self._n] >= allowed)
        if not at.size:
            return
        lengths = np.minimum(self._runs[at] - allowed, _LONGEST)
        worst: dict[int, int] = {}
        for token, length in zip(self._tokens[at].tolist(), lengths.tolist(), strict=True):
            worst[token] = max(worst.get(token, 0), length)
        for token, length in worst.items():
            logits[token] -= multiplier * base**length
