r"""Writes a Llama-shaped decoder and its tokenizer as one GGUF file, for llama.cpp and Ollama.

**Rotary.** Hugging Face checkpoints turn the first half of a head against the second; llama.cpp's
``llama`` architecture turns neighbours. So the rows of the query and key projections are put in
another order, head by head; the products of queries and keys do not change.

**Tokens.** GGUF names a pre-tokenizer and cannot carry one. The nearest to nano's is ``smollm``:
GPT-2's with digits apart. Runs of newlines and spaces are cut in other places, but nano has no
merge across these places, so the tokens are the same. They differ where a text holds a backslash:
nano keeps the escapes of a JSON string (``\n``, ``\"``) whole, ``smollm`` does not. A prompt with
backslashes is therefore read in other tokens, and answered a little differently, than by
structq's own engine; answers are generated token by token and are not affected.

**Markers.** llama.cpp reads ``<|end|>`` in a *row's* text as the marker itself, which structq's own
engine never does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from structq.engines.chat_template import chat_template
from structq.errors import InputError
from training.graph import DecoderConfig

__all__ = ["PRE_TOKENIZER", "write_gguf"]

PRE_TOKENIZER = "smollm"
"""llama.cpp's name of the pre-tokenizer nearest to nano's."""

Numbers = Literal["f32", "f16"]

_TENSORS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(
    weights: Mapping[str, NDArray[np.float32]],
    config: DecoderConfig,
    tokenizer_json: str | Path,
    path: str | Path,
    *,
    chat: Mapping[str, str],
    numbers: Numbers = "f32",
) -> None:
    """Writes ``weights`` and the tokenizer as one GGUF file.

    Args:
        weights: Named and shaped as in a Hugging Face Llama checkpoint with a tied head.
        config: The shape.
        tokenizer_json: A byte-level BPE tokenizer in the ``tokenizers`` format.
        path: File to write; its folder exists.
        chat: Special token of each role, and of ``end`` and ``pad``, as in ``model.json``.
        numbers: How matrices are stored; vectors are always float32.

    Raises:
        InputError: The tokenizer is of another kind.
        KeyError: A weight is missing.
    """
    import gguf

    writer = gguf.GGUFWriter(str(path), "llama")
    _add_shape(writer, config, numbers)
    _add_tokenizer(writer, json.loads(Path(tokenizer_json).read_text(encoding="utf-8")), chat)
    for name, value in _tensors(weights, config):
        stored = np.float16 if numbers == "f16" and value.ndim == 2 else np.float32
        writer.add_tensor(name, np.ascontiguousarray(value, dtype=stored))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: Any, config: DecoderConfig, numbers: Numbers) -> None:
    import gguf

    writer.add_name("nano")
    writer.add_file_type(
        gguf.LlamaFileType.MOSTLY_F16 if numbers == "f16" else gguf.LlamaFileType.ALL_F32
    )
    writer.add_context_length(config.window)
    writer.add_embedding_length(config.hidden)
    writer.add_block_count(config.n_layers)
    writer.add_feed_forward_length(config.ffn)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_eps)
    writer.add_vocab_size(config.n_vocab)


def _add_tokenizer(writer: Any, tokenizer: Mapping[str, Any], chat: Mapping[str, str]) -> None:
    import gguf

    model = tokenizer["model"]
    if model["type"] != "BPE":
        raise InputError(f"a {model['type']} tokenizer cannot be written: only BPE can")
    ids = {**model["vocab"], **{t["content"]: t["id"] for t in tokenizer["added_tokens"]}}
    tokens = sorted(ids, key=lambda token: int(ids[token]))
    special = {token["content"] for token in tokenizer["added_tokens"] if token["special"]}
    kinds = [
        gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens
    ]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE_TOKENIZER)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    )
    writer.add_eos_token_id(ids[chat["end"]])
    writer.add_eot_token_id(ids[chat["end"]])
    writer.add_pad_token_id(ids[chat["pad"]])
    # Without one of its own llama.cpp takes token 11, whatever that is.
    writer.add_bos_token_id(ids[chat["pad"]])
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    writer.add_chat_template(chat_template(chat))


def _tensors(
    weights: Mapping[str, NDArray[np.float32]], config: DecoderConfig
) -> list[tuple[str, NDArray[np.float32]]]:
    """Names of llama.cpp with their values; a tied head is the embedding, and is not repeated."""
    found = [
        ("token_embd.weight", weights["model.embed_tokens.weight"]),
        ("output_norm.weight", weights["model.norm.weight"]),
    ]
    heads = {"self_attn.q_proj": config.n_heads, "self_attn.k_proj": config.n_kv_heads}
    for layer in range(config.n_layers):
        for theirs, ours in _TENSORS.items():
            value = weights[f"model.layers.{layer}.{theirs}.weight"]
            if theirs in heads:
                value = _interleaved(value, heads[theirs])
            found.append((f"blk.{layer}.{ours}.weight", value))
    return found


def _interleaved(matrix: NDArray[np.float32], n_heads: int) -> NDArray[np.float32]:
    """Rows of each head in the order 0, d/2, 1, d/2 + 1, ...: partners become neighbours."""
    rows, columns = matrix.shape
    halves = matrix.reshape(n_heads, 2, rows // n_heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)
