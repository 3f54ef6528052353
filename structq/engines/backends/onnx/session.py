"""Opens graphs on onnxruntime, the same way for all of them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from structq.errors import InputError

__all__ = ["PASS_TOKENS", "open_session", "passes", "untouched"]

PASS_TOKENS = 128
"""Tokens of a pass. Attention scores, and the logits of a graph that cannot leave any out, take
memory in proportion to it; the time of a long prompt is least near 128 (of 64 to 2,048)."""


def passes(n_tokens: int, most: int = PASS_TOKENS) -> Iterator[tuple[int, int]]:
    """Where the passes over so many tokens, each of ``most`` at most, begin and end.

    Attention works through the tokens of a pass in blocks of a multiple of eight, and a block with
    one token is summed in another order than all others. So no pass has one token more than that,
    and the bits of a text do not depend on where its passes begin; but for a lone token.
    """
    first = 0
    while first < n_tokens:
        size = min(most, n_tokens - first)
        if size > 1 and (size % 8 == 1 or first + size + 1 == n_tokens):
            size -= 2 if size % 8 == 1 else 1
        yield first, first + size
        first += size


def untouched(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Zeros of which only what is written takes memory.

    ``numpy.zeros`` asks for huge pages: the first token of a row, which writes a little in each
    layer and head, would take two megabytes at each of these places.
    """
    memory = mmap.mmap(-1, 4 * prod(shape))
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.float32).reshape(shape)


def open_session(
    path: Path, n_threads: int | None, graph: bytes | None = None
) -> ort.InferenceSession:
    """A session on the CPU; ``n_threads`` as in `backends.onnx.runtime.OnnxRuntime`.

    Args:
        path: The file of the graph; its numbers are there, or beside it.
        n_threads: Threads of one pass.
        graph: In place of what the file says.

    Raises:
        InputError: The file is no graph that onnxruntime can run, or there are no threads.
    """
    if n_threads is not None and n_threads < 1:
        raise InputError(f"n_threads must be 1 or more: found {n_threads}", field="n_threads")
    options = ort.SessionOptions()
    options.intra_op_num_threads = n_threads or min(2, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # shapes differ from pass to pass
    options.log_severity_level = 3
    # Stored int8 weights become float32 once, at load. Otherwise the runtime would round the
    # activations too, with one scale for the whole batch.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    # An idle pool must not burn the cores that callers need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    beside = "session.model_external_initializers_file_folder_path"
    options.add_session_config_entry(beside, str(path.parent))
    try:
        return ort.InferenceSession(graph or str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base for its errors
        raise InputError(
            f"{path} is not a graph that onnxruntime can run: {error}", field="lm"
        ) from error
