"""From trained weights to the files that the package ships."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np

from structq.engines.chat_template import chat_template
from training.graph import DecoderConfig, Storage, write_onnx

__all__ = ["write_package"]

_CHAT = {
    "system": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "end": "<|end|>",
    "pad": "<|pad|>",
}


def write_package(trained: Path, directory: Path, *, storage: Storage = "int8") -> None:
    """Write ``model.onnx``, ``model.json`` and ``tokenizer.json`` from a training directory."""
    config = DecoderConfig(**json.loads((trained / "config.json").read_text("utf8")))
    weights = dict(np.load(trained / "weights.npz"))
    write_onnx(weights, config, directory / "model.onnx", storage=storage)
    if trained.resolve() != directory.resolve():
        shutil.copyfile(trained / "tokenizer.json", directory / "tokenizer.json")
    digest = hashlib.sha256((directory / "model.onnx").read_bytes()).hexdigest()
    card = {
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "n_kv_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "n_vocab": config.n_vocab,
        "window": config.window,
        "chat": _CHAT,
        "chat_template": chat_template(_CHAT),
        "form": "compact",
        "sha256": digest,
    }
    (directory / "model.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf8")
