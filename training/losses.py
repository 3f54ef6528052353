"""The losses of a batch: next tokens, score slots, where heads look, what probes read."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .examples import ROLES, TRAITS, Example
from .families import FAMILIES
from .levels import KINDS, N_LEVELS
from .model import Decoder, Trace

__all__ = ["LOOKS", "WEIGHTS", "Probes", "losses", "width_of"]

LOOKS = (
    ("previous", 0, 0),
    ("previous_2", 0, 2),
    ("topic", 1, 0),
    ("previous_3", 1, 1),  # two tokens before are often a full stop and a line break
    ("copy", 1, 2),
    ("copy", 2, 0),
    ("question", 2, 3),
    ("copy", 4, 1),  # which token it is takes more than the 64 numbers of one head
    ("copy", 5, 0),
    ("copy", 5, 2),
    ("peek", 3, 0),
    ("part", 3, 3),
    ("score", 4, 3),
)
"""Loss, layer, head: `Example` says where each one should look (``..._from``)."""
_N_LOOKS = 192
"""Random positions of a batch at which the heads for tokens before are shown where to look."""
WEIGHTS = {
    "text": 1.0,
    "open": 0.3,
    "slots": 2.0,
    "previous": 0.3,
    "previous_2": 0.3,
    "previous_3": 0.1,
    "topic": 0.1,
    "question": 0.1,
    "copy": 0.2,
    "peek": 0.2,
    "part": 0.1,
    "score": 0.1,
    "roles": 0.2,
    "families": 0.2,
    "levels": 0.5,
    "traits": 0.8,
    "asks": 0.4,
}


class Probes(nn.Module):
    """Linear readers of the residual stream; dropped after training."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.role = nn.Linear(hidden, len(ROLES))
        self.level = nn.Linear(hidden, N_LEVELS)
        self.traits = nn.Linear(hidden, len(TRAITS))
        self.asks = nn.Linear(hidden, len(KINDS))
        self.families = nn.Linear(hidden, len(FAMILIES))


def _flat(batch: list[Example], name: str) -> tuple[Tensor, Tensor, Tensor]:
    """(row, first, second) indices of one kind of annotation over a batch."""
    triples = [(i, a, b) for i, e in enumerate(batch) for a, b in getattr(e, name)]
    rows, a, b = zip(*triples, strict=True) if triples else ((), (), ())
    return (
        torch.tensor(rows, dtype=torch.long),
        torch.tensor(a, dtype=torch.long),
        torch.tensor(b, dtype=torch.long),
    )


def _look(trace: Trace, layer: int, head: int, where: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Cross entropy of one head's attention against the position it should look at."""
    rows, query, key = where
    if not len(rows):
        return torch.zeros(())
    q, k = trace.queries[layer], trace.keys[layer]
    asked, keys = q[head][rows, query], k[head // (len(q) // len(k))].unbind()
    total = torch.zeros(())
    for row in rows.unique():  # one small product a row, not one big gather
        mine = rows == row
        scores = asked[mine] @ keys[row].T / asked.shape[-1] ** 0.5
        hidden = torch.arange(scores.shape[1])[None] > query[mine, None]
        total = total + F.cross_entropy(
            scores.masked_fill(hidden, -torch.inf), key[mine], reduction="sum"
        )
    return total / len(rows)


def losses(model: Decoder, probes: Probes, batch: list[Example]) -> dict[str, Tensor]:
    """Every loss of a batch, each a mean over its own positions."""
    length = width_of(max(len(e.tokens) for e in batch))
    tokens = torch.zeros(len(batch), length + 1, dtype=torch.long)
    for i, e in enumerate(batch):
        tokens[i, : len(e.tokens)] = torch.tensor(e.tokens)
    hidden, trace = model(tokens[:, :-1])
    out = _answer_losses(model, hidden, tokens, batch)
    for name, layer, head in LOOKS:
        where = _before(length, len(batch), name) or _sample(_flat(batch, f"{name}_from"))
        out[name] = out.get(name, 0.0) + _look(trace, layer, head, where)
    rows, at, target = _flat(batch, "roles")
    out["roles"] = _mean_entropy(probes.role(trace.hidden[2][rows, at]), target)
    rows, at, target = _flat(batch, "families")
    out["families"] = _mean_entropy(probes.families(trace.hidden[1][rows, at]), target)
    rows, at, target = _flat(batch, "levels")
    out["levels"] = _mean_entropy(probes.level(trace.hidden[3][rows, at]), target)
    out["traits"] = _bit_loss(probes.traits, trace.hidden[3], _flat(batch, "traits"))
    out["asks"] = _bit_loss(probes.asks, trace.hidden[2], _flat(batch, "asks"))
    return out


def width_of(n_tokens: int) -> int:
    """Columns of a batch: few different shapes, as each is prepared once, in tenths of seconds."""
    step = 64 if n_tokens <= 705 else 320
    return -(-(n_tokens - 1) // step) * step


def _answer_losses(
    model: Decoder, hidden: Tensor, tokens: Tensor, batch: list[Example]
) -> dict[str, Tensor]:
    """Losses of the next token: of all text, of the opening of added parts, of score slots."""
    spots = [(i, j - 1) for i, e in enumerate(batch) for j in range(e.n_prompt, len(e.tokens))]
    n = {spot: i for i, spot in enumerate(spots)}
    rows, at = torch.tensor(spots + [(0, 0)] * (-len(spots) % 256)).T
    log_p = F.log_softmax(model.logits(hidden[rows, at]), -1)
    loss = -log_p.gather(1, tokens[rows, at + 1][:, None])[:, 0]
    soft = [(n[i, spot - 1], target) for i, e in enumerate(batch) for spot, target in e.soft]
    plain = torch.ones(len(rows), dtype=torch.bool)
    plain[len(spots) :] = False
    plain[[i for i, _ in soft]] = False
    opens = [n[i, at] for i, e in enumerate(batch) for at, _ in e.part_from if (i, at) in n]
    return {
        "text": loss[plain].mean(),
        "open": loss[opens].mean() if opens else torch.zeros(()),
        "slots": _slot_loss(log_p, soft),
    }


def _mean_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target) if len(target) else torch.zeros(())


def _before(length: int, n_rows: int, name: str) -> tuple[Tensor, Tensor, Tensor] | None:
    """Random positions and those ``N`` before them, for the looks named ``previous_N``."""
    if not name.startswith("previous"):
        return None
    back = int(name.removeprefix("previous").removeprefix("_") or 1)
    rows, at = torch.randint(0, n_rows, (_N_LOOKS,)), torch.randint(back, length - 1, (_N_LOOKS,))
    return rows, at, at - back


def _bit_loss(probe: nn.Linear, hidden: Tensor, where: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    rows, at, bits = where
    if not len(rows):
        return torch.zeros(())
    wanted = (bits[:, None] >> torch.arange(probe.out_features)) & 1
    return F.binary_cross_entropy_with_logits(probe(hidden[rows, at]), wanted.float())


def _sample(where: tuple[Tensor, Tensor, Tensor], n: int = 1024) -> tuple[Tensor, Tensor, Tensor]:
    keep = torch.randperm(len(where[0]))[:n]
    return where[0][keep], where[1][keep], where[2][keep]


def _slot_loss(log_p: Tensor, soft: list[tuple[int, list[tuple[int, float]]]]) -> Tensor:
    """Divergence from the target distributions at score slots."""
    if not soft:
        return torch.zeros(())
    wanted = torch.zeros(len(soft), log_p.shape[1])
    for n, (_, target) in enumerate(soft):
        for token, p in target:
            wanted[n, token] = p
    entropy = -(wanted * wanted.clamp_min(1e-9).log()).sum(-1).mean()
    return -(wanted * log_p[[i for i, _ in soft]]).sum(-1).mean() - entropy
