"""The decoder that is trained: Llama-shaped, weights named as in a Hugging Face checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from structq.nano.graph import DecoderConfig

__all__ = ["Decoder", "Trace"]


@dataclass
class Trace:
    """What the extra losses look at."""

    hidden: list[Tensor]
    """Residual stream after each layer, (batch, length, hidden)."""
    queries: list[Tensor]
    """Rotated queries of each layer, (batch, heads, length, head_dim)."""
    keys: list[Tensor]
    """Rotated keys of each layer, (batch, kv_heads, length, head_dim)."""


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, half-rotation form."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    """Grouped-query causal attention."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width = config.head_dim
        self.config = config
        self.q_proj = nn.Linear(config.hidden, config.n_heads * width, bias=False)
        self.k_proj = nn.Linear(config.hidden, config.n_kv_heads * width, bias=False)
        self.v_proj = nn.Linear(config.hidden, config.n_kv_heads * width, bias=False)
        self.o_proj = nn.Linear(config.n_heads * width, config.hidden, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Output, rotated queries, rotated keys."""
        batch, length, _ = x.shape
        shape = (batch, length, -1, self.config.head_dim)
        q = rotate(self.q_proj(x).view(shape).transpose(1, 2), cos, sin)
        k = rotate(self.k_proj(x).view(shape).transpose(1, 2), cos, sin)
        v = self.v_proj(x).view(shape).transpose(1, 2)
        group = self.config.n_heads // self.config.n_kv_heads
        y = F.scaled_dot_product_attention(
            q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1), is_causal=True
        )
        return self.o_proj(y.transpose(1, 2).reshape(batch, length, -1)), q, k


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden, config.ffn, bias=False)
        self.up_proj = nn.Linear(config.hidden, config.ffn, bias=False)
        self.down_proj = nn.Linear(config.ffn, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as the input."""
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    """Attention and feed-forward, each on the normalised residual stream."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden, eps=config.rms_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden, eps=config.rms_eps)
        self.mlp = FeedForward(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Residual stream after the layer, and the layer's queries and keys."""
        y, q, k = self.self_attn(self.input_layernorm(x), cos, sin)
        x = x + y
        return x + self.mlp(self.post_attention_layernorm(x)), q, k


class Body(nn.Module):
    """Embedding, layers, last norm."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.n_vocab, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.norm = nn.RMSNorm(config.hidden, eps=config.rms_eps)


class Decoder(nn.Module):
    """The whole decoder; the output projection is the embedding."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Body(config)
        half = config.head_dim // 2
        rates = config.rope_theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.arange(config.window, dtype=torch.float64)[:, None] * rates
        self.register_buffer("cos", angles.cos().float(), persistent=False)
        self.register_buffer("sin", angles.sin().float(), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            scale = 0.02
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                scale /= math.sqrt(2 * self.config.n_layers)
            nn.init.normal_(parameter, std=scale)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Trace]:
        """Normalised last hidden states of shape (batch, length, hidden), and the trace."""
        x = self.model.embed_tokens(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        trace = Trace([], [], [])
        for layer in self.model.layers:
            x, q, k = layer(x, cos, sin)
            trace.hidden.append(x)
            trace.queries.append(q)
            trace.keys.append(k)
        return self.model.norm(x), trace

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary for chosen hidden states."""
        return F.linear(hidden, self.model.embed_tokens.weight)
