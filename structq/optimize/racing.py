"""Few programs on the same unseen cells, and those that fall behind are dropped early."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Race"]

Floats = NDArray[np.float64]


class Race:
    """Keeps paired gains of arms; arm 0 is the incumbent and always runs.

    What was believed before counts as well: an arm that is expected to win by much needs more to be
    dropped. Belief and measurement are joined as two normal estimates of the same difference.

    Args:
        expected: What was believed of each arm less the incumbent; 0 for the incumbent.
        sds: Standard deviations of those beliefs.
        noise: Variance of one gain.
        drop_below: Chance of being the better one of two below which an arm is dropped.
    """

    def __init__(
        self,
        expected: Sequence[float],
        sds: Sequence[float],
        *,
        noise: float,
        drop_below: float = 0.1,
    ) -> None:
        self._expected = np.asarray(expected, dtype=np.float64)
        self._precision = np.maximum(np.asarray(sds, dtype=np.float64), 1e-9) ** -2
        self._noise = max(noise, 1e-12)
        self._drop_below = drop_below
        self._sums = np.zeros(len(expected))
        self._counts = np.zeros(len(expected))
        self.alive = list(range(len(expected)))

    def add(self, gains: Sequence[float]) -> None:
        """Gains of the arms that are alive, in their order, on one cell."""
        against = gains[0]
        for arm, gain in zip(self.alive, gains, strict=True):
            self._sums[arm] += gain - against
            self._counts[arm] += 1

    def drop(self) -> list[int]:
        """Drops every arm that has fallen behind the leader; returns those."""
        mean, sd = self._joined()
        leader = self.leader()
        gone = []
        for arm in self.alive[1:]:
            if arm == leader:
                continue
            # Both differences contain the incumbent's noise, so this is on the careful side.
            spread = float(np.hypot(sd[arm], sd[leader]))
            if spread and _normal_tail((mean[leader] - mean[arm]) / spread) < self._drop_below:
                gone.append(arm)
        self.alive = [arm for arm in self.alive if arm not in gone]
        return gone

    def leader(self) -> int:
        """The arm with the highest joined estimate; the incumbent on a tie."""
        mean, _ = self._joined()
        return max(self.alive, key=lambda arm: (mean[arm], -arm))

    def standing(self, arm: int) -> tuple[float, float]:
        """Joined estimate of an arm less the incumbent, and its standard deviation."""
        mean, sd = self._joined()
        return float(mean[arm]), float(sd[arm])

    def _joined(self) -> tuple[Floats, Floats]:
        measured = self._sums / np.maximum(self._counts, 1)
        weight = self._counts / (2 * self._noise)
        total = self._precision + weight
        mean = (self._precision * self._expected + weight * measured) / total
        mean[0] = 0.0
        sd = total**-0.5
        sd[0] = 0.0
        return mean, sd


def _normal_tail(z: float) -> float:
    from math import erfc, sqrt

    return 0.5 * erfc(z / sqrt(2))
