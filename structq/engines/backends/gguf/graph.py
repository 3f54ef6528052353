"""Writes the decoder of a GGUF file as graphs in the form of `backends.onnx.runtime`.

Two graphs over the same stored numbers. In the first one activations are float32 throughout:
matrices of 4 bits are multiplied as they are (``MatMulNBits``); those of 8 bits become float32 when
the graph is opened, since onnxruntime has no kernel for 8 bits that leaves activations alone. In
the second one activations are rounded to 8 bits before each product with stored integers, in blocks
of 32 along a row: a row's numbers are its own in either graph. The embedding is stored once: rows
are looked up in it as it is, and the head of LMs without one is made of the same numbers.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Literal

import numpy as np

from structq.engines.backends.gguf.blocks import Blocks, Matrix
from structq.engines.backends.gguf.shape import Shape
from structq.engines.backends.gguf.tensors import Weights
from structq.engines.backends.onnx.decoder import Interface, add_lengths, keep_last
from structq.engines.backends.onnx.writer import GraphWriter, dtype_of

__all__ = ["Activations", "write_graphs"]

_OPSET, _IR_VERSION = 21, 10  # the first with scales for blocks in DequantizeLinear
_LEVELS = {"float32": 1, "int8": 4}  # of MatMulNBits: how activations may be rounded
_MICROSOFT = "com.microsoft"


Activations = Literal["float32", "int8"]
"""How activations are held in products with stored integers."""


def write_graphs(
    weights: Weights, shape: Shape, data: BinaryIO, location: str
) -> dict[Activations, Any]:
    """The ``onnx.ModelProto`` of a decoder, for each kind of activations.

    Args:
        weights: Its weights.
        shape: Its shape.
        data: A new file, for the numbers.
        location: The name of that file.
    """
    graph, models = GraphWriter(data, location), dict[Activations, Any]()
    interface = Interface(
        n_layers=shape.n_layers,
        n_kv_heads=shape.n_kv_heads,
        head_dim=shape.head_dim,
        n_vocab=shape.n_vocab,
    )
    kinds: tuple[Activations, ...] = ("float32", "int8")
    for kind in kinds:
        graph.begin_again()
        _Decoder(weights, shape, graph, kind).write()
        models[kind] = interface.model(graph, opset=_OPSET, ir_version=_IR_VERSION)
    return models


class _Decoder:
    """Adds the parts of a decoder to a graph, in the order of the data."""

    def __init__(
        self, weights: Weights, shape: Shape, graph: GraphWriter, activations: Activations
    ) -> None:
        self._weights, self._shape, self._graph = weights, shape, graph
        self._activations = activations

    def write(self) -> None:
        add_lengths(self._graph)
        for rope in {rope.name: rope for rope in self._shape.ropes}.values():
            self._rotary(rope.name, rope.inverse, rope.gain)
        stream = self._embed()
        for layer in range(self._shape.n_layers):
            stream = self._block(layer, stream)
        self._head(stream)

    def _rotary(self, name: str, inverse: Any, gain: float) -> None:
        """Tables ``(window + 1, head_dim / 2)``, computed once when the graph is opened.

        The last row serves no text: it is the column into which idle rows of a batch write.
        """
        graph = self._graph
        positions = np.arange(self._shape.window + 1, dtype=np.float32)[:, None]
        known = [
            graph.constant("rope_positions", positions, np.float32),
            graph.constant(f"{name}_inverse", inverse[None], np.float32),
        ]
        angles = graph.node("Mul", known, f"{name}_angles")
        times = graph.constant(f"{name}_gain", gain, np.float32)
        for function in ("Cos", "Sin"):
            wave = graph.node(function, [angles], f"{name}_{function}_1")
            graph.node("Mul", [wave, times], f"{name}_{function}")

    def _embed(self) -> str:
        graph, name = self._graph, "token_embd.weight"
        matrix = self._weights.matrix(name)
        self._store(name, matrix)
        if isinstance(matrix, Blocks):
            rows = self._looked_up(name, matrix)
        else:
            rows = graph.node("Gather", [name, "input_ids"], "embedded")
        if not self._shape.is_gemma:
            return rows
        scale = graph.constant("embedding_gain", self._shape.hidden**0.5, np.float32)
        return graph.node("Mul", [rows, scale], "embedded_scaled")

    def _looked_up(self, name: str, matrix: Blocks) -> str:
        graph, block = self._graph, matrix.block
        rows = graph.node(
            "GatherBlockQuantized",
            [f"{name}.q", "input_ids", f"{name}.scale"],
            "embedded",
            domain=_MICROSOFT,
            bits=matrix.bits,
            block_size=block,
            gather_axis=0,
            quantize_axis=1,
        )
        if matrix.offset is None:
            return rows
        in_blocks = graph.constant("embedded_blocks", [0, 0, -1, block])
        whole = graph.constant("embedded_whole", [0, 0, matrix.n_columns])
        last = graph.constant("last_axis", [3])
        offsets = graph.node("Gather", [f"{name}.offset", "input_ids"], "embedded_offsets")
        offsets = graph.node("Unsqueeze", [offsets, last], "embedded_offsets_4")
        rows = graph.node("Reshape", [rows, in_blocks], "embedded_4")
        rows = graph.node("Add", [rows, offsets], "embedded_total_4")
        return graph.node("Reshape", [rows, whole], "embedded_total")

    def _block(self, layer: int, stream: str) -> str:
        graph, name, gemma = self._graph, f"blk.{layer}", self._shape.is_gemma
        attended = self._attention(layer, self._norm(f"{name}.attn_norm", stream))
        if gemma:
            attended = self._norm(f"{name}.post_attention_norm", attended)
        stream = graph.node("Add", [stream, attended], f"{name}.after_attention")
        inner = self._ffn(name, self._norm(f"{name}.ffn_norm", stream))
        if gemma:
            inner = self._norm(f"{name}.post_ffw_norm", inner)
        return graph.node("Add", [stream, inner], f"{name}.output")

    def _attention(self, layer: int, normed: str) -> str:
        shape, name, rope = self._shape, f"blk.{layer}", self._shape.ropes[layer].name
        q, k, v = (self._linear(f"{name}.attn_{part}", normed) for part in "qkv")
        if f"{name}.attn_q_norm.weight" in self._weights:
            q = self._head_norm(f"{name}.attn_q_norm", q, shape.n_heads)
            k = self._head_norm(f"{name}.attn_k_norm", k, shape.n_kv_heads)
        past = [f"past_key_values.{layer}.{part}" for part in ("key", "value")]
        known = ["seqlens_k", "total", f"{rope}_Cos", f"{rope}_Sin"]
        attended = self._graph.node(
            "GroupQueryAttention",
            [q, k, v, *past, *known],
            [f"{name}.attended", f"present.{layer}.key", f"present.{layer}.value"],
            domain=_MICROSOFT,
            num_heads=shape.n_heads,
            kv_num_heads=shape.n_kv_heads,
            do_rotary=1,
            rotary_interleaved=0,
            local_window_size=shape.local[layer] or -1,
            scale=shape.scale,
        )
        return self._linear(f"{name}.attn_output", attended)

    def _ffn(self, name: str, normed: str) -> str:
        graph = self._graph
        gate, up = (self._linear(f"{name}.ffn_{part}", normed) for part in ("gate", "up"))
        if self._shape.is_gemma:
            opened = graph.node("Gelu", [gate], f"{name}.gelu", approximate="tanh")
        else:
            sigmoid = graph.node("Sigmoid", [gate], f"{name}.sigmoid")
            opened = graph.node("Mul", [gate, sigmoid], f"{name}.silu")
        product = graph.node("Mul", [opened, up], f"{name}.gated")
        return self._linear(f"{name}.ffn_down", product)

    def _head(self, stream: str) -> None:
        normed = self._norm("output_norm", keep_last(self._graph, stream))
        own = "output.weight" in self._weights
        name = "output.weight" if own else "token_embd.weight"
        matrix = self._weights.matrix(name)
        if own:
            self._store(name, matrix)
        self._product(name, matrix, normed, "logits")

    # Pieces.

    def _norm(self, name: str, stream: str) -> str:
        vector = self._weights.vector(f"{name}.weight")
        return self._graph.node(
            "SimplifiedLayerNormalization",
            [stream, self._graph.stored(f"{name}.weight", vector)],
            f"{name}.normed",
            axis=-1,
            epsilon=self._shape.rms_eps,
            stash_type=1,
        )

    def _head_norm(self, name: str, value: str, n_heads: int) -> str:
        graph, head_dim = self._graph, self._shape.head_dim
        apart = graph.constant(f"heads_{n_heads}", [0, 0, n_heads, head_dim])
        joined = graph.constant(f"joined_{n_heads}", [0, 0, n_heads * head_dim])
        heads = graph.node("Reshape", [value, apart], f"{name}.heads")
        return graph.node("Reshape", [self._norm(name, heads), joined], f"{name}.joined")

    def _linear(self, name: str, value: str) -> str:
        """The product with a matrix of a layer, and its bias where there is one."""
        matrix, bias = self._weights.matrix(f"{name}.weight"), f"{name}.bias"
        self._store(f"{name}.weight", matrix)
        product = self._product(f"{name}.weight", matrix, value, f"{name}.product")
        if bias not in self._weights:
            return product
        stored = self._graph.stored(bias, self._weights.vector(bias))
        return self._graph.node("Add", [product, stored], f"{name}.biased")

    def _store(self, name: str, matrix: Matrix) -> None:
        if not isinstance(matrix, Blocks):
            self._graph.stored(name, matrix)
            return
        self._graph.stored(f"{name}.q", matrix.q)
        self._graph.stored(f"{name}.scale", matrix.scale)
        if matrix.offset is not None:
            self._graph.stored(f"{name}.offset", matrix.offset)

    def _product(self, name: str, matrix: Matrix, value: str, output: str) -> str:
        """The product with a stored matrix ``(out, in)``."""
        if isinstance(matrix, Blocks) and (matrix.bits == 4 or self._activations == "int8"):
            return self._product_of_bits(name, matrix, value, output)
        if isinstance(matrix, Blocks):
            zero = self._zero_points(matrix)
            name = self._graph.node(
                "DequantizeLinear",
                [f"{name}.q", f"{name}.scale", zero],
                f"{name}.floats",
                axis=1,
                block_size=matrix.block,
            )
        return self._transposed_product(value, name, output)

    def _zero_points(self, matrix: Blocks) -> str:
        """128 for each block; made when the graph is opened."""
        from onnx import helper

        sizes = matrix.scale.shape
        shape = self._graph.constant(f"blocks_{sizes[0]}_{sizes[1]}", list(sizes))
        value = helper.make_tensor("value", dtype_of(np.uint8), [1], [128])
        return self._graph.once("ConstantOfShape", [shape], f"{shape}_zero", value=value)

    def _product_of_bits(self, name: str, matrix: Blocks, value: str, output: str) -> str:
        graph, block = self._graph, matrix.block
        n_rows, n_columns, n_blocks = len(matrix.q), matrix.n_columns, matrix.scale.shape[1]
        q = graph.alias(f"{name}.q3", f"{name}.q", [n_rows, n_blocks, block * matrix.bits // 8])
        main = graph.node(
            "MatMulNBits",
            [value, q, f"{name}.scale"],
            output if matrix.offset is None else f"{output}.main",
            domain=_MICROSOFT,
            K=n_columns,
            N=n_rows,
            bits=matrix.bits,
            block_size=block,
            accuracy_level=_LEVELS[self._activations],
        )
        if matrix.offset is None:
            return main
        # What a block adds to all its numbers is multiplied by the sum of the block's activations.
        in_blocks = graph.constant(f"blocks_{n_blocks}", [0, 0, n_blocks, block])
        last = graph.constant("last_axis", [3])
        blocks = graph.once("Reshape", [value, in_blocks], f"{value}.blocks_{block}")
        sums = graph.once("ReduceSum", [blocks, last], f"{value}.sums_{block}", keepdims=0)
        rest = self._transposed_product(sums, f"{name}.offset", f"{output}.rest")
        return graph.node("Add", [main, rest], output)

    def _transposed_product(self, value: str, matrix: str, output: str) -> str:
        return self._graph.node("FusedMatMul", [value, matrix], output, domain=_MICROSOFT, transB=1)
