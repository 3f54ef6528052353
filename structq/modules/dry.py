"""What a module would ask for a row, without asking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dspy

from structq.adapter import StructAdapter

from .calls import Ask, Caller
from .evol_quality import EvolQuality
from .evolve_and_score import EvolveAndScore
from .quality_scorer import QualityScorer

__all__ = ["Planned", "planned_calls"]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """Calls of one kind that a row needs."""

    kind: str
    """``evolve`` or ``score``."""
    lm: Any
    """Who is asked."""
    n_calls: int
    """How many there are, if none is asked again."""
    messages: list[dict[str, str]]
    """The first of them."""
    answer: str
    """A text as long as an answer may be."""


def planned_calls(task: Any, row: Mapping[str, Any]) -> Iterator[Planned]:
    """The calls for one row of a module of this package; what is evolved stands in for itself.

    Raises:
        InputError: The row cannot be asked about.
    """
    if isinstance(task, EvolveAndScore):
        yield from planned_calls(task.evolve, row)
        responses = [row["response"]] * (1 + task.evolve.num_evolutions)
        yield from planned_calls(task.scorer, {**row, "responses": responses})
    elif isinstance(task, EvolQuality):
        caller = task._caller()
        ask = next(task._steps(caller, row["instruction"], row["response"], None, None))
        yield _planned("evolve", task, caller, ask, task.num_evolutions, row["response"])
    elif isinstance(task, QualityScorer):
        caller = task._caller(row.get("system_prompt"))
        asks = task._plan(row["instruction"], row["responses"], task.messages_of(row)).asks
        answer = '{"scores": [' + "1, " * len(row["responses"])
        yield _planned("score", task, caller, asks[0], len(asks), answer)


def _planned(kind: str, task: Any, caller: Caller, ask: Ask, n_calls: int, answer: str) -> Planned:
    adapter = StructAdapter(**{**caller.adapter_options, **ask.adapter_options})
    lm = task.answering_lms()[0]
    with dspy.context(lm=lm):
        signature = ask.signature or ask.predict.signature
        messages = adapter.format(signature, ask.predict.demos, ask.inputs)
    return Planned(kind=kind, lm=lm, n_calls=n_calls, messages=messages, answer=answer)
