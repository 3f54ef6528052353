"""Every optimizer under the same terms: one world, one number of LM calls, one truth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from typing import Any

import structq

from . import world as make_world
from .trials import Found, metric_of
from .world import World

__all__ = ["METHODS", "Job", "Run", "run"]

METHODS = {
    "structq": "compare:_structq",
    "ridge": "plain:ridge",
    "random": "plain:random_search",
    "copro": "rivals:copro",
    "mipro": "rivals:mipro",
    "gepa": "rivals:gepa",
}
"""Who tunes, and where it is defined; a rival's packages are imported only if it runs."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is run; two that are equal give the same."""

    method: str
    """One of ``METHODS``."""
    family: str
    seed: int
    """Of the world and of the optimizer."""
    calls: int
    """Most LM calls, proposals and scores included."""
    proposer: str = "good"
    judge: str = "fair"
    metric: str = "direct"
    """``direct``: one call a trial; ``judge``: two."""
    null: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of ``structq.TemplateOptimizer``; other methods have none."""
    label: str = ""
    """Which code of structq is measured, where a store holds results of several."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of it."""

    job: Job
    share: float
    """Of the reachable gain, exact; 0 for the seed's templates."""
    changed: bool
    """Whether the user gets other templates than the seed's."""
    refused: bool
    """Whether the method's own test refused a candidate."""
    n_calls: int
    """LM calls made, counted by the world."""
    cpu_s: float
    """CPU seconds, the simulated LM's included."""
    templates: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Run:
        return cls(**{**values, "job": Job(**values["job"])})


def run(job: Job) -> Run:
    """One method in one world.

    Raises:
        ValueError: The method is unknown, or one that is not structq has options.
        RuntimeError: It made more LM calls than it was given.
    """
    if job.method not in METHODS:
        raise ValueError(f"unknown method: {job.method!r} (one of {', '.join(METHODS)})")
    if job.method != "structq" and (job.options or job.label):
        raise ValueError(f"{job.method}: options and label are structq's alone")
    world = make_world(job.family, job.seed, proposer=job.proposer, judge=job.judge, null=job.null)
    file, _, name = METHODS[job.method].partition(":")
    tune = getattr(import_module(f".{file}", __package__), name)
    began = time.process_time()
    found: Found = tune(world, job.seed, job.calls, job.metric, **job.options)
    cpu_s = time.process_time() - began
    if world.calls > job.calls:
        raise RuntimeError(f"{job}: made {world.calls} LM calls ({job.calls} are allowed)")
    return Run(
        job=job,
        share=world.share(found.templates),
        changed=dict(found.templates) != world.seeds,
        refused=found.refused,
        n_calls=world.calls,
        cpu_s=round(cpu_s, 2),
        templates=dict(found.templates),
    )


def _structq(world: World, seed: int, calls: int, metric: str, **options: Any) -> Found:
    """The public optimizer; unless told otherwise, its proposals are those of the world's LM."""
    options = {"proposer": "reflective", "seed": seed, **options}
    tuner = structq.TemplateOptimizer(metric_of(world, metric), max_lm_calls=calls, **options)
    tuned = tuner.compile(world.student(), trainset=world.train, valset=world.val)
    verdict = tuned.optimization.verdict
    refused = not verdict.accepted and verdict.p_value is not None
    return Found(dict(tuned.mutation_templates), refused)
