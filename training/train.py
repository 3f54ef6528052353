"""The training loop: Muon for the matrices, AdamW for the rest, a few guiding losses.

Beside next-token prediction on the answers, single heads are shown where to look (`LOOKS`), and
linear probes read the role of a piece, the level of a response and what a mutation asks for from
the residual stream. Without them a model of this size needs hours to find copying.

The weights must stay small: with a high learning rate and no decay the residual stream grew to a
norm of several hundred, and what one head had read (a norm of 20, right in 95 % of the cases) no
longer reached the output. Hence the decay of `Muon` and the lower rates.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, distributed

from training.graph import DecoderConfig
from training.weights import read_checkpoint

from .corpus import World
from .examples import Example, ExampleMaker
from .losses import WEIGHTS, Probes, losses, width_of
from .model import Decoder
from .muon import Muon
from .tokenizer import train_tokenizer, word_fragments

__all__ = ["Settings", "train"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How long and how to train."""

    minutes: float = 180.0
    """Wall-clock length; the learning rate follows the clock."""
    steps: int | None = None
    """Steps to take instead, however long they last; the learning rate follows their count."""
    batch_tokens: int = 4608
    """Tokens of one step, padding included."""
    max_tokens: int = 700
    """Longest usual example."""
    long_share: float = 0.1
    """Share of the tokens that stands in examples of up to 1,900 tokens."""
    muon_lr: float = 0.01
    adam_lr: float = 2e-3
    embedding_lr: float = 8e-3
    muon_decay: float = 0.1
    """Share of a matrix, times the learning rate, that each step takes away."""
    hold_share: float = 0.3
    """First share of the time, at full learning rates; from there they fall to zero in a line."""
    seed: int = 0
    resume: bool = False
    """Whether to go on with the weights in the directory (momenta and probes start anew), or, where
    there are none, with a copy there of the three files that the package ships."""
    report_steps: int = 10
    """Steps between two lines of the log."""
    processes: int = 2
    """Processes that share the work, one core each; they average their gradients at every step."""


def batches(makers: list[ExampleMaker], settings: Settings) -> Iterator[list[Example]]:
    """Batches of examples of like length, each with about ``batch_tokens`` tokens."""
    usual, long = makers
    waiting: dict[int, list[Example]] = {}
    n_long = n_all = 0
    while True:
        maker = long if n_long < settings.long_share * n_all else usual
        example = maker.draw()
        n_all += len(example.tokens)
        n_long += len(example.tokens) if maker is long else 0
        width = width_of(len(example.tokens))
        group = waiting.setdefault(width, [])
        group.append(example)
        if len(group) >= max(2, settings.batch_tokens // width):
            yield waiting.pop(width)


def _rate(done: float, settings: Settings) -> float:
    """Learning-rate factor after a share of the time."""
    if done < settings.hold_share:
        return min(1.0, 0.05 + done / 0.01)
    return max(0.0, 1 - done) / (1 - settings.hold_share)


def _load(model: Decoder, directory: Path) -> float:
    """Load what ``_save`` wrote; the share of the time that was done."""
    state = {name: torch.tensor(a) for name, a in np.load(directory / "weights.npz").items()}
    model.load_state_dict(state, strict=False)  # the rotary tables are not saved
    return float(json.loads((directory / "progress.json").read_text("utf8"))["done"])


def _unpack(directory: Path) -> None:
    """What ``_save`` writes, from the files that the package ships; half of the time is done."""
    found = read_checkpoint(directory)
    np.savez(directory / "weights.npz", **found.weights)  # type: ignore[arg-type]
    (directory / "config.json").write_text(json.dumps(asdict(found.config)), encoding="utf8")
    (directory / "progress.json").write_text(json.dumps({"done": 0.5}), encoding="utf8")


def _save(model: Decoder, directory: Path, done: float) -> None:
    """Write ``weights.npz`` (float32, by checkpoint names) and how far the training is."""
    arrays = {name: p.detach().numpy() for name, p in model.named_parameters()}
    np.savez(directory / "weights.npz", **arrays)
    (directory / "progress.json").write_text(json.dumps({"done": done}), encoding="utf8")


def train(settings: Settings, directory: Path) -> None:
    """Train from scratch; leaves tokenizer.json, config.json, weights.npz and log.jsonl."""
    directory.mkdir(parents=True, exist_ok=True)
    if settings.resume and not (directory / "weights.npz").exists():
        _unpack(directory)
    if settings.resume:
        config = DecoderConfig(**json.loads((directory / "config.json").read_text("utf8")))
    else:
        tokenizer = train_tokenizer(seed=settings.seed)
        tokenizer.save(str(directory / "tokenizer.json"))
        config = DecoderConfig(n_vocab=tokenizer.get_vocab_size())
        (directory / "config.json").write_text(json.dumps(asdict(config)), encoding="utf8")
    torch.multiprocessing.spawn(_work, (config, settings, directory), nprocs=settings.processes)


def _work(rank: int, config: DecoderConfig, settings: Settings, directory: Path) -> None:
    """One of the processes: its own examples, the same weights."""
    meeting = f"file://{directory.resolve()}/meeting-{os.getppid()}"
    distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=settings.processes
    )
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.WARNING, format="%(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    model, probes = Decoder(config), Probes(config.hidden)
    torch.manual_seed(settings.seed + 1 + rank)
    done = _load(model, directory) if settings.resume else 0.0
    # A training that goes on draws other examples than it began with.
    rng = np.random.default_rng((settings.seed, rank, round(1000 * done)))
    fragments = word_fragments(tokenizer)
    usual, long = (
        World(rng, random_topics=0.5, text_scale=scale, variety=True, fragments=fragments)
        for scale in (1, 5)
    )
    makers = [
        ExampleMaker(usual, tokenizer, max_tokens=settings.max_tokens, evolve_share=0.6),
        ExampleMaker(long, tokenizer, max_tokens=1900, min_tokens=settings.max_tokens),
    ]
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [
        {"params": [*others, *probes.parameters()], "lr": settings.adam_lr},
        {"params": [model.model.embed_tokens.weight], "lr": settings.embedding_lr},
    ]
    optimizers = [
        Muon(matrices, settings.muon_lr, decay=settings.muon_decay),
        torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0),
    ]
    stream = batches(makers, settings)
    _run(model, probes, optimizers, stream, settings, directory, rank, done)


def _average(parameters: list[Tensor], progress: Tensor) -> None:
    """Make the gradients (and the shared clock) the mean over the processes."""
    flat = torch.cat([progress, *(p.grad.flatten() for p in parameters)])  # type: ignore[union-attr]
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    progress.copy_(flat[: len(progress)])
    for p, part in zip(
        parameters, flat[len(progress) :].split([p.numel() for p in parameters]), strict=True
    ):
        p.grad.copy_(part.view_as(p))  # type: ignore[union-attr]


def _run(
    model: Decoder,
    probes: Probes,
    optimizers: list[torch.optim.Optimizer],
    stream: Iterator[list[Example]],
    settings: Settings,
    directory: Path,
    rank: int,
    done: float,
) -> None:
    last_save = time.monotonic()
    start = last_save - done * 60 * settings.minutes
    n_tokens, n_sums, sums = 0, 0, dict.fromkeys(WEIGHTS, 0.0)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    base = [group["lr"] for group in groups]
    parameters = [*model.parameters(), *probes.parameters()]
    for p in parameters:
        p.grad = torch.zeros_like(p)
    progress = torch.full((1,), done)  # share of the time, the same in every process
    for step, batch in enumerate(stream):
        for group, lr in zip(groups, base, strict=True):
            group["lr"] = lr * _rate(float(progress), settings)
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=False)
        parts = losses(model, probes, batch)
        sum(WEIGHTS[name] * part for name, part in parts.items()).backward()
        if settings.steps is None:
            progress.fill_((time.monotonic() - start) / (60 * settings.minutes))
        else:
            progress.fill_((step + 1) / settings.steps)
        _average(parameters, progress)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        n_tokens += settings.processes * sum(len(e.tokens) for e in batch)
        sums = {name: sums[name] + float(part.detach()) for name, part in parts.items()}
        n_sums += 1
        if rank == 0 and n_sums == settings.report_steps:
            minutes = round(float(progress) * settings.minutes, 2)
            _report(
                directory, {"step": step + 1, "minutes": minutes, "tokens": n_tokens}, sums, n_sums
            )
            n_sums, sums = 0, dict.fromkeys(WEIGHTS, 0.0)
        if rank == 0 and (time.monotonic() - last_save > 120 or progress >= 1):
            _save(model, directory, float(progress))
            last_save = time.monotonic()
        if progress >= 1:
            return


def _report(directory: Path, line: dict[str, float], sums: dict[str, float], n: int) -> None:
    line |= {name: round(value / n, 4) for name, value in sums.items()}
    with (directory / "log.jsonl").open("a", encoding="utf8") as log:
        log.write(json.dumps(line) + "\n")
    _log.info("%s", line)
