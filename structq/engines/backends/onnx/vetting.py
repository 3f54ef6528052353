"""Holds a foreign ONNX graph against its own words, and tries it out where a crash harms nobody.

A graph is input: onnxruntime's C++ reads it, and what that does with a file that contradicts itself
is not in our hands. So every tensor's shape, type, size and place is checked first, and the numbers
of operators by which sizes are divided. No check knows all operators: what passes is opened and run
once in a process of its own, with limits of time and memory. That takes a second or two, and is
remembered by the content of the files and the version of onnxruntime.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

from structq.engines.model_files import fingerprint
from structq.engines.store import data_home
from structq.errors import InputError, shorten

__all__ = ["check_graph", "try_out"]

_MOST_BYTES = 2**31 - 1  # what protobuf reads
_MOST_NUMBERS = 2**40
_DIVISORS = frozenset({
    "num_heads", "kv_num_heads", "block_size", "bits", "K", "N", "group", "blocksize",
    "strides", "dilations", "kernel_shape", "num_outputs", "to",
})  # fmt: skip
"""Attributes of operators that are never nought or less."""
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
_BASE_S, _BYTES_A_SECOND = 30, 5_000_000
_MEMORY = 8 << 30


def check_graph(path: Path) -> list[Path]:
    """The files that hold the numbers of a graph, itself among them, once all is checked.

    Raises:
        InputError: It is no ONNX graph, or contradicts itself.
    """
    import onnx

    n_bytes = path.stat().st_size
    if not 0 < n_bytes <= _MOST_BYTES:
        raise _fault(path, f"it has {n_bytes} bytes (1 to {_MOST_BYTES} are allowed)")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # of protobuf
        raise _fault(path, f"it is no protobuf message: {error}") from error
    files = {path}
    if not model.graph.node:
        raise _fault(path, "it has no operators")
    for graph in _graphs(model.graph):
        if graph.sparse_initializer:
            raise _fault(path, "it has sparse tensors, which no decoder needs")
        for tensor in graph.initializer:
            files.update(_check_tensor(path, tensor))
        for node in graph.node:
            _check_node(path, node)
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    files.update(_check_tensor(path, attribute.t))
    return sorted(files)


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those inside its operators."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.HasField("g") else ())):
                yield from _graphs(inner)


def _check_node(path: Path, node: Any) -> None:
    found = {attribute.name: attribute for attribute in node.attribute}
    for name in _DIVISORS & found.keys():
        attribute = found[name]
        values = list(attribute.ints) or ([attribute.i] if attribute.type == 2 else [])
        if any(value < 1 or value > 2**31 - 1 for value in values):
            raise _fault(path, f"{node.op_type} has {name} = {values} (1 or more is allowed)")
    heads = [found[name].i for name in ("num_heads", "kv_num_heads") if name in found]
    if len(heads) == 2 and heads[0] % heads[1]:
        raise _fault(path, f"{node.op_type} has {heads[0]} heads and {heads[1]} of keys")


def _check_tensor(path: Path, tensor: Any) -> list[Path]:
    """The file of its numbers, where it is another one."""
    from onnx import TensorProto, helper

    name, dims = shorten(tensor.name), list(tensor.dims)
    if min(dims, default=1) < 0 or prod(dims) > _MOST_NUMBERS or (len(dims) > 1 and 0 in dims):
        raise _fault(path, f"the tensor {name} has the shape {dims}")
    if tensor.data_type == TensorProto.STRING:
        n_wanted = None
    else:
        try:
            kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
        except (KeyError, TypeError, ValueError):
            raise _fault(path, f"the tensor {name} has the type {tensor.data_type}") from None
        four_bits = tensor.data_type in (TensorProto.UINT4, TensorProto.INT4)
        n_wanted = (prod(dims) + 1) // 2 if four_bits else prod(dims) * kind.itemsize
    if tensor.data_location == TensorProto.EXTERNAL:
        return [_check_outside(path, name, tensor, n_wanted)]
    if tensor.HasField("raw_data") and len(tensor.raw_data) != n_wanted:
        raise _fault(path, f"the tensor {name} has {len(tensor.raw_data)} bytes, not {n_wanted}")
    if not tensor.HasField("raw_data") and prod(dims):
        found = max(len(getattr(tensor, field)) for field in _FIELDS)
        if found not in (prod(dims), (prod(dims) + 1) // 2, 2 * prod(dims)):
            raise _fault(path, f"the tensor {name} has {found} numbers, not {prod(dims)}")
    return []


def _check_outside(path: Path, name: str, tensor: Any, n_wanted: int | None) -> Path:
    told = {entry.key: entry.value for entry in tensor.external_data}
    place = Path(told.get("location", ""))
    if not place.parts or place.is_absolute() or ".." in place.parts:
        raise _fault(path, f"the tensor {name} lies outside its folder: {str(place)!r}")
    file = path.parent / place
    allowed = [path.parent.resolve()]
    if "snapshots" in path.parts:  # the hub's cache: the files are links to its blobs
        allowed.append(Path(*path.parts[: path.parts.index("snapshots")]).resolve() / "blobs")
    if not file.is_file() or not any(file.resolve().is_relative_to(root) for root in allowed):
        raise _fault(path, f"the tensor {name} needs a file that is not there: {str(place)!r}")
    try:
        offset = int(told.get("offset", 0))
        length = int(told.get("length", n_wanted or 0))
    except ValueError:
        offset = length = -1
    if offset < 0 or length != n_wanted or offset + length > file.stat().st_size:
        raise _fault(
            path, f"the tensor {name} is not in {str(place)!r}: {length} bytes at {offset}"
        )
    return file


def try_out(files: Sequence[Path], runtime: str, folder: Path, options: Mapping[str, Any]) -> None:
    """Opens and runs an LM once in a process of its own, unless the same files have passed before.

    Args:
        files: All that it is made of.
        runtime: Where its runtime is: ``module:class``.
        folder: For the runtime.
        options: For the runtime.

    Raises:
        InputError: It was refused there, or the process ended otherwise or not at all.
    """
    import onnxruntime

    facts = json.dumps([runtime, onnxruntime.__version__, sorted(options.items())])
    mark = hashlib.sha256(f"{fingerprint(files)} {facts}".encode()).hexdigest()[:32]
    seen = data_home() / "tried" / mark
    if seen.exists() or getattr(sys, "frozen", False):  # a frozen program has no python to start
        return
    n_bytes = sum(file.stat().st_size for file in files)
    given = json.dumps([runtime, str(folder), {**options, "n_slots": 2}, n_bytes])
    command = [sys.executable, "-c", f"from {__name__} import _try; _try()", given]
    limit_s = _BASE_S + n_bytes / _BYTES_A_SECOND
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=limit_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise _fault(folder, f"a first pass did not end in {limit_s:.0f} s") from None
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode:
        end = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        why = said or f"its process ended with {done.returncode}: {shorten(end, 200)}"
        raise InputError(why, field="lm") if said else _fault(folder, why)
    with suppress(OSError):  # then it is tried again next time
        seen.parent.mkdir(parents=True, exist_ok=True)
        seen.touch()


def _try() -> None:
    """What the other process does."""
    from importlib import import_module

    runtime, folder, options, n_bytes = json.loads(sys.argv[1])
    module, _, name = runtime.partition(":")
    make = getattr(import_module(module), name)
    _limit_memory(4 * n_bytes + _MEMORY)
    try:
        lm = make(Path(folder), **options)
        for slot in (0, 1):
            lm.extend(slot, lm.encode([("user", "One, two, three.")])[-64:], 1)
        lm.step([0, 1], [0, 1])
        lm.step([0], [0])
    except InputError as error:
        sys.exit(_said(str(error)))
    except Exception as error:  # onnxruntime has no common base for its errors
        reason = shorten(str(error), 200)
        sys.exit(_said(str(_fault(Path(folder), f"a first pass failed: {reason}"))))


def _said(text: str) -> int:
    print(text)
    return 1


def _limit_memory(n_bytes: int) -> None:
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


def _fault(path: Path, reason: str) -> InputError:
    return InputError(
        f"{str(path)!r} is not a graph that onnxruntime can run: {reason}", field="lm"
    )
