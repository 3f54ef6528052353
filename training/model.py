"""The decoder that is trained: Llama-shaped, weights named as in a Hugging Face checkpoint.

Master weights and the residual stream are float32, products bfloat16. Attention is computed by
blocks of queries, with the causal half left out and a backward pass of its own: PyTorch's kernel
for CPUs takes twice as long at this size. Compiling the rest was tried and is slower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from training.graph import DecoderConfig

__all__ = ["Decoder", "Trace"]

_BLOCK = 96
"""Queries of one product; each sees the keys up to its block's end."""


@dataclass
class Trace:
    """What the extra losses look at."""

    hidden: list[Tensor]
    """Residual stream after each layer, (batch, length, hidden)."""
    queries: list[tuple[Tensor, ...]]
    """Rotated queries of each layer, one (batch, length, head_dim) a head."""
    keys: list[tuple[Tensor, ...]]
    """Rotated keys of each layer, one (batch, length, head_dim) a key-value head."""


class _Attention(torch.autograd.Function):
    """Causal attention of (batch, heads, length, head_dim) tensors."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]
        """Outputs, shaped like the queries."""
        q = q * q.shape[-1] ** -0.5
        outs, shares = [], []
        for a in range(0, q.shape[2], _BLOCK):
            b = min(q.shape[2], a + _BLOCK)
            scores = q[:, :, a:b] @ k[:, :, :b].transpose(-1, -2)
            later = torch.ones(b - a, b - a, dtype=torch.bool).triu(1)
            scores[..., a:b].masked_fill_(later, -torch.inf)
            shares.append(torch.softmax(scores, -1))
            outs.append(shares[-1] @ v[:, :, :b])
        out = torch.cat(outs, 2)
        ctx.save_for_backward(q, k, v, out, *shares)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        """Gradients of queries, keys and values."""
        q, k, v, out, *shares = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
        mean = (grad * out).sum(-1, keepdim=True)
        for i, share in enumerate(shares):
            a, b = i * _BLOCK, min(q.shape[2], (i + 1) * _BLOCK)
            d = grad[:, :, a:b]
            dv[:, :, :b] += share.transpose(-1, -2) @ d
            ds = (d @ v[:, :, :b].transpose(-1, -2)).sub_(mean[:, :, a:b]).mul_(share)
            dq[:, :, a:b] = ds @ k[:, :, :b]
            dk[:, :, :b] += ds.transpose(-1, -2) @ q[:, :, a:b]
        return dq * q.shape[-1] ** -0.5, dk, dv


def _normed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight).bfloat16()


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding, half-rotation form, of (batch, length, heads, head_dim)."""
    half = x.shape[-1] // 2
    a, b = x[..., :half].float(), x[..., half:].float()
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1).bfloat16().transpose(1, 2)


def _before(
    x: Tensor, norm: Tensor, qkv: tuple[Tensor, Tensor, Tensor], cos: Tensor, sin: Tensor,
    eps: float, head_dim: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Rotated queries, rotated keys, values of a layer."""
    h = _normed(x, norm, eps)
    q, k, v = (F.linear(h, w.bfloat16()).view(x.shape[0], x.shape[1], -1, head_dim) for w in qkv)
    return _turned(q, cos, sin), _turned(k, cos, sin), v.transpose(1, 2)


def _after(
    x: Tensor, y: Tensor, out: Tensor, norm: Tensor, gate: Tensor, up: Tensor, down: Tensor,
    eps: float,
) -> Tensor:  # fmt: skip
    """Residual stream after a layer, from its attention's outputs."""
    y = y.transpose(1, 2).reshape(x.shape[0], x.shape[1], -1)
    x = x + F.linear(y, out.bfloat16())
    h = _normed(x, norm, eps)
    inner = F.silu(F.linear(h, gate.bfloat16())) * F.linear(h, up.bfloat16())
    return x + F.linear(inner, down.bfloat16())


class Projections(nn.Module):
    """The matrices of an attention."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        queries, keys = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
        self.q_proj = nn.Linear(config.hidden, queries, bias=False)
        self.k_proj = nn.Linear(config.hidden, keys, bias=False)
        self.v_proj = nn.Linear(config.hidden, keys, bias=False)
        self.o_proj = nn.Linear(queries, config.hidden, bias=False)


class FeedForward(nn.Module):
    """The matrices of SwiGLU."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden, config.ffn, bias=False)
        self.up_proj = nn.Linear(config.hidden, config.ffn, bias=False)
        self.down_proj = nn.Linear(config.ffn, config.hidden, bias=False)


class Layer(nn.Module):
    """The weights of one block."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden, eps=config.rms_eps)
        self.self_attn = Projections(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden, eps=config.rms_eps)
        self.mlp = FeedForward(config)


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
        """Large embeddings: what a token is must be found again in the residual stream.

        At the usual 0.02 they were a twentieth of it after the first layer, and rare tokens were
        copied wrongly from the right place. The last norm makes up for it in the logits.
        """
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                continue
            scale = 0.5 if "embed" in name else 0.02
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                scale /= math.sqrt(2 * self.config.n_layers)
            nn.init.normal_(parameter, std=scale)
        nn.init.constant_(self.model.norm.weight, 1 / 16)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Trace]:
        """Normalised last hidden states of shape (batch, length, hidden), and the trace."""
        x = self.model.embed_tokens(tokens)
        cos = self.cos[: tokens.shape[1], None]
        sin = self.sin[: tokens.shape[1], None]
        trace = Trace([], [], [])
        for layer in self.model.layers:
            x, q, k = self._layer(layer, x, cos, sin)
            trace.hidden.append(x)
            trace.queries.append(q.unbind(1))
            trace.keys.append(k.unbind(1))
        return self.model.norm(x), trace

    def _layer(
        self, layer: Layer, x: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        eps, heads, mlp = self.config.rms_eps, layer.self_attn, layer.mlp
        qkv = heads.q_proj.weight, heads.k_proj.weight, heads.v_proj.weight
        q, k, v = _before(x, layer.input_layernorm.weight, qkv, cos, sin, eps, self.config.head_dim)
        group = self.config.n_heads // self.config.n_kv_heads
        y = _Attention.apply(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1))
        x = _after(
            x, y, heads.o_proj.weight, layer.post_attention_layernorm.weight,
            mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight, eps,
        )  # fmt: skip
        return x, q, k

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over the vocabulary for chosen hidden states, in float32."""
        weight = self.model.embed_tokens.weight.bfloat16()
        return F.linear(hidden.bfloat16(), weight).float()
