"""The LM of a GGUF file in float32 on transformers: what its numbers say, computed plainly.

Read with the ``gguf`` package's own reader and rules, so that nothing of structq's is in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_MODEL = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gemma3": "gemma3_text"}
_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_norm": "post_attention_layernorm",
    "post_attention_norm": "post_attention_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_WHOLE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def float32_model(path: Path, **changes: Any) -> Any:
    """The model on torch; ``changes`` go to its configuration."""
    import torch
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from transformers import AutoConfig, AutoModelForCausalLM

    reader = GGUFReader(path)
    values = {name: field.contents() for name, field in reader.fields.items()}
    architecture = values["general.architecture"]
    settings = _settings(values, architecture) | changes
    # Mistral's first files are of llama's architecture, with a window.
    kind = "mistral" if settings.get("sliding_window") and architecture == "llama" else None
    settings["tie_word_embeddings"] = all(t.name != "output.weight" for t in reader.tensors)
    config = AutoConfig.for_model(kind or _MODEL[architecture], **settings)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    state = {}
    for tensor in reader.tensors:
        value = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        name, value = _renamed(tensor.name, value, architecture, settings)
        state[name] = torch.from_numpy(np.array(value))
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ValueError(f"tensors do not agree: {unexpected} and {missing}")
    model.tie_weights()
    return model


def _settings(values: dict[str, Any], architecture: str) -> dict[str, Any]:
    def get(name: str, default: Any = None) -> Any:
        return values.get(f"{architecture}.{name}", default)

    n_heads, hidden = get("attention.head_count"), get("embedding_length")
    rope = {"rope_type": "default", "rope_theta": get("rope.freq_base", 10000.0)}
    head_dim = get("attention.key_length", hidden // n_heads)
    settings = {
        "hidden_size": hidden,
        "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": get("block_count"),
        "num_attention_heads": n_heads,
        "num_key_value_heads": get("attention.head_count_kv"),
        "head_dim": head_dim,
        "vocab_size": len(values["tokenizer.ggml.tokens"]),
        "max_position_embeddings": get("context_length"),
        "rms_norm_eps": get("attention.layer_norm_rms_epsilon"),
        "rope_parameters": rope,
    }
    if architecture == "llama" and get("attention.sliding_window"):
        settings["sliding_window"] = get("attention.sliding_window")
    if architecture == "gemma3":
        local = {"rope_type": "default", "rope_theta": 10000.0}
        settings |= {
            "sliding_window": get("attention.sliding_window"),
            "query_pre_attn_scalar": head_dim,
            "rope_parameters": {"full_attention": rope, "sliding_attention": local},
            "layer_types": [
                "full_attention" if (layer + 1) % 6 == 0 else "sliding_attention"
                for layer in range(get("block_count"))
            ],
        }
    return settings


def _renamed(name: str, value: Any, architecture: str, settings: dict[str, Any]) -> tuple[str, Any]:
    if architecture == "gemma3" and "norm" in name:
        value = value - 1  # the file has what transformers adds
    if name in _WHOLE:
        return _WHOLE[name], value
    _, layer, part, kind = name.split(".")
    if architecture == "llama" and part in ("attn_q", "attn_k"):
        heads = settings["num_attention_heads" if part == "attn_q" else "num_key_value_heads"]
        pairs = value.reshape(heads, settings["head_dim"] // 2, 2, *value.shape[1:])
        value = pairs.swapaxes(1, 2).reshape(value.shape)
    place = _PARTS[part]
    if architecture == "gemma3" and part == "ffn_norm":
        place = "pre_feedforward_layernorm"
    return f"model.layers.{layer}.{place}.{kind}", value
