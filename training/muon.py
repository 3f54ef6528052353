"""Muon, the optimizer of the matrices."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Muon"]


class Muon(torch.optim.Optimizer):
    """Momentum whose update is orthogonalised by Newton-Schulz steps, in bfloat16.

    Source: K. Jordan, "Muon: an optimizer for hidden layers in neural networks" (2024).
    """

    def __init__(
        self, params: list[Tensor], lr: float, momentum: float = 0.95, decay: float = 0.1
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "decay": decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Apply one update."""
        for group in self.param_groups:
            for p in group["params"]:
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = _orthogonal(p.grad.lerp(buffer, group["momentum"]))
                scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * group["decay"]).add_(update, alpha=-group["lr"] * scale)


def _orthogonal(g: Tensor, steps: int = 5) -> Tensor:
    x = (g / (g.norm() + 1e-7)).bfloat16()
    flip = x.shape[0] > x.shape[1]
    x = x.T if flip else x
    for _ in range(steps):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * (a @ a)) @ x
    return (x.T if flip else x).float()
