"""How positions turn the heads: rotary frequencies and scalings, as GGUF metadata name them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log, pi

import numpy as np
from numpy.typing import NDArray

from structq.engines.backends.gguf.values import Values

__all__ = ["Rope", "read_ropes"]

_SCALINGS = ("none", "linear", "yarn")


@dataclass(frozen=True, kw_only=True, eq=False)
class Rope:
    """The rotary positions of a layer."""

    name: str
    """Layers of one name have the same ones."""
    inverse: NDArray[np.float32]
    """Radians a position, ``(head_dim / 2,)``."""
    gain: float
    """By which sines and cosines are multiplied."""


def read_ropes(
    values: Values, local: Sequence[int], head_dim: int, factors: NDArray[np.float32] | None
) -> tuple[Rope, ...]:
    """The rotary positions of each layer.

    Args:
        values: The metadata.
        local: The sliding window of each layer, or 0: Gemma 3 gives such layers another base and
            no scaling.
        head_dim: Width of a head.
        factors: By which the frequencies are divided (Llama 3's scaling), or ``None``.

    Raises:
        InputError: A scaling is none that structq computes.
    """
    base = values.number("rope.freq_base", 10000.0)
    plain = _inverse(base, head_dim)
    inverse, gain = _scaled(values, plain, base)
    if factors is not None:
        inverse = inverse / factors
    everywhere = Rope(name="rope", inverse=inverse.astype(np.float32), gain=gain)
    if values.architecture != "gemma3":
        return (everywhere,) * len(local)
    slow = _inverse(values.number("rope.freq_base_swa", 10000.0), head_dim)
    sliding = Rope(name="rope_local", inverse=slow.astype(np.float32), gain=1.0)
    return tuple(sliding if size else everywhere for size in local)


def _inverse(base: float, head_dim: int) -> NDArray[np.float64]:
    return np.asarray(1.0 / base ** (np.arange(0, head_dim, 2) / head_dim), np.float64)


def _scaled(
    values: Values, plain: NDArray[np.float64], base: float
) -> tuple[NDArray[np.float64], float]:
    older = values.number("rope.scale_linear", 1.0)
    kind = values.text("rope.scaling.type", "none" if older == 1.0 else "linear")
    factor = values.number("rope.scaling.factor", older)
    original = values.count("rope.scaling.original_context_length", 1, most=1 << 32)
    values.any("rope.scaling.finetuned")  # a remark
    gain = values.number("rope.scaling.attn_factor", 1.0)
    if kind not in _SCALINGS:
        values.fail("rope.scaling.type", kind, f"{', '.join(_SCALINGS)} are allowed")
    if kind == "none":
        return plain, gain
    if kind == "linear":
        return plain / factor, gain
    if original == 1:
        values.fail("rope.scaling.original_context_length", None, "yarn needs it")
    return _yarn(plain, base, factor, original), gain * (1.0 + 0.1 * log(factor))


def _yarn(
    plain: NDArray[np.float64], base: float, factor: float, original: int
) -> NDArray[np.float64]:
    """Fast frequencies stay, slow ones are divided by the factor, those between are mixed.

    Source: YaRN (arXiv 2309.00071, section 3.2), with its bounds of 32 and 1 turns.
    """
    n = 2 * len(plain)

    def place(turns: float) -> float:
        return n * log(original / (turns * 2 * pi)) / (2 * log(base))

    low, high = max(0, floor(place(32.0))), min(n - 1, ceil(place(1.0)))
    ramp = np.clip((np.arange(n // 2) - low) / max(0.001, high - low), 0, 1)
    return plain / factor * ramp + plain * (1 - ramp)
