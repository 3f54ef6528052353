"""Collects the nodes and numbers of an ONNX graph; knows nothing of decoders.

Large numbers go into a file beside the graph, from which the runtime maps them: they take no memory
until they are read, and one range of the file may serve several names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["GraphWriter", "dtype_of", "value_info"]

_ALIGNMENT = 64


class GraphWriter:
    """The parts of one graph, in the order in which they were added.

    Args:
        data: Where large numbers go, a new file; without one they stay in the graph.
        location: The name of that file, as the graph says it.
    """

    def __init__(self, data: BinaryIO | None = None, location: str = "") -> None:
        self._data, self._location = data, location
        self._nodes: list[Any] = []
        self._outputs: set[str] = set()
        self._initializers: dict[str, Any] = {}

    def node(
        self, operator: str, inputs: Sequence[str], output: str | Sequence[str], **attributes: Any
    ) -> str:
        """Adds a node; the name of its first output."""
        from onnx import helper

        outputs = [output] if isinstance(output, str) else list(output)
        self._outputs.update(outputs)
        self._nodes.append(helper.make_node(operator, list(inputs), outputs, **attributes))
        return outputs[0]

    def once(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """As `node`, unless there is one with that output already."""
        if output not in self._outputs:
            self.node(operator, inputs, output, **attributes)
        return output

    def constant(self, name: str, value: Any, kind: Any = np.int64) -> str:
        """Adds small numbers, which stay in the graph, unless the name is taken; the name."""
        from onnx import numpy_helper

        if name not in self._initializers:
            array = np.asarray(value, dtype=kind)
            self._initializers[name] = numpy_helper.from_array(array, name)
        return name

    def stored(self, name: str, value: NDArray[Any]) -> str:
        """Adds numbers that go into the file, unless the name is taken; the name."""
        if self._data is None:
            return self.constant(name, value, value.dtype)
        if name in self._initializers:
            return name
        self._data.write(bytes(-self._data.tell() % _ALIGNMENT))
        offset = self._data.tell()
        np.ascontiguousarray(value).tofile(self._data)
        self._initializers[name] = self._outside(name, value.dtype, value.shape, offset)
        return name

    def alias(self, name: str, known: str, shape: Sequence[int]) -> str:
        """Another name and shape for stored numbers; the name."""
        from onnx import TensorProto

        tensor = TensorProto()
        tensor.CopyFrom(self._initializers[known])
        tensor.name = name
        tensor.dims[:] = shape
        self._initializers[name] = tensor
        return name

    def begin_again(self) -> None:
        """Forgets the nodes: another graph over the same numbers follows."""
        self._nodes, self._outputs = [], set()

    def model(
        self, inputs: Sequence[Any], outputs: Sequence[Any], *, opset: int, ir_version: int
    ) -> Any:
        """The ``onnx.ModelProto`` of all that was added."""
        from onnx import helper

        used = {name for node in self._nodes for name in node.input}
        numbers = [value for name, value in self._initializers.items() if name in used]
        graph = helper.make_graph(self._nodes, "decoder", inputs, outputs, numbers)
        opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="structq")
        model.ir_version = ir_version
        return model

    def _outside(self, name: str, kind: Any, shape: Sequence[int], offset: int) -> Any:
        from onnx import TensorProto

        n_bytes = int(np.prod(shape)) * np.dtype(kind).itemsize
        tensor = TensorProto(name=name, data_type=dtype_of(kind), dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", self._location), ("offset", offset), ("length", n_bytes)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def dtype_of(kind: Any) -> int:
    """ONNX's number of a numpy type."""
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(kind)))


def value_info(name: str, kind: Any, shape: Sequence[str | int]) -> Any:
    """An input or output of a graph; axes with names may have any length."""
    from onnx import helper

    return helper.make_tensor_value_info(name, dtype_of(kind), list(shape))
