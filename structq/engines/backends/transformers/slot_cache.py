"""Keys and values of many rows of different lengths, for any decoder of transformers.

Each layer keeps two buffers of shape ``(n_slots, n_heads, n_columns, width)``. A row owns a slot,
starts at column 0 and has its own length; a pass writes new columns in place and attends to a view
of the buffer. They start small and double, up to what the longest and the highest row needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.cache_utils import Cache, CacheLayerMixin

__all__ = ["ATTENTION", "Pass", "SlotCache"]

ATTENTION = "structq_slots"
"""Name under which transformers finds `attend`."""

_FIRST_COLUMNS = 256


class Pass:
    """Where the tokens of one pass go: right-aligned ids of several rows, each in its own slot.

    Args:
        slots: One slot a row.
        starts: Tokens that each slot holds before the pass.
        counts: New tokens of each row, one at least.
        device: Of the model.
        dtype: Of the model.
    """

    def __init__(
        self,
        slots: Sequence[int],
        starts: Sequence[int],
        counts: Sequence[int],
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.slots = tuple(slots)
        self.starts = tuple(starts)
        self.n_new = max(counts)
        self.n_columns = max(start + n for start, n in zip(starts, counts, strict=True))
        self.is_fresh_row = len(self.slots) == 1 and self.starts == (0,)
        self.dtype = dtype
        first = torch.tensor(
            [start + n - self.n_new for start, n in zip(starts, counts, strict=True)], device=device
        )
        columns = first[:, None] + torch.arange(self.n_new, device=device)
        self.is_text = columns >= torch.tensor(starts, device=device)[:, None]
        """Shape ``(n_rows, n_new)``: false where a shorter row is filled up on its left."""
        self.positions = columns.clamp(min=0)
        """Shape ``(n_rows, n_new)``."""
        self.rows = torch.tensor(self.slots, device=device)
        self.is_dense = self.slots == tuple(range(self.slots[0], self.slots[0] + len(self.slots)))

    def mask(self, sliding_window: int | None = None) -> Tensor:
        """Added to the attention scores ``(n_rows, 1, n_new, n_columns)``: 0, or far below 0."""
        columns = torch.arange(self.n_columns, device=self.rows.device)
        hidden = columns > self.positions[:, :, None]
        if sliding_window is not None:
            hidden |= columns <= self.positions[:, :, None] - sliding_window
        mask = torch.zeros(hidden.shape, dtype=self.dtype, device=hidden.device)
        # Not -inf: what fills a row up may see nothing at all, which would give NaN.
        return mask.masked_fill_(hidden, torch.finfo(self.dtype).min)[:, None]


class SlotCache(Cache):
    """All layers of one model; `begin` says where the keys and values of the next pass go."""

    def __init__(self, n_layers: int) -> None:
        self._slots = [_SlotLayer() for _ in range(n_layers)]
        super().__init__(layers=list(self._slots))

    def begin(self, where: Pass) -> None:
        """Prepares a pass."""
        for layer in self._slots:
            layer.where = where

    def copy(self, source: int, target: int, n_columns: int) -> None:
        """Copies the first columns of one slot to another."""
        with torch.inference_mode():
            for layer in self._slots:
                layer.copy(source, target, n_columns)


class _SlotLayer(CacheLayerMixin):
    """One layer; the last column of the buffers takes what fills up the shorter rows of a pass."""

    where: Pass

    def __init__(self) -> None:
        super().__init__()
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Nothing: buffers grow when a pass needs them."""

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes states ``(n_rows, n_heads, n_new, width)``; all that the rows may attend to."""
        n_slots, n_columns = max(self.where.slots) + 1, self.where.n_columns
        self.keys = _grown(self.keys, key_states, n_slots, n_columns)
        self.values = _grown(self.values, value_states, n_slots, n_columns)
        self.is_initialized = True
        return self._write(self.keys, key_states), self._write(self.values, value_states)

    def copy(self, source: int, target: int, n_columns: int) -> None:
        """Copies the first columns of one slot to another."""
        if self.keys is None or self.values is None:
            return  # a layer that shares the keys and values of another one
        self.keys = _grown(self.keys, self.keys, target + 1, n_columns)
        self.values = _grown(self.values, self.values, target + 1, n_columns)
        for buffer in (self.keys, self.values):
            buffer[target, :, :n_columns] = buffer[source, :, :n_columns]

    def _write(self, buffer: Tensor, states: Tensor) -> Tensor:
        where = self.where
        if len(where.slots) == 1:
            slot, start = where.slots[0], where.starts[0]
            buffer[slot, :, start : start + where.n_new] = states[0]
            return buffer[slot : slot + 1, :, : where.n_columns]
        spare = buffer.shape[2] - 1
        columns = where.positions.masked_fill(~where.is_text, spare)
        buffer[where.rows[:, None], :, columns] = states.transpose(1, 2)
        if where.is_dense:
            return buffer[where.slots[0] : where.slots[-1] + 1, :, : where.n_columns]
        return buffer[:, :, : where.n_columns].index_select(0, where.rows)

    # Asked for by transformers where it makes masks itself; the runtime brings its own.

    def get_mask_sizes(self, query_length: Any) -> tuple[int, int]:
        """Columns in all, and the first of them."""
        return self.where.n_columns, 0

    def get_seq_length(self) -> int:
        """Columns before the pass."""
        return max(self.where.starts)

    def get_max_length(self) -> int:
        """No limit of its own."""
        return -1

    def get_max_cache_shape(self) -> int:
        """The older name of `get_max_length`."""
        return -1


def _grown(buffer: Tensor | None, states: Tensor, n_slots: int, n_columns: int) -> Tensor:
    """A buffer with room for so many slots and columns, and one spare column behind them."""
    _, n_heads, _, width = states.shape
    had_slots, had_columns = (0, 0) if buffer is None else (buffer.shape[0], buffer.shape[2] - 1)
    if n_slots <= had_slots and n_columns <= had_columns and buffer is not None:
        return buffer
    slots, columns = max(1, had_slots), max(_FIRST_COLUMNS, had_columns)
    while slots < n_slots:
        slots *= 2
    while columns < n_columns:
        columns *= 2
    # Zeros, not whatever memory held: a masked NaN would still be NaN.
    grown = states.new_zeros((slots, n_heads, columns + 1, width))
    if buffer is not None:
        grown[:had_slots, :, :had_columns] = buffer[:, :, :had_columns]
    return grown


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Scaled dot-product attention that never copies keys and values for grouped queries.

    The query heads that share a key head are treated as further positions of one head. The function
    of transformers repeats the keys and values of all rows instead, at every layer and step.

    Args:
        module: The attention layer.
        query: Shape ``(n_rows, n_heads, n_new, width)``.
        key: Shape ``(n_rows, n_kv_heads, n_columns, width)``.
        value: As ``key``.
        attention_mask: As `Pass.mask` gives it; ``None`` for a row that starts here.
        scaling: Factor of the scores.
        kwargs: What else transformers tells about the layer.

    Returns:
        Shape ``(n_rows, n_new, n_heads, width)``, and ``None`` for the weights.
    """
    n_rows, n_heads, n_new, _ = query.shape
    if attention_mask is None:
        attended = scaled_dot_product_attention(
            query, key, value, is_causal=n_new > 1, scale=scaling, enable_gqa=True
        )
        return attended.transpose(1, 2), None
    n_kv_heads = key.shape[1]
    group = n_heads // n_kv_heads
    folded = query.reshape(n_rows, n_kv_heads, group * n_new, -1)
    mask = attention_mask if n_new == 1 else attention_mask.repeat(1, 1, group, 1)
    attended = scaled_dot_product_attention(folded, key, value, attn_mask=mask, scale=scaling)
    return attended.reshape(n_rows, n_heads, n_new, -1).transpose(1, 2), None


AttentionInterface.register(ATTENTION, attend)
