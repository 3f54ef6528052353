"""What an output is worth: any function of the user's, by one interface."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import dspy

from structq.errors import InputError, shorten
from structq.journal.fingerprint import UnknownError, fingerprint

from .budget import Gate

__all__ = ["UNKNOWN", "Measured", "Metric", "as_metric"]

UNKNOWN = "unknown"
"""Why a metric is known by nothing, in its description."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one output is worth."""

    gain: float
    """Higher is better; the set score on failure."""
    failure: str | None = None
    """Why there is no score."""
    scores: tuple[float, float] | None = None
    """Of the original and of the evolution, on the scorer's scale."""
    feedback: str | None = None
    """What the metric said of it."""


class Metric(Protocol):
    """What an output is worth; ``QualityGain`` is one."""

    @property
    def max_calls(self) -> int:
        """Most LM calls that one measurement makes, if the LM itself retries nothing."""

    @property
    def failure_score(self) -> float:
        """What a row counts that has no output or no score."""

    async def ameasure(self, example: dspy.Example, prediction: Any) -> Measured:
        """The worth of a prediction; a failure is a value with its reason."""

    def behind(self, gate: Gate) -> Metric:
        """The same, every LM call of which is counted."""

    def describe(self) -> dict[str, Any]:
        """What its values depend on, as JSON values."""


def as_metric(metric: Any, name: str | None = None) -> Metric:
    """The metric, or the function wrapped as one.

    Raises:
        InputError: It is neither, or cannot be called with the two.
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
    return _Function(metric, name)


class _Function:
    """A function of (example, prediction), as DSPy's optimizers take it, ``dspy.GEPA`` included.

    It gives a number, or an object with ``score`` and ``feedback``. Calls of DSPy's configured LM
    in it are counted; its attribute ``max_calls`` says how many one measurement makes.
    """

    failure_score = 0.0

    def __init__(self, function: Callable[..., Any], name: str | None) -> None:
        self._function, self._name = function, name
        self.max_calls = int(getattr(function, "max_calls", 0))
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            signature = inspect.Signature()
        wanted = set(signature.parameters)
        # GEPA's metrics say more where they are told which predictor is asked about.
        self._more: dict[str, Any] = {
            key: value
            for key, value in (("trace", None), ("pred_name", "program"), ("pred_trace", None))
            if key in wanted
        }
        try:
            if wanted:
                signature.bind(None, None, **self._more)
        except TypeError as error:
            raise InputError(
                f"metric: must take (example, prediction), found "
                f"{getattr(function, '__name__', 'one')}{signature}: {error}",
                field="metric",
            ) from None

    async def ameasure(self, example: dspy.Example, prediction: Any) -> Measured:
        try:
            if inspect.iscoroutinefunction(self._function):
                answer = await self._function(example, prediction, **self._more)
            else:
                answer = await asyncio.to_thread(self._function, example, prediction, **self._more)
            if inspect.isawaitable(answer):
                answer = await answer
            gain = float(_fact(answer, "score", answer))
        except Exception as error:  # whatever it is, it is this row's alone
            return self._failed(f"{type(error).__name__}: {error}")
        if not math.isfinite(gain):
            return self._failed(f"it is {gain}")
        said = _fact(answer, "feedback", None)
        return Measured(gain=gain, feedback=None if said is None else str(said))

    def behind(self, gate: Gate) -> _Function:
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
        return Measured(gain=self.failure_score, failure=reason)


def _fact(answer: Any, name: str, default: Any) -> Any:
    return answer.get(name, default) if isinstance(answer, dict) else getattr(answer, name, default)
