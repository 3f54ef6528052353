"""Writes a Llama-shaped decoder as an ONNX graph, by hand; knows nothing of training or engines.

Its inputs and outputs are those of `backends.onnx.decoder`.

Attention is ``com.microsoft.GroupQueryAttention``: on the CPU it works through each row with that
row's own length, so a row's bits do not depend on its neighbours, and it writes new keys and values
into the past buffer when past and present are bound to the same memory. Every row starts at column
0: there is no left padding. Buffers may have ``window + 1`` columns: the last one is for idle rows
of a batch.

Weights are stored as int8 with one scale per output channel and are turned back into float32 before
each product. Activations are never quantised: *dynamic* int8 takes one activation scale over the
whole batch, which would let rows influence each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from structq.engines.backends.onnx.decoder import Interface, add_lengths, keep_last
from structq.engines.backends.onnx.writer import GraphWriter, dtype_of

__all__ = ["DecoderConfig", "Storage", "quantize_rows", "write_onnx"]

Weights = Mapping[str, NDArray[np.float32]]
Storage = Literal["int8", "float32"]

_OPSET = 17
_IR_VERSION = 8  # readable by every onnxruntime since 1.14


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Shape of the decoder; the defaults are nano's."""

    hidden: int = 256
    """Width of the residual stream."""
    n_layers: int = 6
    """Decoder blocks."""
    n_heads: int = 4
    """Query heads."""
    n_kv_heads: int = 2
    """Key and value heads; divides ``n_heads``."""
    head_dim: int = 64
    """Width of one head; even, as rotary positions turn pairs."""
    ffn: int = 512
    """Inner width of the gated feed-forward part."""
    n_vocab: int = 4096
    """Rows of the tied embedding."""
    rope_theta: float = 10000.0
    """Base of the rotary wavelengths."""
    rms_eps: float = 1e-5
    """Added to the mean square before the root."""
    window: int = 2048
    """Most positions that a row can have."""

    def __post_init__(self) -> None:
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_kv_heads must divide n_heads: found {self.n_kv_heads} for {self.n_heads}"
            )
        if self.head_dim % 2:
            raise ValueError(f"head_dim must be even: found {self.head_dim}")


def write_onnx(
    weights: Weights, config: DecoderConfig, path: str | Path, *, storage: Storage = "int8"
) -> None:
    """Writes ``weights`` as one ONNX file.

    Args:
        weights: Arrays named and shaped as in a Hugging Face Llama checkpoint with a tied head:
            ``model.embed_tokens.weight`` ``(n_vocab, hidden)``, projections ``(out, in)``.
        config: The shape; ``weights`` must agree with it.
        path: File to write; its folder exists.
        storage: ``"int8"`` per output channel, or ``"float32"``.

    Raises:
        KeyError: A weight is missing.
        ValueError: A weight has another shape than ``config`` says.
    """
    import onnx

    builder = _Builder(weights, config, storage)
    onnx.save(builder.model(), str(path))


def quantize_rows(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric int8 of a matrix ``(out, in)`` and its scales ``(out,)``.

    Returns:
        ``q, scale`` with ``matrix ~ q * scale[:, None]``, off by at most half a scale.
    """
    peak = np.abs(matrix).max(axis=1)
    scale = np.where(peak > 0, peak / 127.0, 1.0).astype(np.float32)
    return np.rint(matrix / scale[:, None]).astype(np.int8), scale


class _Builder:
    """Collects nodes and initializers of one graph."""

    def __init__(self, weights: Weights, config: DecoderConfig, storage: Storage) -> None:
        self._weights = weights
        self._config = config
        self._storage = storage
        self._graph = GraphWriter()

    def model(self) -> Any:
        self._body()
        config = self._config
        interface = Interface(
            n_layers=config.n_layers,
            n_kv_heads=config.n_kv_heads,
            head_dim=config.head_dim,
            n_vocab=config.n_vocab,
        )
        return interface.model(self._graph, opset=_OPSET, ir_version=_IR_VERSION)

    # Parts of the decoder, in the order of the data.

    def _body(self) -> None:
        add_lengths(self._graph)
        self._rotary()
        stream = self._embed()
        for layer in range(self._config.n_layers):
            stream = self._block(layer, stream)
        self._head(stream)

    def _rotary(self) -> None:
        """Tables ``(window + 1, head_dim / 2)``, computed once when the runtime folds constants.

        The last row serves no text: it is the column into which idle rows of a batch write.
        """
        config = self._config
        exponents = np.arange(0, config.head_dim, 2, dtype=np.float32) / config.head_dim
        inverse = (1.0 / config.rope_theta**exponents).astype(np.float32)
        positions = np.arange(config.window + 1, dtype=np.float32)[:, None]
        angles = self._node(
            "Mul",
            [
                self._initializer("rope_positions", positions),
                self._initializer("rope_inverse", inverse[None, :]),
            ],
            "rope_angles",
        )
        self._node("Cos", [angles], "cos_cache")
        self._node("Sin", [angles], "sin_cache")

    def _embed(self) -> str:
        config = self._config
        matrix = self._weight("model.embed_tokens.weight", (config.n_vocab, config.hidden))
        if self._storage == "float32":
            table = self._initializer("embedding", matrix)
            return self._node("Gather", [table, "input_ids"], "embedded")
        stored, scale = quantize_rows(matrix)
        self._initializer("embedding_int8", stored)
        self._initializer("embedding_scale", scale[:, None])
        rows = self._node("Gather", ["embedding_int8", "input_ids"], "embedded_int8")
        rows = self._node("Cast", [rows], "embedded_cast", to=dtype_of(np.float32))
        scales = self._node("Gather", ["embedding_scale", "input_ids"], "embedded_scale")
        return self._node("Mul", [rows, scales], "embedded")

    def _block(self, layer: int, stream: str) -> str:
        prefix = f"model.layers.{layer}"
        normed = self._norm(f"{prefix}.input_layernorm", stream)
        attended = self._attention(layer, normed)
        stream = self._node("Add", [stream, attended], f"{prefix}.after_attention")
        normed = self._norm(f"{prefix}.post_attention_layernorm", stream)
        return self._node("Add", [stream, self._ffn(prefix, normed)], f"{prefix}.output")

    def _attention(self, layer: int, normed: str) -> str:
        config, prefix = self._config, f"model.layers.{layer}.self_attn"
        q_width, kv_width = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        # One product for q, k and v: at batch 1 a decode step is bound by the number of nodes.
        packed = np.concatenate(
            [
                self._weight(f"{prefix}.{name}_proj.weight", (width, config.hidden))
                for name, width in (("q", q_width), ("k", kv_width), ("v", kv_width))
            ]
        )
        qkv = self._linear(f"{prefix}.qkv_proj", packed, normed)
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        lengths = ["seqlens_k", "total", "cos_cache", "sin_cache"]
        attended = self._node(
            "GroupQueryAttention",
            [qkv, "", "", *past, *lengths],
            [f"{prefix}.attended", f"present.{layer}.key", f"present.{layer}.value"],
            domain="com.microsoft",
            num_heads=config.n_heads,
            kv_num_heads=config.n_kv_heads,
            do_rotary=1,
            rotary_interleaved=0,
            scale=float(config.head_dim**-0.5),
        )
        output = self._weight(f"{prefix}.o_proj.weight", (config.hidden, q_width))
        return self._linear(f"{prefix}.o_proj", output, attended)

    def _ffn(self, prefix: str, normed: str) -> str:
        config, mlp = self._config, f"{prefix}.mlp"
        inner = (config.ffn, config.hidden)
        gate = self._linear(
            f"{mlp}.gate_proj", self._weight(f"{mlp}.gate_proj.weight", inner), normed
        )
        up = self._linear(f"{mlp}.up_proj", self._weight(f"{mlp}.up_proj.weight", inner), normed)
        opened = self._node("Sigmoid", [gate], f"{mlp}.sigmoid")
        gated = self._node("Mul", [gate, opened], f"{mlp}.silu")
        product = self._node("Mul", [gated, up], f"{mlp}.product")
        down = self._weight(f"{mlp}.down_proj.weight", (config.hidden, config.ffn))
        return self._linear(f"{mlp}.down_proj", down, product)

    def _head(self, stream: str) -> None:
        normed = self._norm("model.norm", keep_last(self._graph, stream))
        if self._storage == "float32":
            table = "embedding"
        else:
            stored = ["embedding_int8", "embedding_flat_scale"]
            scale = quantize_rows(self._weights["model.embed_tokens.weight"])[1]
            self._initializer(stored[1], scale)
            table = self._node("DequantizeLinear", stored, "embedding", axis=0)
        matrix = self._node("Transpose", [table], "head_matrix", perm=[1, 0])
        self._node("MatMul", [normed, matrix], "logits")

    # Pieces.

    def _norm(self, name: str, stream: str) -> str:
        scale = self._initializer(
            f"{name}.weight", self._weight(f"{name}.weight", (self._config.hidden,))
        )
        return self._node(
            "SimplifiedLayerNormalization",
            [stream, scale],
            f"{name}.normed",
            axis=-1,
            epsilon=self._config.rms_eps,
            stash_type=1,
        )

    def _linear(self, name: str, matrix: NDArray[np.float32], value: str) -> str:
        """Product with a matrix ``(out, in)``, stored transposed as the runtime packs it."""
        if self._storage == "float32":
            right = self._initializer(name, np.ascontiguousarray(matrix.T))
        else:
            stored, scale = quantize_rows(matrix)
            inputs = [
                self._initializer(f"{name}.int8", np.ascontiguousarray(stored.T)),
                self._initializer(f"{name}.scale", scale),
            ]
            right = self._node("DequantizeLinear", inputs, name, axis=1)
        return self._node("MatMul", [value, right], f"{name}.product")

    def _weight(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        found = np.asarray(self._weights[name], dtype=np.float32)
        if found.shape != shape:
            raise ValueError(f"{name} has the wrong shape: {found.shape} ({shape} is allowed)")
        return found

    def _node(
        self, operator: str, inputs: Sequence[str], output: str | Sequence[str], **attributes: Any
    ) -> str:
        return self._graph.node(operator, inputs, output, **attributes)

    def _initializer(self, name: str, value: NDArray[Any]) -> str:
        return self._graph.constant(name, value, value.dtype)
