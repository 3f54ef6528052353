"""LMs as a budget needs them: nothing retried unseen, every call counted, each named in a journal.

``dspy.LM`` repeats a request by itself when a server fails. Under a budget those repetitions are
made here, where they are counted and can be refused.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import dspy
from dspy.utils.exceptions import is_retryable_lm_error

from structq.journal import describe_lm
from structq.modules.rows import RowModule

__all__ = [
    "bare_copy", "bare_lm", "count_calls", "describe_lms", "is_transient",
    "n_retries",
]  # fmt: skip

Module = TypeVar("Module", bound=RowModule)


def bare_lm(lm: dspy.BaseLM) -> dspy.BaseLM:
    """The same LM, which retries nothing by itself."""
    return lm.copy(num_retries=0) if getattr(lm, "num_retries", 0) else lm


def bare_copy(module: Module) -> Module:
    """A module of the same settings and predictors, bound to the LMs that would answer it now.

    Those retry nothing by themselves. The module and its predictors are not changed.
    """
    twin = copy.copy(module)
    known: dict[int, dspy.BaseLM] = {}

    def bare(predictor: dspy.Predict) -> dspy.Predict:
        own = copy.copy(predictor)
        lm = predictor.lm or dspy.settings.lm
        own.lm = known.setdefault(id(lm), bare_lm(lm))
        return own

    for name, value in vars(module).items():
        if isinstance(value, dspy.Predict):
            setattr(twin, name, bare(value))
        elif isinstance(value, dict) and any(isinstance(v, dspy.Predict) for v in value.values()):
            setattr(twin, name, {key: bare(v) for key, v in value.items()})
    return twin


def n_retries(module: RowModule) -> int:
    """How often the module's LM would repeat a failed request."""
    return max(int(getattr(lm, "num_retries", 0) or 0) for lm in module.answering_lms())


def is_transient(error: BaseException) -> bool:
    """Whether a failure is one of a busy or unreachable server, which may pass."""
    cause = error.__cause__
    return any(isinstance(e, Exception) and is_retryable_lm_error(e) for e in (error, cause))


def count_calls(calls: Iterable[Mapping[str, Any]]) -> int:
    """LM calls in the records of ``metadata["calls"]`` or of an error."""
    return sum(int(call.get("attempts", 1)) for call in calls)


def describe_lms(module: RowModule) -> list[dict[str, Any]]:
    """The LMs that would answer the module now."""
    return [describe_lm(lm) for lm in module.answering_lms()]
