"""What the answers in a journal depend on, by name; knows nothing of files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import dspy

from structq.journal import describe_lm
from structq.modules import EvolQuality

from .evaluator import Metric
from .fingerprint import UnknownError, fingerprint
from .lms import describe_lms
from .proposers import Proposer
from .rows import TuningRows

__all__ = ["configuration"]


def configuration(
    student: EvolQuality,
    metric: Metric,
    rows: TuningRows,
    proposer_lm: dspy.BaseLM,
    *,
    max_lm_calls: int,
    seed: int,
    level: float,
    proposers: Sequence[Proposer],
    learn_weights: bool,
) -> dict[str, Any]:
    """The settings that a resumed run must share, each by the name that a user knows.

    Addresses and secrets of LMs are not in it, and neither is the time limit.
    """
    demos = {
        name: [dict(demo) for demo in predictor.demos]
        for name, predictor in student.mutations.items()
        if predictor.demos
    }
    return {
        "mutation_templates": student.mutation_templates,
        "demos": _digest(demos),
        "student": student.settings.dump_state(),
        "lm": describe_lms(student),
        "metric": metric.describe(),
        "trainset": rows.digest("train"),
        "valset": rows.digest("val"),
        "max_lm_calls": max_lm_calls,
        "seed": seed,
        "level": level,
        "proposer": [_known_by(proposer) for proposer in proposers],
        "learn_weights": learn_weights,
        "proposer_lm": describe_lm(proposer_lm),
    }


def _known_by(proposer: Proposer) -> str:
    """A proposer by its class, and by what it was made with where that has a form."""
    name = type(proposer).__qualname__
    try:
        return f"{name} {fingerprint(proposer)}"
    except UnknownError:
        return name


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return blake2b(text.encode(), digest_size=8).hexdigest()
