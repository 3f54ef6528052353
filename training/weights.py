"""Reads the float32 weights back out of a graph that `training.graph` wrote.

The file is read as protobuf by hand, for the five messages that matter here: users of the package
need neither ``onnx`` nor torch to rebuild a checkpoint. Stored int8 becomes ``int8 * scale``, which
is the very number that the engine computes with, so a rebuilt checkpoint answers like the original.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError
from training.graph import DecoderConfig

__all__ = ["Checkpoint", "read_checkpoint"]

_DTYPES = {1: np.float32, 3: np.int8, 6: np.int32, 7: np.int64}
"""``TensorProto.DataType`` to numpy, as far as the graphs use it."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A decoder in the form in which it was trained."""

    weights: Mapping[str, NDArray[np.float32]]
    """Named and shaped as in a Hugging Face Llama checkpoint with a tied head."""
    config: DecoderConfig
    """The shape."""
    chat: Mapping[str, str]
    """Special token of each role, and of ``end`` and ``pad``."""


def read_checkpoint(folder: str | Path) -> Checkpoint:
    """The decoder of a folder with ``model.onnx`` and ``model.json``.

    Raises:
        InputError: A file is missing, or is not what `training.graph.write_onnx` writes.
    """
    folder = Path(folder)
    try:
        facts = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        stored, epsilon = _read_graph((folder / "model.onnx").read_bytes())
        config = _config(facts, stored, epsilon)
        return Checkpoint(weights=_weights(stored, config), config=config, chat=facts["chat"])
    except FileNotFoundError as error:
        raise InputError(f"{str(folder)!r} has no {Path(error.filename).name}") from error
    except (KeyError, ValueError, IndexError, struct.error) as error:
        raise InputError(f"{str(folder)!r} holds no graph of structq's: {error!r}") from error


# From the stored tensors to the weights.


def _config(
    facts: Mapping[str, Any], stored: Mapping[str, NDArray[Any]], epsilon: float
) -> DecoderConfig:
    head_dim = int(facts["head_dim"])
    table = stored["embedding" if "embedding" in stored else "embedding_int8"]
    return DecoderConfig(
        hidden=table.shape[1],
        n_layers=int(facts["n_layers"]),
        n_heads=int(facts["n_heads"]),
        n_kv_heads=int(facts["n_kv_heads"]),
        head_dim=head_dim,
        ffn=_matrix(stored, "model.layers.0.mlp.gate_proj").shape[0],
        n_vocab=table.shape[0],
        rope_theta=_theta(stored["rope_inverse"].ravel(), head_dim),
        rms_eps=_rounded(epsilon),
        window=int(facts["window"]),
    )


def _theta(inverse: NDArray[np.float32], head_dim: int) -> float:
    """The base of the wavelengths, from the longest of them: ``base ** -((d - 2) / d)``."""
    return _rounded(math.exp(-math.log(inverse[-1]) * head_dim / (head_dim - 2)))


def _rounded(value: float) -> float:
    """The number that somebody wrote, without what storing it as float32 added."""
    return float(f"{value:.6g}")


def _weights(
    stored: Mapping[str, NDArray[Any]], config: DecoderConfig
) -> dict[str, NDArray[np.float32]]:
    embedding = "model.embed_tokens.weight"
    weights = {name: value for name, value in stored.items() if name.endswith("norm.weight")}
    if "embedding" in stored:
        weights[embedding] = stored["embedding"]
    else:
        weights[embedding] = stored["embedding_int8"] * stored["embedding_scale"]
    q_width, kv_width = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    for layer in range(config.n_layers):
        block = f"model.layers.{layer}"
        packed = _matrix(stored, f"{block}.self_attn.qkv_proj")
        parts = np.split(packed, [q_width, q_width + kv_width])
        for name, part in zip("qkv", parts, strict=True):
            weights[f"{block}.self_attn.{name}_proj.weight"] = np.ascontiguousarray(part)
        for name in ("self_attn.o", "mlp.gate", "mlp.up", "mlp.down"):
            name = f"{block}.{name}_proj"
            weights[f"{name}.weight"] = _matrix(stored, name)
    return weights


def _matrix(stored: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """A projection ``(out, in)``; the graph holds it transposed."""
    matrix = stored[name] if name in stored else stored[f"{name}.int8"] * stored[f"{name}.scale"]
    return np.ascontiguousarray(matrix.T, dtype=np.float32)


# Protobuf: a message is a run of (field number, value); see onnx.proto for the numbers.


def _read_graph(data: bytes) -> tuple[dict[str, NDArray[Any]], float]:
    """The initializers by name, and the epsilon of the norms."""
    graphs = [value for field, value in _fields(memoryview(data)) if field == 7]
    tensors: dict[str, NDArray[Any]] = {}
    epsilon = 0.0
    for field, value in _fields(graphs[0]):
        if field == 5:
            name, tensor = _tensor(value)
            tensors[name] = tensor
        elif field == 1:
            epsilon = epsilon or _epsilon(value)
    if not epsilon:
        raise ValueError("no norm has an epsilon")
    return tensors, epsilon


def _tensor(message: memoryview) -> tuple[str, NDArray[Any]]:
    shape: list[int] = []
    kind, name, raw = 0, "", memoryview(b"")
    for field, value in _fields(message):
        if field == 1:  # one dimension, or a packed run of them
            shape += [value] if isinstance(value, int) else _varints(value)
        elif field == 2:
            kind = value
        elif field == 8:
            name = bytes(value).decode()
        elif field == 9:
            raw = value
    return name, np.frombuffer(raw, _DTYPES[kind]).reshape(shape)


def _epsilon(node: memoryview) -> float:
    """The attribute ``epsilon`` of a node, or 0 where it has none."""
    for field, value in _fields(node):
        if field == 5:
            attribute = dict(_fields(value))
            if bytes(attribute[1]) == b"epsilon":
                return float(struct.unpack("<f", attribute[2])[0])
    return 0.0


def _fields(message: memoryview) -> Iterator[tuple[int, Any]]:
    """Field numbers with their values: integers, or the bytes of anything else."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if length is None:
            if kind != 2:
                raise ValueError(f"not protobuf: wire type {kind}")
            length, at = _varint(message, at)
        if at + length > len(message):
            raise ValueError("the file is cut off")
        yield key >> 3, message[at : at + length]
        at += length


def _varints(packed: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        values.append(value)
    return values


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
