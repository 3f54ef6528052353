"""What the metadata of a GGUF file says about a decoder; what structq cannot compute is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from structq.engines.backends.gguf.rope import Rope, read_ropes
from structq.engines.backends.gguf.values import Values

__all__ = ["Shape", "read_shape"]

_MAX_WINDOW = 32768
"""Longest text of a converted model: its rotary tables are as long."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A decoder of one of the `values.ARCHITECTURES`."""

    architecture: str
    """One of `values.ARCHITECTURES`."""
    hidden: int
    """Width of the residual stream."""
    n_layers: int
    """Decoder blocks."""
    n_heads: int
    """Query heads."""
    n_kv_heads: int
    """Key and value heads; divides ``n_heads``."""
    head_dim: int
    """Width of one head; onnxruntime's attention wants a multiple of 8."""
    ffn: int
    """Inner width of the gated feed-forward part."""
    n_vocab: int
    """Rows of the embedding."""
    rms_eps: float
    """Added to the mean square before the root."""
    window: int
    """Most positions of a row."""
    ropes: tuple[Rope, ...]
    """How positions turn the heads of each layer."""
    local: tuple[int, ...]
    """How many of the last tokens, itself included, a token of each layer sees; 0 for all."""

    @property
    def is_gemma(self) -> bool:
        """Whether the blocks are Gemma's: norms behind each part too, GELU, a scaled embedding."""
        return self.architecture == "gemma3"

    @property
    def scale(self) -> float:
        """By which the products of queries and keys are multiplied."""
        # The largest Gemma 3, which has 62 layers, takes the width of a head from the stream's.
        largest = self.is_gemma and self.n_layers == 62
        return float((self.hidden / self.n_heads if largest else self.head_dim) ** -0.5)


def read_shape(values: Values, n_vocab: int, rope_factors: Any = None) -> Shape:
    """The decoder that a file describes.

    Args:
        values: Its metadata.
        n_vocab: Number of tokens.
        rope_factors: By which the rotary frequencies are divided, ``(head_dim / 2,)``, or ``None``.

    Raises:
        InputError: A value is missing or wrong, or asks for what structq does not do.
    """
    hidden, n_layers = values.count("embedding_length"), values.count("block_count", most=1000)
    n_heads = values.count("attention.head_count", most=1024)
    n_kv_heads = values.count("attention.head_count_kv", n_heads, most=1024)
    head_dim = values.count("attention.key_length", max(1, hidden // n_heads), most=1024)
    window = min(values.count("context_length", most=1 << 32), _MAX_WINDOW)
    for name, fits, allowed in (
        ("attention.head_count_kv", n_heads % n_kv_heads == 0, f"a divisor of {n_heads}"),
        ("attention.key_length", head_dim % 8 == 0, "a multiple of 8"),
        *(
            (name, values.count(name, head_dim) == head_dim, str(head_dim))
            for name in ("attention.value_length", "rope.dimension_count")
        ),
    ):
        if not fits:
            values.fail(name, values.any(name), f"{allowed} is allowed")
    shape = Shape(
        architecture=str(values.architecture),
        hidden=hidden,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        head_dim=head_dim,
        ffn=values.count("feed_forward_length"),
        n_vocab=n_vocab,
        rms_eps=values.number("attention.layer_norm_rms_epsilon"),
        window=window,
        local=(local := _local(values, n_layers)),
        ropes=read_ropes(values, local, head_dim, rope_factors),
    )
    values.check_all_read()
    return shape


def _local(values: Values, n_layers: int) -> tuple[int, ...]:
    """Sliding windows: of all layers but every sixth in Gemma 3, of all layers in Mistral's first.

    Qwen's files name a window that the LMs do not use, or use in some layers that no value names.
    """
    if values.any("attention.sliding_window") in (None, 0):
        return (0,) * n_layers
    size = values.count("attention.sliding_window", most=1 << 32)
    if values.architecture == "llama":
        return (size,) * n_layers
    if values.architecture != "gemma3":
        values.fail("attention.sliding_window", size, "none is allowed here")
    pattern = values.any("attention.sliding_window_pattern")
    if isinstance(pattern, np.ndarray) and pattern.dtype == np.bool_ and len(pattern) >= n_layers:
        return tuple(size if slides else 0 for slides in pattern[:n_layers])
    if pattern is not None and not isinstance(pattern, int):
        values.fail("attention.sliding_window_pattern", pattern, "one flag a layer is allowed")
    every = values.count("attention.sliding_window_pattern", 6)
    return tuple(0 if (layer + 1) % every == 0 else size for layer in range(n_layers))
