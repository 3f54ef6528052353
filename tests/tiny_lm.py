"""A decoder of random weights with a tokenizer of its own: real parts, built in a second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from training.graph import DecoderConfig, Storage, write_onnx

SPECIALS = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
CHAT = {
    "system": "<|system|>",
    "user": "<|user|>",
    "assistant": "<|assistant|>",
    "end": "<|end|>",
}
CORPUS = (
    '{"evolved_response":"Water boils at 100 degrees because of pressure."}',
    '{"scores":[1,2,3]} {"answer":"yes"} {"ok":true}',
    "Rewrite the response so that it is more helpful to the user, and score each response.",
    "The quick brown fox jumps over the lazy dog; 0123456789 numbers stay single digits.",
)


def tiny_config(n_vocab: int) -> DecoderConfig:
    return DecoderConfig(
        hidden=64,
        n_layers=2,
        n_heads=4,
        n_kv_heads=2,
        head_dim=16,
        ffn=96,
        n_vocab=n_vocab,
        window=1024,
    )


def tiny_tokenizer(n_vocab: int = 384) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[0-9]"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=n_vocab,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 4, trainer)
    return tokenizer


def random_weights(config: DecoderConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)

    def draw(*shape: int, gain: float = 1.0) -> NDArray[np.float32]:
        return (gain * rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    q_width, kv_width = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    # A strong embedding gives peaked logits, so that greedy choices do not hang on rounding.
    weights = {
        "model.embed_tokens.weight": draw(config.n_vocab, config.hidden, gain=4.0),
        "model.norm.weight": 1 + draw(config.hidden),
    }
    for layer in range(config.n_layers):
        prefix = f"model.layers.{layer}"
        weights |= {
            f"{prefix}.self_attn.q_proj.weight": draw(q_width, config.hidden),
            f"{prefix}.self_attn.k_proj.weight": draw(kv_width, config.hidden),
            f"{prefix}.self_attn.v_proj.weight": draw(kv_width, config.hidden),
            f"{prefix}.self_attn.o_proj.weight": draw(config.hidden, q_width),
            f"{prefix}.mlp.gate_proj.weight": draw(config.ffn, config.hidden),
            f"{prefix}.mlp.up_proj.weight": draw(config.ffn, config.hidden),
            f"{prefix}.mlp.down_proj.weight": draw(config.hidden, config.ffn),
            f"{prefix}.input_layernorm.weight": 1 + draw(config.hidden),
            f"{prefix}.post_attention_layernorm.weight": 1 + draw(config.hidden),
        }
    return weights


def write_tiny(folder: Path, *, seed: int = 0, storage: Storage = "int8") -> Path:
    """Writes a loadable folder: model.onnx, tokenizer.json, model.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    config = tiny_config(tokenizer.get_vocab_size())
    write_onnx(random_weights(config, seed), config, folder / "model.onnx", storage=storage)
    tokenizer.save(str(folder / "tokenizer.json"))
    facts = {
        "n_layers": config.n_layers,
        "n_heads": config.n_heads,
        "n_kv_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "window": config.window,
        "chat": CHAT,
    }
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder
