"""``python -m training.export --format hf DIR``: nano in the forms that other programs read.

* ``hf``: a Hugging Face Llama checkpoint, for transformers, vLLM and SGLang;
* ``gguf``: one file for llama.cpp and Ollama;
* ``onnx-fp32``: a folder like the shipped one, with float32 weights.

All of them hold the numbers that the shipped int8 weights stand for.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structq
from structq.engines.chat_template import chat_template
from structq.errors import InputError
from training.gguf import write_gguf
from training.graph import write_onnx
from training.weights import Checkpoint, read_checkpoint

__all__ = ["FORMATS", "export", "main"]

FORMATS = ("hf", "gguf", "onnx-fp32")

_NANO = Path(structq.__file__).resolve().parent / "nano"
_LOG = logging.getLogger(__name__)


def export(form: str, directory: str | Path, *, source: str | Path = _NANO) -> Path:
    """Writes an LM in another form.

    Args:
        form: One of `FORMATS`.
        directory: Made where it does not exist; files in it are replaced.
        source: Folder with ``model.onnx``, ``tokenizer.json`` and ``model.json``.

    Returns:
        What to open: the directory, or the file in it for ``gguf``.

    Raises:
        InputError: ``source`` holds no LM of structq's, the form is unknown, or a package that
            writes it is missing.
    """
    if form not in FORMATS:
        raise InputError(f"unknown form: {form!r} ({', '.join(FORMATS)} are allowed)", field="form")
    checkpoint, source, directory = read_checkpoint(source), Path(source), Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if form == "gguf":
        return _write_gguf(checkpoint, source, directory)
    if form == "hf":
        _write_hf(checkpoint, source, directory)
    else:
        _write_onnx(checkpoint, source, directory)
    return directory


def _write_hf(checkpoint: Checkpoint, source: Path, directory: Path) -> None:
    try:
        from safetensors.numpy import save_file
    except ImportError as error:
        raise InputError(
            'a Hugging Face checkpoint needs safetensors: pip install "structq[transformers]"',
            field="form",
        ) from error
    tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    ends = {
        "bos_token_id": None,
        "eos_token_id": ids[checkpoint.chat["end"]],
        "pad_token_id": ids[checkpoint.chat["pad"]],
    }
    save_file(dict(checkpoint.weights), directory / "model.safetensors", metadata={"format": "pt"})
    _write_json(directory / "config.json", {**_llama_config(checkpoint), **ends})
    _write_json(directory / "generation_config.json", {"do_sample": False, **ends})
    _write_json(directory / "tokenizer_config.json", _tokenizer_config(checkpoint))
    shutil.copyfile(source / "tokenizer.json", directory / "tokenizer.json")


def _llama_config(checkpoint: Checkpoint) -> dict[str, Any]:
    config = checkpoint.config
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden,
        "intermediate_size": config.ffn,
        "max_position_embeddings": config.window,
        "mlp_bias": False,
        "num_attention_heads": config.n_heads,
        "num_hidden_layers": config.n_layers,
        "num_key_value_heads": config.n_kv_heads,
        "rms_norm_eps": config.rms_eps,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": config.n_vocab,
    }


def _tokenizer_config(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": chat_template(checkpoint.chat),
        "clean_up_tokenization_spaces": False,
        "eos_token": checkpoint.chat["end"],
        "model_max_length": checkpoint.config.window,
        "pad_token": checkpoint.chat["pad"],
    }


def _write_gguf(checkpoint: Checkpoint, source: Path, directory: Path) -> Path:
    path = directory / "nano.gguf"
    tokenizer = source / "tokenizer.json"
    write_gguf(checkpoint.weights, checkpoint.config, tokenizer, path, chat=checkpoint.chat)
    return path


def _write_onnx(checkpoint: Checkpoint, source: Path, directory: Path) -> None:
    if source.resolve() == directory.resolve():
        raise InputError("the result would replace its source: give another directory")
    write_onnx(checkpoint.weights, checkpoint.config, directory / "model.onnx", storage="float32")
    for name in ("tokenizer.json", "model.json"):
        shutil.copyfile(source / name, directory / name)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Parses the arguments, writes, and says where."""
    parser = argparse.ArgumentParser(
        prog="python -m training.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", metavar="DIR", type=Path)
    parser.add_argument("--format", choices=FORMATS, required=True, dest="form")
    parser.add_argument("--source", type=Path, default=_NANO, help="folder of another such LM")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        _LOG.info("wrote %s", export(given.form, given.directory, source=given.source))
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
