"""Which tokens the slots of a runtime still hold, so that no beginning is computed twice.

A slot that is free again keeps the keys and values of its last row until they are written over, and
those of a token depend on the tokens before it alone. So a new row starts behind the longest
beginning that any slot holds: prompts of one template share most of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["HeldTokens"]


class HeldTokens:
    """The tokens behind the columns of each slot; used by one thread at a time.

    Args:
        n_slots: Slots.
        window: Most tokens of a slot.
    """

    def __init__(self, n_slots: int, window: int) -> None:
        # calloc: pages that no row has written take no memory.
        self._tokens = np.zeros((n_slots, window), np.int32)
        self._counts = np.zeros(n_slots, np.int64)

    def write(self, slot: int, start: int, tokens: Sequence[int]) -> None:
        """Notes that ``tokens`` now stand at ``start``; nothing behind them is worth keeping."""
        end = start + len(tokens)
        self._tokens[slot, start:end] = tokens
        self._counts[slot] = end

    def best(self, tokens: Sequence[int]) -> tuple[int, int]:
        """The slot that holds the longest beginning of ``tokens``, and how long it is."""
        shared = np.minimum(self._counts, len(tokens))
        n_columns = int(shared.max())
        same = self._tokens[:, :n_columns] == np.asarray(tokens[:n_columns], np.int32)
        # The first difference of each row, or n_columns where there is none.
        first = np.where(same.all(axis=1), n_columns, same.argmin(axis=1)) if n_columns else shared
        shared = np.minimum(shared, first)
        slot = int(shared.argmax())
        return slot, int(shared[slot])

    def shared(self, slot: int, start: int, tokens: Sequence[int]) -> int:
        """How many of ``tokens`` the slot holds at ``start`` already."""
        held = self._tokens[slot, start : min(start + len(tokens), int(self._counts[slot]))]
        same = held == np.asarray(tokens[: len(held)], np.int32)
        return len(held) if same.all() else int(same.argmin())
