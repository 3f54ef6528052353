"""How one token is chosen from the logits of a row; knows nothing of rows and models."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError

__all__ = ["Sampler", "Sampling"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of one row; the defaults are greedy."""

    temperature: float = 0.0
    """0 takes the most probable token; otherwise logits are divided by it."""
    top_p: float = 1.0
    """The smallest set of tokens whose probabilities reach this is kept."""
    top_k: int | None = None
    """At most so many tokens are kept."""
    seed: int | None = None
    """Fixes every draw of the row; ``None`` draws anew each time."""

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, 0.0 <= self.temperature < math.inf, "0 or more")
        _check("top_p", self.top_p, 0.0 < self.top_p <= 1.0, "above 0 and at most 1")
        _check("top_k", self.top_k, self.top_k is None or self.top_k >= 1, "1 or more")
        _check("seed", self.seed, self.seed is None or self.seed >= 0, "0 or more")


class Sampler:
    """Draws the tokens of one row; the n-th draw depends on the seed and on n alone."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self._rng = np.random.default_rng(sampling.seed)

    def choose(self, logits: NDArray[np.floating]) -> int:
        """Index of the chosen entry; the lowest one on a tie when greedy.

        Args:
            logits: Shape ``(n,)``; ``-inf`` marks what is not allowed.

        Raises:
            ValueError: Nothing is allowed, or the LM gave a NaN.
        """
        best = int(np.argmax(logits))
        if not np.isfinite(logits[best]):
            raise ValueError(f"no token can be chosen: the best logit is {logits[best]}")
        if self._sampling.temperature == 0:
            return best
        return self._draw(logits.astype(np.float64))

    def _draw(self, logits: NDArray[np.float64]) -> int:
        scaled = (logits - logits.max()) / self._sampling.temperature
        order = np.argsort(-scaled, kind="stable")[: self._sampling.top_k]
        weights = np.exp(scaled[order])
        cumulated = np.cumsum(weights)
        # The first entry always stays, and the one that crosses top_p stays too.
        within = cumulated - weights < self._sampling.top_p * cumulated[-1]
        total = cumulated[int(np.count_nonzero(within)) - 1]
        place = int(np.searchsorted(cumulated, self._rng.random() * total, side="right"))
        return int(order[place])


def _check(field: str, value: object, fits: bool, allowed: str) -> None:
    if not fits:
        raise InputError(f"{field} is out of range: {value!r} ({allowed} is allowed)", field=field)
