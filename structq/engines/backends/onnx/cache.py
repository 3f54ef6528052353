"""Keys and values of all rows of a batch, in buffers that a graph writes in place.

A row has a slot, by which it is known, and a place in the buffers. A pass covers neighbouring
places, so rows trade places: what is asked of a few rows is not computed for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from structq.engines.backends.onnx.session import untouched
from structq.engines.prefixes import HeldTokens

__all__ = ["RowCache"]


class RowCache:
    """The memory of a runtime's rows; used by one thread at a time.

    Args:
        n_places: Most rows.
        window: Most tokens of a row. There is one more column, for idle rows of a pass.
        n_layers: Layers of the graph.
        n_kv_heads: Key and value heads of a layer.
        head_dim: Width of a head.
    """

    def __init__(
        self, n_places: int, window: int, *, n_layers: int, n_kv_heads: int, head_dim: int
    ) -> None:
        shape = (n_places, n_kv_heads, window + 1, head_dim)
        self.buffers = {
            f"{layer}.{part}": untouched(shape)
            for layer in range(n_layers)
            for part in ("key", "value")
        }
        """By layer and part, of shape ``(n_places, n_kv_heads, window + 1, head_dim)``."""
        self.lengths = np.zeros(n_places, np.int64)
        """Tokens of the row at each place."""
        self.held = HeldTokens(n_places, window)
        """Which tokens the places still hold."""
        self._places = np.arange(n_places)

    def place(self, slot: int) -> int:
        """Where the row of a slot lies."""
        return int(self._places[slot])

    def gather(self, slots: Sequence[int]) -> NDArray[np.int64]:
        """The places of these rows, which are then the first ones, in the order of the slots."""
        wanted = set(self._places[list(slots)].tolist())
        free = [place for place in range(len(wanted)) if place not in wanted]
        for place in sorted(place for place in wanted if place >= len(wanted)):
            self._trade(place, free.pop(0))
        return self._places[list(slots)]

    def copy(self, source: int, target: int, n_columns: int) -> None:
        """Copies the first columns of one place to another."""
        for buffer in self.buffers.values():
            buffer[target, :, :n_columns] = buffer[source, :, :n_columns]

    def _trade(self, one: int, other: int) -> None:
        """Puts the rows of two places at each other's."""
        both, turned = [one, other], [other, one]
        n_columns = int(max(self.lengths[both].max(), self.held.counts[both].max()))
        for buffer in self.buffers.values():
            buffer[both, :, :n_columns] = buffer[turned, :, :n_columns]
        self.lengths[both] = self.lengths[turned]
        self.held.trade(one, other)
        slots = [int(np.flatnonzero(self._places == place)[0]) for place in both]
        self._places[slots] = turned
