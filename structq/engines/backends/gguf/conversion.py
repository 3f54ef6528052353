"""Turns a GGUF file into a folder that `backends.onnx.runtime` opens, once, and keeps it.

A folder is named by the content of the file and the version of the converter. It is written under
another name beside its place and renamed when it is whole: two processes may convert the same file
at once, and one that is killed leaves nothing that could be taken for a model.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from structq.engines.backends.gguf.blocks import read_floats
from structq.engines.backends.gguf.graph import write_graphs
from structq.engines.backends.gguf.header import GgufFile
from structq.engines.backends.gguf.shape import Shape, read_shape
from structq.engines.backends.gguf.tensors import ROPE_FACTORS, Weights
from structq.engines.backends.gguf.tokenizer import Tokens, build_tokenizer, read_tokens
from structq.engines.backends.gguf.values import Values
from structq.engines.backends.onnx.runtime import FACTS, GRAPHS
from structq.engines.chat import ChatFormat
from structq.engines.chat_template import renderer
from structq.engines.model_files import digest
from structq.engines.store import data_home
from structq.errors import InputError

__all__ = ["FORMAT", "convert"]

FORMAT = 2
"""Version of the converter: a folder of another one is not opened."""

_DATA = "model.data"


def convert(path: Path, *, progress: Callable[[str], None] | None = None) -> Path:
    """The folder of a converted GGUF file; made where there is none yet.

    Args:
        path: The file.
        progress: Told in a few words what is being done; not called where nothing is.

    Raises:
        InputError: It is no GGUF file, or no LM that structq can run.
        OSError: The folder cannot be written.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such file: {str(path)!r}", field="lm")
    mark = digest(path).hex()
    folder = data_home() / "converted" / f"{mark[:32]}-{FORMAT}"
    if folder.is_dir():
        return folder
    file = GgufFile(path)
    if progress is not None:
        progress(f"converting {path.name}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(file, work, mark)
        _place(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _place(work: Path, folder: Path) -> None:
    try:
        work.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was quicker, and its folder is as good
            raise


def _write(file: GgufFile, folder: Path, mark: str) -> None:
    tokens = read_tokens(file.values)
    tokenizer = build_tokenizer(tokens, file.values)
    values = Values(file.values)
    factors = read_floats(file, ROPE_FACTORS) if ROPE_FACTORS in file.tensors else None
    shape = read_shape(values, len(tokens.texts), factors)
    weights = Weights(file, shape)
    facts = _facts(file, shape, tokens, mark)
    # A template that cannot be used shows now, and not when the folder is there.
    ChatFormat(tokenizer, renderer(facts["chat_template"], tokens.special, start=facts["start"]))
    import onnx

    with (folder / _DATA).open("wb") as data:
        graphs = write_graphs(weights, shape, data, _DATA)
    for activations, graph in graphs.items():
        onnx.save(graph, str(folder / GRAPHS[activations]))
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / FACTS).write_text(json.dumps(facts, indent=2), encoding="utf-8")


def _facts(file: GgufFile, shape: Shape, tokens: Tokens, mark: str) -> dict[str, Any]:
    template = file.values.get("tokenizer.chat_template")
    if not isinstance(template, str) or not template.strip():
        raise InputError(
            f"{file.path.name!r} has no chat template (tokenizer.chat_template): take the LM's "
            "chat version",
            field="lm",
        )
    return {
        "format": FORMAT,
        "n_layers": shape.n_layers,
        "n_kv_heads": shape.n_kv_heads,
        "head_dim": shape.head_dim,
        "window": shape.window,
        "weights": hashlib.sha256(f"{mark} {FORMAT}".encode()).hexdigest()[:12],
        "form": "text",
        "step_rows": 2,
        "pass_tokens": 512,
        "eos_token_id": tokens.eos_token_id,
        "tokens": dict(tokens.special),
        "start": tokens.special["bos_token"] if tokens.starts_with_bos else "",
        "chat_template": template,
        "source": {"file": file.path.name, "sha256": mark},
    }
