"""Reads the head of a GGUF file and finds its tensors; knows nothing of what they mean.

The ``gguf`` package has a reader, and it trusts the file: a count of 2^60 keeps it busy for ever.
Here every length, count, shape and place is held against the size of the file before it is used.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError, shorten

__all__ = ["GgufFile", "Tensor"]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_DIMS = 4
_MAX_NAME = 256
_STRING, _ARRAY = 8, 9
_NUMBERS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""GGUF's value types and the letters of `struct`; 8 is a string and 9 an array."""


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor of a file."""

    kind: str
    """The name of its number format, such as ``"Q4_1"``."""
    shape: tuple[int, ...]
    """As numpy has it: the axis of the blocks comes last."""
    offset: int
    """Of its first byte in the file."""
    n_bytes: int
    """Bytes that it takes."""


class GgufFile:
    """What a GGUF file holds.

    Args:
        path: The file; it stays mapped as long as the object lives.

    Raises:
        InputError: It is no GGUF file, or it is cut off or contradicts itself.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"no such file: {str(path)!r}", field="lm")
        self.path = path
        with path.open("rb") as file:
            empty = not path.stat().st_size
            mapped = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._data = np.frombuffer(mapped, np.uint8)
        head = _Head(path, memoryview(mapped))
        n_tensors, n_values = head.counts()
        self.values: Mapping[str, Any] = head.values(n_values)
        """The metadata; arrays of numbers are numpy's, arrays of text are lists."""
        self.tensors: Mapping[str, Tensor] = head.tensors(n_tensors, self._alignment(head))
        """By their names."""

    def bytes_of(self, name: str) -> NDArray[np.uint8]:
        """The bytes of a tensor, one row of its last axis a row; mapped, not read."""
        tensor = self.tensors[name]
        found = self._data[tensor.offset : tensor.offset + tensor.n_bytes]
        return found.reshape(prod(tensor.shape[:-1]), -1)

    def _alignment(self, head: _Head) -> int:
        found = self.values.get("general.alignment", 32)
        if not isinstance(found, int) or found < 8 or found & (found - 1) or found > 1 << 20:
            head.fail(f"its general.alignment is {shorten(found)} (a power of two is allowed)")
        return found


class _Head:
    """A place in the head of a file, from which things are read one after the other."""

    def __init__(self, path: Path, data: memoryview) -> None:
        self._path, self._data, self._at = path, data, 0

    def fail(self, reason: str) -> NoReturn:
        raise InputError(
            f"{str(self._path)!r} is not a GGUF file that structq can read: {reason}", field="lm"
        )

    def counts(self) -> tuple[int, int]:
        """Number of tensors and of metadata values."""
        if len(self._data) < 4 or self._take(4) != _MAGIC:
            self.fail("it does not begin with GGUF")
        version = self._number("I")
        if version not in _VERSIONS:
            self.fail(f"its version is {version} (2 and 3 are allowed)")
        return self._count("tensors", 24), self._count("values", 12)

    def values(self, n_values: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in range(n_values):
            name = self._text()
            if name in found:
                self.fail(f"it has two values {shorten(name)}")
            found[name] = self._value(self._number("I"), name)
        return found

    def tensors(self, n_tensors: int, alignment: int) -> dict[str, Tensor]:
        heads = [self._tensor() for _ in range(n_tensors)]
        start = -(-self._at // alignment) * alignment
        found: dict[str, Tensor] = {}
        for name, kind, shape, offset, n_bytes in heads:
            if name in found:
                self.fail(f"it has two tensors {shorten(name)}")
            if offset % alignment or start + offset + n_bytes > len(self._data):
                self.fail(
                    f"the tensor {shorten(name)} lies outside: {n_bytes} bytes at {offset} "
                    f"({max(0, len(self._data) - start)} bytes are there)"
                )
            found[name] = Tensor(kind=kind, shape=shape, offset=start + offset, n_bytes=n_bytes)
        return found

    def _tensor(self) -> tuple[str, str, tuple[int, ...], int, int]:
        from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

        name = self._text(_MAX_NAME)
        n_dims = self._number("I")
        if not 1 <= n_dims <= _MAX_DIMS:
            self.fail(
                f"the tensor {shorten(name)} has {n_dims} axes (1 to {_MAX_DIMS} are allowed)"
            )
        sizes = [self._number("Q") for _ in range(n_dims)]
        kind, offset = self._number("I"), self._number("Q")
        try:
            known = GGMLQuantizationType(kind)
        except ValueError:
            self.fail(f"the tensor {shorten(name)} has an unknown number format: {kind}")
        per_block, block_bytes = GGML_QUANT_SIZES[known]
        if min(sizes) < 1 or sizes[0] % per_block:
            self.fail(f"the tensor {shorten(name)} has the shape {sizes}, of {known.name}")
        n_bytes = prod(sizes) // per_block * block_bytes
        return name, known.name, tuple(reversed(sizes)), offset, n_bytes

    def _value(self, kind: int, name: str) -> Any:
        if kind == _STRING:
            return self._text()
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind != _ARRAY:
            self.fail(f"the value {shorten(name)} has an unknown type: {kind}")
        inner = self._number("I")
        if inner == _STRING:
            return [self._text() for _ in range(self._count(shorten(name), 8))]
        if inner not in _NUMBERS:
            self.fail(f"the array {shorten(name)} has an unknown type: {inner}")
        dtype = np.dtype("<" + _NUMBERS[inner])
        count = self._count(shorten(name), dtype.itemsize)
        return np.frombuffer(bytes(self._take(count * dtype.itemsize)), dtype)

    def _count(self, what: str, least_bytes: int) -> int:
        """A number of things that take so many bytes each, at the least."""
        count = self._number("Q")
        if count * least_bytes > len(self._data) - self._at:
            self.fail(f"{count} {what} do not fit: {len(self._data) - self._at} bytes are left")
        return int(count)

    def _number(self, kind: str) -> Any:
        return struct.unpack("<" + kind, self._take(struct.calcsize("<" + kind)))[0]

    def _text(self, most: int | None = None) -> str:
        length = self._number("Q")
        if most is not None and length > most:
            self.fail(f"a name of {length} bytes ({most} are allowed)")
        try:
            return str(self._take(length), "utf-8")
        except UnicodeDecodeError:
            self.fail(f"a text before byte {self._at} is no UTF-8")

    def _take(self, n_bytes: int) -> memoryview:
        if n_bytes > len(self._data) - self._at:
            self.fail(f"it is cut off: {n_bytes} bytes wanted at {self._at} of {len(self._data)}")
        self._at += n_bytes
        return self._data[self._at - n_bytes : self._at]
