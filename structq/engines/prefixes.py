"""Which tokens the slots of a runtime still hold, so that no beginning is computed twice.

A slot that is free again keeps the keys and values of its last row until they are written over, and
those of a token depend on the tokens before it alone. So a new row starts behind the longest
beginning that any slot holds: prompts of one template share most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["HeldTokens"]

_LEAST_COPY = 16
"""Columns from which on copying them is clearly cheaper than computing them."""


class HeldTokens:
    """The tokens behind the columns of each slot; used by one thread at a time.

    Args:
        n_slots: Slots.
        window: Most tokens of a slot.
    """

    def __init__(self, n_slots: int, window: int) -> None:
        # calloc: pages that no row has written take no memory.
        self._tokens = np.zeros((n_slots, window), np.int32)
        self.counts = np.zeros(n_slots, np.int64)
        """Columns of each slot whose tokens are known."""

    def write(self, slot: int, start: int, tokens: Sequence[int]) -> None:
        """Notes that ``tokens`` now stand at ``start``; nothing behind them is worth keeping.

        Where what stands before them is not known, neither are they.
        """
        if start > self.counts[slot]:
            return
        end = start + len(tokens)
        self._tokens[slot, start:end] = tokens
        self.counts[slot] = end

    def cut(self, lengths: NDArray[np.int64]) -> None:
        """Forgets what stands behind so many columns of each of the first slots."""
        counts = self.counts[: len(lengths)]
        np.minimum(counts, lengths, out=counts)

    def trade(self, one: int, other: int) -> None:
        """Notes that two slots now hold what the other one held."""
        both, turned = [one, other], [other, one]
        n_columns = int(self.counts[both].max())
        self._tokens[both, :n_columns] = self._tokens[turned, :n_columns]
        self.counts[both] = self.counts[turned]

    def reuse(
        self, slot: int, start: int, tokens: Sequence[int], copy: Callable[[int, int, int], None]
    ) -> int:
        """How many of the first ``tokens`` need not be computed behind the ``start`` of a slot.

        Args:
            slot: Where they are wanted.
            start: Columns of the slot that stay.
            tokens: What is to follow them.
            copy: Called with another slot, this one, and how many of its first columns to copy.
        """
        n_kept = self.shared(slot, start, tokens)
        source, n_shared = self.best(tokens) if start == 0 else (slot, 0)
        if n_shared - n_kept >= _LEAST_COPY:
            copy(source, slot, n_shared)
            self.write(slot, 0, tokens[:n_shared])
            return n_shared
        return n_kept

    def best(self, tokens: Sequence[int]) -> tuple[int, int]:
        """The slot that holds the longest beginning of ``tokens``, and how long it is."""
        shared = np.minimum(self.counts, len(tokens))
        n_columns = int(shared.max())
        same = self._tokens[:, :n_columns] == np.asarray(tokens[:n_columns], np.int32)
        # The first difference of each row, or n_columns where there is none.
        first = np.where(same.all(axis=1), n_columns, same.argmin(axis=1)) if n_columns else shared
        shared = np.minimum(shared, first)
        slot = int(shared.argmax())
        return slot, int(shared[slot])

    def shared(self, slot: int, start: int, tokens: Sequence[int]) -> int:
        """How many of ``tokens`` the slot holds at ``start`` already."""
        held = self._tokens[slot, start : min(start + len(tokens), int(self.counts[slot]))]
        same = held == np.asarray(tokens[: len(held)], np.int32)
        return len(held) if same.all() else int(same.argmin())
