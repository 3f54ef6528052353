"""Takes the head off a decoder's graph, so that it gives its last hidden states.

The head is the product that makes the logits, with whatever casts and scales stand around it. What
goes into it, behind the last norm, is made the graph's ``logits``: nothing else of the graph's form
changes, and the same runtime runs it. A graph is cut only where its own nodes say without doubt
what goes into that product.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from structq.errors import InputError

__all__ = ["without_head"]

_PRODUCTS = frozenset({"MatMul", "FusedMatMul", "MatMulNBits", "Gemm", "DynamicQuantizeMatMul"})
"""Operators whose first input is multiplied by stored numbers."""
_AROUND = frozenset({"Add", "Cast", "Div", "Identity", "Mul", "Reshape", "Tanh"})
"""Operators that may stand between the product and the logits: they mix no two numbers."""
_SHAPING = frozenset({"Cast", "Identity", "ReduceSum", "Reshape"})
"""Operators between the states and the second product of a matrix that is stored as two."""


def without_head(path: Path) -> bytes:
    """The graph with its last hidden states, as 32-bit floats, in the place of its logits.

    Raises:
        InputError: What the logits are made of is not certain.
    """
    import onnx
    from onnx import helper

    model = onnx.load(str(path), load_external_data=False)
    graph = model.graph
    states = _Walk(graph).states()
    if states is None:
        raise InputError(
            f"{path} gives no embeddings: this model's graph does not show its hidden states",
            field="lm",
        )
    for output in graph.output:
        if output.name == "logits":
            output.CopyFrom(helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, None))
    cast = helper.make_node("Cast", [states], ["logits"], to=onnx.TensorProto.FLOAT)
    wanted, kept = {output.name for output in graph.output}, []
    for node in [cast, *(one for one in reversed(graph.node) if "logits" not in one.output)]:
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(_read_by(node))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    return bytes(model.SerializeToString())


class _Walk:
    """The way back from the logits of a graph to what is multiplied."""

    def __init__(self, graph: Any) -> None:
        self._makers = {name: node for node in graph.node for name in node.output}
        self._stored = {tensor.name for tensor in graph.initializer}
        for node in graph.node:
            if self._stored.issuperset(filter(None, _read_by(node))):
                self._stored.update(node.output)

    def states(self) -> str | None:
        """The one tensor that goes into the head; ``None`` where that is not certain."""
        found, left, seen, has_product = set[str](), ["logits"], set[str](), False
        while left:
            name = left.pop()
            if name in seen:
                continue
            seen.add(name)
            node = self._makers.get(name)
            if node is None:
                return None
            computed, kind = self._computed(node), node.op_type
            if kind in _PRODUCTS and computed == [node.input[0]] and not _is_turned(node):
                has_product = True
                found.add(computed[0])
            elif kind == "DynamicQuantizeLinear":
                found.add(node.input[0])
            elif kind == "MatMulInteger" and node.input[1] in self._stored:
                has_product = True
                left += computed
            elif kind in _AROUND:
                left += computed
            else:
                return None
        if len(found) > 1:
            found = {self._shaped_from(name) for name in found}
        states = found.pop() if has_product and len(found) == 1 else ""
        return states if states in self._makers else None

    def _computed(self, node: Any) -> list[str]:
        """The inputs that are not stored."""
        return [name for name in node.input if name and name not in self._stored]

    def _shaped_from(self, name: str) -> str:
        while (node := self._makers.get(name)) is not None and node.op_type in _SHAPING:
            name = node.input[0]
        return name


def _is_turned(node: Any) -> bool:
    """Whether the first of the two matrices is read in another order than it lies in."""
    return any(one.name in ("transA", "transBatchA") and one.i for one in node.attribute)


def _read_by(node: Any) -> Iterator[str]:
    """What a node reads, and what the graphs inside it may read."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())):
            for inner in graph.node:
                yield from _read_by(inner)
