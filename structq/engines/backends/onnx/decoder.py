"""What structq's decoder graphs have in common: names, shapes, lengths; knows no architecture.

Inputs and outputs are those of the hub's exports (``input_ids``, ``attention_mask``,
``past_key_values.{i}.key``, ``present.{i}.key``, ...) plus ``num_logits_to_keep``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from structq.engines.backends.onnx.writer import GraphWriter, dtype_of, value_info

__all__ = ["Interface", "add_lengths", "keep_last"]

_INT64_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True)
class Interface:
    """What a runtime sees of a decoder."""

    n_layers: int
    """Decoder blocks."""
    n_kv_heads: int
    """Key and value heads of a block."""
    head_dim: int
    """Width of one head."""
    n_vocab: int
    """Width of the logits."""

    def model(self, graph: GraphWriter, *, opset: int, ir_version: int) -> Any:
        """The ``onnx.ModelProto`` of a graph with these inputs and outputs."""
        inputs = [
            value_info("input_ids", np.int64, ["B", "S"]),
            value_info("attention_mask", np.int64, ["B", "T"]),
            value_info("num_logits_to_keep", np.int64, []),
            *self._caches("past_key_values", "P"),
        ]
        logits = value_info("logits", np.float32, ["B", "N", self.n_vocab])
        outputs = [logits, *self._caches("present", "Q")]
        return graph.model(inputs, outputs, opset=opset, ir_version=ir_version)

    def _caches(self, name: str, columns: str) -> Iterator[Any]:
        sizes: list[str | int] = ["B", self.n_kv_heads, columns, self.head_dim]
        for layer in range(self.n_layers):
            for part in ("key", "value"):
                yield value_info(f"{name}.{layer}.{part}", np.float32, sizes)


def add_lengths(graph: GraphWriter) -> None:
    """Adds ``seqlens_k``, positions of each row less one, and ``total``, columns of the mask."""
    axis, one = graph.constant("one_axis", [1]), graph.constant("one", 1)
    counted = graph.node("ReduceSum", ["attention_mask", axis], "row_lengths", keepdims=0)
    last = graph.node("Sub", [counted, one], "row_last")
    graph.node("Cast", [last], "seqlens_k", to=dtype_of(np.int32))
    shape = graph.node("Shape", ["attention_mask"], "mask_shape")
    columns = graph.node("Gather", [shape, one], "mask_columns", axis=0)
    graph.node("Cast", [columns], "total", to=dtype_of(np.int32))


def keep_last(graph: GraphWriter, stream: str) -> str:
    """The last ``num_logits_to_keep`` positions of a stream (0 keeps all, as on the hub)."""
    axis = graph.constant("one_axis", [1])
    start = graph.node("Neg", ["num_logits_to_keep"], "head_start")
    start = graph.node("Reshape", [start, axis], "head_starts")
    end = graph.constant("far_end", [_INT64_MAX])
    return graph.node("Slice", [stream, start, end, axis], "head_kept")
