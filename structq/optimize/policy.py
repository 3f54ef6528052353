"""How often each mutation should be drawn, learned from what it gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

__all__ = ["FixedWeights", "GainWeights", "Policy"]


class Policy(Protocol):
    """Chooses weights from the gains that the best templates had in the search.

    ``gains`` are gains over the original response, one list a mutation, from training rows.
    Returns a weight for each name; the weights of the seed are always fine.
    """

    def weigh(
        self, gains: Mapping[str, Sequence[float]], before: Mapping[str, float]
    ) -> dict[str, float]:
        """New weights, of the same sum as before."""
        ...


class FixedWeights:
    """Leaves the weights as they are."""

    def weigh(
        self, gains: Mapping[str, Sequence[float]], before: Mapping[str, float]
    ) -> dict[str, float]:
        """The weights from before."""
        return dict(before)


class GainWeights:
    """Draws better mutations more often, within bounds, and drops one that harms.

    Means are shrunk to their pooled mean by the share of their spread that is not noise (a normal
    prior, its variance by moments). No weight is changed by more than the factor; several mutations
    stay in use, because data needs variety. A mutation is dropped only if even the upper end of its
    95 % interval is below zero, and never the last two.

    Args:
        most_change: Largest factor up or down.
        strength: How strongly a shrunk gain of one standard deviation pulls, as a logarithm.
    """

    def __init__(self, most_change: float = 2.0, strength: float = 1.0) -> None:
        self._most_change = most_change
        self._strength = strength

    def weigh(
        self, gains: Mapping[str, Sequence[float]], before: Mapping[str, float]
    ) -> dict[str, float]:
        """New weights, of the same sum as before."""
        names = [name for name in before if before[name] > 0 and len(gains.get(name, ())) >= 8]
        if len(names) < 2:
            return dict(before)
        means = np.array([np.mean(gains[name]) for name in names])
        errors = np.array(
            [np.std(gains[name], ddof=1) / math.sqrt(len(gains[name])) for name in names]
        )
        true_spread = max(0.0, float(means.var(ddof=1) - (errors**2).mean()))
        weights = dict(before)
        if true_spread > 0:
            shrunk = (means - means.mean()) * true_spread / (true_spread + errors**2)
            pull = np.clip(
                self._strength * shrunk / math.sqrt(true_spread),
                -math.log(self._most_change),
                math.log(self._most_change),
            )
            for name, change in zip(names, np.exp(pull), strict=True):
                weights[name] = before[name] * float(change)
        harmful = [(m + 1.96 * e, n) for m, e, n in zip(means, errors, names, strict=True)]
        for upper, name in sorted(harmful):
            if upper < 0 and sum(weight > 0 for weight in weights.values()) > 2:
                weights[name] = 0.0
        scale = sum(before.values()) / sum(weights.values())
        return {name: round(weight * scale, 4) for name, weight in weights.items()}
