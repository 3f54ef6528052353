"""GGUF files of random weights, one for each architecture that structq runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import quantize
from tokenizers import Tokenizer

from structq.engines.chat_template import chat_template
from tests.tiny_lm import CHAT, SPECIALS, tiny_tokenizer

HIDDEN, HEADS, KV_HEADS, FFN = 64, 4, 2, 96
WINDOW = 4096


def n_layers_of(architecture: str) -> int:
    return 7 if architecture == "gemma3" else 2  # so that the sixth sees everything


def head_dim_of(architecture: str) -> int:
    return 16 if architecture == "qwen2" else 32  # llama.cpp has no free choice for qwen2


Add = Callable[[gguf.GGUFWriter], None]


def write_tiny_gguf(
    path: Path,
    architecture: str,
    *,
    kind: str = "F32",
    embedding: str | None = None,
    biases: bool = False,
    head: bool = False,
    rope_factors: bool = False,
    seed: int = 0,
    add: Add | None = None,
    tensors: Mapping[str, Any] | None = None,
    tokenizer: Callable[[gguf.GGUFWriter], list[str]] | None = None,
) -> Path:
    """Writes a random LM; matrices in the number format ``kind``, vectors in float32.

    ``add`` may add metadata, and ``tensors`` adds or replaces tensors (``None`` leaves one out).
    """
    writer = gguf.GGUFWriter(str(path), architecture)
    n_layers, head_dim = n_layers_of(architecture), head_dim_of(architecture)
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(n_layers)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(50000.0)
    if architecture == "llama":
        writer.add_rope_dimension_count(head_dim)
    if architecture == "gemma3":
        writer.add_sliding_window(48)
    if add is not None:
        add(writer)
    tokens = (tokenizer or add_byte_tokens)(writer)
    found = weights(architecture, tokens, biases=biases, head=head, seed=seed)
    if rope_factors:
        found["rope_freqs.weight"] = np.geomspace(1, 8, head_dim // 2).astype(np.float32)
    for name, value in {**found, **(tensors or {})}.items():
        if value is None:
            continue
        wanted = (embedding or kind) if name == "token_embd.weight" else kind
        number = gguf.GGMLQuantizationType[wanted if value.ndim == 2 else "F32"]
        writer.add_tensor(name, quantize(value, number), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def weights(
    architecture: str, tokens: Sequence[str], *, biases: bool, head: bool, seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)

    def draw(*shape: int, gain: float = 1.0) -> Any:
        return (gain * rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    n_vocab, head_dim = len(tokens), head_dim_of(architecture)
    q_width, kv_width = HEADS * head_dim, KV_HEADS * head_dim
    found = {
        "token_embd.weight": draw(n_vocab, HIDDEN, gain=4.0),
        "output_norm.weight": 1 + draw(HIDDEN),
    }
    if head:
        found["output.weight"] = draw(n_vocab, HIDDEN, gain=4.0)
    # No answer ends, or holds half of a character, which the server would keep back.
    silent = [
        place
        for place, token in enumerate(tokens)
        if token == "<|end|>" or (len(token) == 1 and ord(token) > 126)
    ]
    for name in ("token_embd.weight", "output.weight"):
        if name in found:
            found[name][silent] = 0
    shapes = {
        "attn_q": (q_width, HIDDEN),
        "attn_k": (kv_width, HIDDEN),
        "attn_v": (kv_width, HIDDEN),
        "attn_output": (HIDDEN, q_width),
        "ffn_gate": (FFN, HIDDEN),
        "ffn_up": (FFN, HIDDEN),
        "ffn_down": (HIDDEN, FFN),
    }
    norms = {"attn_norm": HIDDEN, "ffn_norm": HIDDEN}
    if architecture == "gemma3":
        norms |= {"post_attention_norm": HIDDEN, "post_ffw_norm": HIDDEN}
    if architecture in ("gemma3", "qwen3"):
        norms |= {"attn_q_norm": head_dim, "attn_k_norm": head_dim}
    for layer in range(n_layers_of(architecture)):
        found |= {f"blk.{layer}.{name}.weight": draw(*sizes) for name, sizes in shapes.items()}
        found |= {f"blk.{layer}.{name}.weight": 1 + draw(size) for name, size in norms.items()}
        if biases or architecture == "qwen2":
            found |= {
                f"blk.{layer}.{name}.bias": draw(shapes[name][0], gain=4.0)
                for name in ("attn_q", "attn_k", "attn_v")
            }
    return found


def add_byte_tokens(writer: gguf.GGUFWriter, pre: str = "smollm", n_vocab: int = 384) -> list[str]:
    """Merges of bytes, as the tiny LM of the other tests has them."""
    tokenizer = json.loads(tiny_tokenizer(n_vocab).to_str())
    ids = tokenizer["model"]["vocab"]
    tokens = sorted(ids, key=lambda token: int(ids[token]))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in SPECIALS else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    _add_ends(writer, ids)
    return tokens


def add_scored_tokens(
    writer: gguf.GGUFWriter, corpus: tuple[str, ...], n_vocab: int = 600, prefix: bool = True
) -> list[str]:
    """SentencePiece's tokens: pieces with scores, and the bytes."""
    from tokenizers import models, normalizers, trainers

    learned = Tokenizer(models.BPE())
    learned.normalizer = normalizers.Sequence(
        [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    )
    learned.train_from_iterator(
        corpus * 4, trainers.BpeTrainer(vocab_size=n_vocab, show_progress=False)
    )
    model = json.loads(learned.to_str())["model"]
    joined = [left + right for left, right in model["merges"]]
    pieces = list(dict.fromkeys(joined))
    letters = [text for text in model["vocab"] if text not in set(pieces)]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    tokens = ["<unk>", *SPECIALS, *bytes_, *pieces, *letters]
    kinds = [2, *[3] * len(SPECIALS), *[6] * 256, *[1] * (len(pieces) + len(letters))]
    first = 1 + len(SPECIALS) + 256
    scores = [0.0] * first + [-float(rank) for rank in range(len(pieces) + len(letters))]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_scores(scores)
    writer.add_unk_token_id(0)
    writer.add_add_space_prefix(prefix)
    _add_ends(writer, {token: place for place, token in enumerate(tokens)})
    return tokens


def _add_ends(writer: gguf.GGUFWriter, ids: Mapping[str, int]) -> None:
    writer.add_bos_token_id(ids["<|pad|>"])
    writer.add_eos_token_id(ids["<|end|>"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(chat_template(CHAT))
