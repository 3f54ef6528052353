"""The numbers of GGUF tensors in the forms that structq computes with.

========================  =========================================================================
Q4_0, Q4_1, Q4_K          4 bits, exactly: ``scale * (q - 8) + offset`` a block
Q8_0, Q6_K                8 bits, exactly: ``scale * (q - 128)`` a block
F32, F16, BF16            float32, exactly
all others                8 bits in blocks of 32: off by at most 1/254 of the block's largest number
========================  =========================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structq.engines.backends.gguf.header import GgufFile
from structq.errors import InputError

__all__ = ["Blocks", "Matrix", "read_floats", "read_matrix", "take_rows"]

_FLOATS = ("F32", "F16", "BF16")
_BYTE = 128
_BLOCK = 32


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """A matrix ``(out, in)`` in blocks along its second axis."""

    bits: int
    """4 or 8."""
    q: NDArray[Any]
    """``(out, in)`` numbers of so many bits in bytes; of 4 bits two in one, the first low."""
    scale: NDArray[np.float32]
    """``(out, in / block)``."""
    offset: NDArray[np.float32] | None = None
    """As ``scale``; added to all numbers of a block."""

    @property
    def n_columns(self) -> int:
        """Numbers of a row."""
        return int(self.q.shape[1]) * 8 // self.bits

    @property
    def block(self) -> int:
        """Numbers of a block."""
        return self.n_columns // int(self.scale.shape[1])


Matrix = Blocks | NDArray[np.float32]
"""A matrix in one of the forms that structq computes with."""


def read_matrix(file: GgufFile, name: str) -> Matrix:
    """A tensor of two axes, by the rule above.

    Raises:
        InputError: Nobody can read its number format, or it holds numbers that are not finite.
    """
    kind = file.tensors[name].kind
    if kind in _FLOATS:
        return read_floats(file, name)
    found = (
        _EXACT[kind](file.bytes_of(name)) if kind in _EXACT else _rounded(read_floats(file, name))
    )
    _check_finite(name, found.scale if found.offset is None else found.scale + found.offset)
    return found


def read_floats(file: GgufFile, name: str) -> NDArray[np.float32]:
    """A tensor as float32.

    Raises:
        InputError: As in `read_matrix`.
    """
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    tensor, data = file.tensors[name], file.bytes_of(name)
    dtype = {"F32": np.float32, "F16": np.float16}.get(tensor.kind)
    try:
        values = dequantize(data.view(dtype or np.uint8), GGMLQuantizationType[tensor.kind])
    except NotImplementedError as error:
        raise InputError(
            f"the tensor {name!r} has a number format that structq cannot read: {tensor.kind}",
            field="lm",
        ) from error
    found = np.asarray(values, np.float32).reshape(tensor.shape)
    _check_finite(name, found)
    return found


def take_rows(matrix: Matrix, rows: NDArray[np.intp]) -> Matrix:
    """The matrix with its rows in another order."""
    if not isinstance(matrix, Blocks):
        return matrix[rows]
    offset = None if matrix.offset is None else matrix.offset[rows]
    return replace(matrix, q=matrix.q[rows], scale=matrix.scale[rows], offset=offset)


def _check_finite(name: str, values: NDArray[np.float32]) -> None:
    if not np.isfinite(values).all():
        raise InputError(
            f"the tensor {name!r} of the GGUF file holds numbers that are not finite", field="lm"
        )


# One function a number format: bytes (out, bytes of a row) to blocks.


def _q4_0(data: NDArray[np.uint8]) -> Blocks:
    blocks = data.reshape(len(data), -1, 18)
    return Blocks(bits=4, q=_pairs(_nibbles(blocks[..., 2:])), scale=_halves(blocks[..., :2]))


def _q4_1(data: NDArray[np.uint8]) -> Blocks:
    blocks = data.reshape(len(data), -1, 20)
    scale, least = _halves(blocks[..., :2]), _halves(blocks[..., 2:4])
    q = _pairs(_nibbles(blocks[..., 4:]))
    return Blocks(bits=4, q=q, scale=scale, offset=least + 8 * scale)


def _q4_k(data: NDArray[np.uint8]) -> Blocks:
    from gguf.quants import Q4_K

    rows, blocks = len(data), data.reshape(-1, 144)
    scales, mins = Q4_K.get_scale_min(blocks[:, 4:16])
    scale = _halves(blocks[:, None, :2]) * scales.astype(np.float32)
    least = _halves(blocks[:, None, 2:4]) * mins.astype(np.float32)
    q = _pairs(_nibbles(blocks[:, 16:].reshape(rows, -1, 32)))
    offset = (8 * scale - least).reshape(rows, -1)
    return Blocks(bits=4, q=q, scale=scale.reshape(rows, -1), offset=offset)


def _q8_0(data: NDArray[np.uint8]) -> Blocks:
    blocks = data.reshape(len(data), -1, 34)
    q = (blocks[..., 2:] ^ _BYTE).reshape(len(data), -1)  # two's complement to a distance from -128
    return Blocks(bits=8, q=q, scale=_halves(blocks[..., :2]))


def _q6_k(data: NDArray[np.uint8]) -> Blocks:
    rows, blocks = len(data), data.reshape(-1, 210)
    low = _nibbles(blocks[:, :128].reshape(-1, 2, 64)).reshape(-1, 8, 32)
    high = blocks[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None]
    q = (low | ((high.reshape(-1, 8, 32) & 3) << 4)) + np.uint8(_BYTE - 32)
    scale = _halves(blocks[:, None, 208:]) * blocks[:, 192:208].view(np.int8).astype(np.float32)
    return Blocks(bits=8, q=q.reshape(rows, -1), scale=scale.reshape(rows, -1))


def _rounded(matrix: NDArray[np.float32]) -> Blocks:
    blocks = matrix.reshape(len(matrix), -1, _BLOCK)
    scale = np.abs(blocks).max(axis=2) / 127
    steps = np.rint(blocks / np.where(scale > 0, scale, 1)[..., None])
    return Blocks(bits=8, q=(steps + _BYTE).astype(np.uint8).reshape(matrix.shape), scale=scale)


_EXACT: dict[str, Callable[[NDArray[np.uint8]], Blocks]] = {
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q4_K": _q4_k,
    "Q8_0": _q8_0,
    "Q6_K": _q6_k,
}


def _halves(data: NDArray[Any]) -> NDArray[np.float32]:
    """Two bytes on the last axis as float16."""
    return np.ascontiguousarray(data).view(np.float16)[..., 0].astype(np.float32)


def _nibbles(data: NDArray[Any]) -> NDArray[Any]:
    """The low halves of a block's bytes, then the high ones: ``(..., n)`` to ``(..., 2 n)``."""
    return np.concatenate([data & 15, data >> 4], axis=-1)


def _pairs(q: NDArray[Any]) -> NDArray[Any]:
    """Numbers of 4 bits ``(rows, blocks, n)``, two in a byte: ``(rows, blocks * n / 2)``."""
    packed: NDArray[Any] = q[..., 0::2] | (q[..., 1::2] << 4)
    return packed.reshape(len(q), -1)
