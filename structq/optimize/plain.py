"""Any function of (example, prediction) as a metric of the optimizer."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable
from typing import Any

import dspy

from structq.errors import InputError, shorten

from .evaluator import Metric
from .fingerprint import UnknownError, fingerprint
from .metric import Measured

__all__ = ["UNKNOWN", "as_metric"]

UNKNOWN = "unknown"
"""Why a metric is known by nothing, in its description."""


def as_metric(metric: Any, name: str | None = None) -> Metric:
    """The metric, or the function wrapped as one.

    Raises:
        InputError: It is neither.
    """
    if hasattr(metric, "ameasure"):
        found: Metric = metric
        return found
    if not callable(metric):
        raise InputError(
            "metric: must be a QualityGain or a function of (example, prediction), "
            f"found {shorten(metric)}",
            field="metric",
        )
    return _Plain(metric, name)


class _Plain:
    """A function of (example, prediction) to a number; higher is better.

    It makes no LM calls: what it calls is not counted, and so it may not.
    """

    max_calls = 0
    n_retries = 0
    failure_score = 0.0

    def __init__(self, function: Callable[..., Any], name: str | None) -> None:
        self._function = function
        self._name = name

    async def ameasure(self, instruction: str, response: str, evolved: str) -> Measured:
        example = dspy.Example(instruction=instruction, response=response)
        example = example.with_inputs("instruction", "response")
        prediction = dspy.Prediction(evolved_response=evolved, evolved_responses=[evolved])
        try:
            if inspect.iscoroutinefunction(self._function):
                answer = await self._function(example, prediction)
            else:
                answer = await asyncio.to_thread(self._function, example, prediction)
            gain = float(getattr(answer, "score", answer))
        except Exception as error:  # whatever it is, it is this row's alone
            return self._failed(f"{type(error).__name__}: {error}")
        if not math.isfinite(gain):
            return self._failed(f"it is {gain}")
        return Measured(gain=gain, n_calls=0)

    def bare(self) -> _Plain:
        return self

    def describe(self) -> dict[str, Any]:
        """By what a checkpoint knows it: the name that it was given, or what it computes."""
        if self._name is not None:
            return {"kind": "function", "name": self._name}
        try:
            return {"kind": "function", "code": fingerprint(self._function)}
        except UnknownError as error:
            return {"kind": "function", UNKNOWN: str(error)}

    def _failed(self, reason: str) -> Measured:
        return Measured(gain=self.failure_score, n_calls=0, failure=reason)
