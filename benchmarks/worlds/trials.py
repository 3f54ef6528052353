"""What any optimizer here needs: one template on one row, and the end when the calls are spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from .world import World

__all__ = ["METRICS", "Found", "Trials", "metric_of", "proposal"]

METRICS = {"direct": 1, "judge": 2}
"""How gains are measured, and how many LM calls a trial then makes."""


@dataclass(frozen=True)
class Found:
    """What an optimizer returned."""

    templates: Mapping[str, str]
    refused: bool = False
    """Whether it had something else, and its own test refused it."""


class Trials:
    """Asks a world for the gains of templates.

    Args:
        world: What is asked.
        metric: One of ``METRICS``.
        calls: Most LM calls.
    """

    def __init__(self, world: World, metric: str, calls: int) -> None:
        self.world, self.calls, self.cost = world, calls, METRICS[metric]
        self.metric = metric_of(world, metric)
        self._student = world.student()

    def left(self, reserved: int = 0) -> int:
        """LM calls that may still be made if some are kept back."""
        return self.calls - reserved - self.world.calls

    def gain(self, mutation: str, template: str, row: Mapping[str, str]) -> float:
        """The metric of one evolution."""
        predictor = self._student.mutations[mutation]
        if predictor.signature.instructions != template:
            predictor.signature = predictor.signature.with_instructions(template)
        evolved = self._student(**row, mutation=mutation)
        return float(self.metric(dspy.Example(**row), evolved))


def metric_of(world: World, metric: str, **options: Any) -> Callable[..., Any]:
    """The world's metric of that name; ``options`` are of ``QualityGain``."""
    return world.metric if metric == "direct" else world.quality_gain(**options)


def proposal(world: World, template: str, why: Sequence[str] = ()) -> str:
    """What the world's LM writes when it is asked for a better template."""
    asked = "\n".join([*why, f"The instruction now: {template}", "Write a better one."])
    reply = world.lm(asked)[0]
    return str(reply["text"] if isinstance(reply, dict) else reply).strip()
