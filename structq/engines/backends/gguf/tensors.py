"""Which tensors a decoder has, by llama.cpp's names, and how they are read for structq's graph."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from structq.engines.backends.gguf.blocks import Matrix, read_floats, read_matrix, take_rows
from structq.engines.backends.gguf.header import GgufFile
from structq.engines.backends.gguf.shape import Shape
from structq.errors import InputError

__all__ = ["ROPE_FACTORS", "Weights"]

ROPE_FACTORS = "rope_freqs.weight"
"""Llama 3's scaling of the rotary frequencies."""

_Sizes = tuple[int, ...]


class Weights:
    """The weights of a file, each read when it is asked for.

    Args:
        file: The file.
        shape: What its metadata say; the tensors must agree.

    Raises:
        InputError: A tensor is missing, has another shape, or is none of the architecture's.
    """

    def __init__(self, file: GgufFile, shape: Shape) -> None:
        self._file, self._shape = file, shape
        known = dict(_all(shape))
        optional = {name for name in known if _is_optional(name, shape)}
        for name in sorted(known.keys() - file.tensors.keys() - optional):
            raise _fault(f"the tensor {name!r} is missing")
        for name, tensor in file.tensors.items():
            if name not in known:
                raise _fault(f"{shape.architecture} LMs have no tensor {name!r}")
            if tensor.shape != known[name]:
                raise _fault(
                    f"the tensor {name!r} has the shape {tensor.shape} ({known[name]} is allowed)"
                )

    def __contains__(self, name: str) -> bool:
        return name in self._file.tensors

    def matrix(self, name: str) -> Matrix:
        """A matrix ``(out, in)``; queries and keys in the order of `_partners_apart`."""
        found = read_matrix(self._file, name)
        rows = self._order(name)
        return found if rows is None else take_rows(found, rows)

    def vector(self, name: str) -> NDArray[np.float32]:
        """The weights of a norm, or a bias."""
        found = read_floats(self._file, name)
        rows = self._order(name)
        return found if rows is None else found[rows]

    def _order(self, name: str) -> NDArray[np.intp] | None:
        shape, part = self._shape, name.split(".")[-2]
        if shape.architecture != "llama" or part not in ("attn_q", "attn_k"):
            return None
        n_heads = shape.n_heads if part == "attn_q" else shape.n_kv_heads
        return _partners_apart(n_heads, shape.head_dim)


def _partners_apart(n_heads: int, head_dim: int) -> NDArray[np.intp]:
    """Rows of each head in the order 0, 2, 4, ..., 1, 3, 5, ...

    Files of llama's architecture have the partners of a rotation side by side; onnxruntime's
    attention, as all other architectures, turns the first half of a head against the second.
    """
    rows = np.arange(n_heads * head_dim).reshape(n_heads, head_dim // 2, 2)
    return rows.swapaxes(1, 2).reshape(-1)


def _all(shape: Shape) -> Iterator[tuple[str, _Sizes]]:
    yield "token_embd.weight", (shape.n_vocab, shape.hidden)
    yield "output.weight", (shape.n_vocab, shape.hidden)
    yield "output_norm.weight", (shape.hidden,)
    if shape.architecture == "llama":
        yield ROPE_FACTORS, (shape.head_dim // 2,)
    for layer in range(shape.n_layers):
        for name, sizes in _of_layer(shape):
            yield f"blk.{layer}.{name}", sizes


def _of_layer(shape: Shape) -> Iterator[tuple[str, _Sizes]]:
    q_width, kv_width = shape.n_heads * shape.head_dim, shape.n_kv_heads * shape.head_dim
    for name, width in (("attn_q", q_width), ("attn_k", kv_width), ("attn_v", kv_width)):
        yield f"{name}.weight", (width, shape.hidden)
        if shape.architecture in ("llama", "qwen2"):
            yield f"{name}.bias", (width,)
    yield "attn_output.weight", (shape.hidden, q_width)
    for name in ("ffn_gate", "ffn_up"):
        yield f"{name}.weight", (shape.ffn, shape.hidden)
    yield "ffn_down.weight", (shape.hidden, shape.ffn)
    norms = ["attn_norm", "ffn_norm"]
    norms += ["post_attention_norm", "post_ffw_norm"] if shape.is_gemma else []
    for name in norms:
        yield f"{name}.weight", (shape.hidden,)
    if shape.architecture in ("qwen3", "gemma3"):
        for name in ("attn_q_norm", "attn_k_norm"):
            yield f"{name}.weight", (shape.head_dim,)


def _is_optional(name: str, shape: Shape) -> bool:
    optional_bias = name.endswith(".bias") and shape.architecture == "llama"
    return name in ("output.weight", ROPE_FACTORS) or optional_bias


def _fault(reason: str) -> InputError:
    return InputError(f"the GGUF file is no LM that structq can run: {reason}", field="lm")
