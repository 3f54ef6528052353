"""DSPy's optimizers on a real LM, each with the LM calls that it is given and no more.

Each is stopped when the calls are spent; then, of all templates that it measured on enough rows,
the best of each mutation are taken: none pays for a size that was chosen badly. Answers to
proposals keep their form because `StructAdapter` forces it.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
import numpy as np
from worlds.rivals import Spent, best_measured, quiet, ran_in_minibatch

import structq
from structq.errors import StructqError

__all__ = ["SETTINGS", "copro", "gepa"]

SETTINGS = {
    "copro": "breadth 3, depth 2 up to 600 trials, then 5, 3; temperature 0.7 (at the default "
    "of 1.4 smollm2 writes no sentences), StructAdapter; where a cut answer ends it, it begins "
    "again with new draws, and what it measured costs it nothing",
    "gepa": "minibatches of 3, a validation set of 25 rows up to 600 trials, then 50; a template "
    "that ran in the minibatch is changed; the metric's feedback; proposals at temperature 0.7",
}
_THREADS = 16
_TEMPERATURE = 0.7
_RUNS = 5
"""Most, where one fails: an answer of the LM that is cut ends a whole run of COPRO."""


class _Watched(structq.EvolQuality):
    """Tells which template an evolution was made by, also where it failed."""

    def forward(self, instruction: str, response: str, **options: Any) -> Any:
        template = self.mutations[options["mutation"]].signature.instructions
        try:
            found = super().forward(instruction, response, **options)
        except StructqError as error:
            found = dspy.Prediction(evolved_response=None, failure=str(error))
        found.template = template
        return found


class _Setting:
    """What a rival tunes, and what it has measured."""

    def __init__(
        self, student: structq.EvolQuality, lm: dspy.LM, metric: Callable[..., Any], seed: int
    ) -> None:
        self.lm, self.seed, self._metric = lm, seed, metric
        self.student = _Watched(**student.settings.dump_state())
        self.student.mutations = student.deepcopy().mutations
        for predictor in self.student.mutations.values():
            predictor.lm = lm
        self.names = list(self.student.mutations)
        self._gains: dict[str, dict[str, dict[str, float]]] = {
            name: defaultdict(dict) for name in self.names
        }

    def judged(self, gold: Any, pred: Any, *_: object) -> dspy.Prediction:
        """The metric of an evolution; a failure counts 0."""
        if getattr(pred, "evolved_response", None) is None:
            told = dspy.Prediction(score=0.0, feedback=f"It failed: {pred.failure}.")
        else:
            told = self._metric(gold, pred)
        self._gains[gold.mutation][pred.template][gold.instruction] = float(told.score)
        return told

    def gain(self, gold: Any, pred: Any, trace: object = None) -> float:
        """The same without words."""
        return float(self.judged(gold, pred).score)

    def examples(self, rows: Sequence[Mapping[str, Any]], n: int) -> list[dspy.Example]:
        """So many pairs of a row and a mutation, the mutations in turn, rows again if they end."""
        k = len(self.names)
        pairs = [(rows[(i + i // len(rows)) % len(rows)], self.names[i % k]) for i in range(n)]
        return [
            dspy.Example(**row, mutation=name).with_inputs("instruction", "response", "mutation")
            for row, name in pairs
        ]

    def measured(self) -> dict[str, str]:
        """For each mutation, the best mean of those with at least half as many rows as any."""
        return best_measured(self._gains, self.student.mutation_templates)

    def run(self, compiled: Callable[[], Any]) -> dict[str, Any]:
        """The templates that an optimizer returns, or that it measured until it was stopped."""
        random.seed(self.seed)
        np.random.seed(self.seed)
        ended = ""
        with quiet(), dspy.context(lm=self.lm, adapter=structq.StructAdapter(), max_errors=10**6):
            for _ in range(_RUNS):
                try:
                    return {"templates": dict(compiled().mutation_templates), "ended": "by itself"}
                except Spent:
                    ended = "calls spent"
                    break
                except Exception as error:  # draws are new, what it measured costs it nothing
                    ended = f"{type(error).__name__}: {error}"[:300]
        return {"templates": self.measured(), "ended": ended}


def copro(
    student: structq.EvolQuality, lm: dspy.LM, metric: Callable[..., Any],
    rows: Sequence[Mapping[str, Any]], *, calls: int, cost: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """As many rows for each text as the calls allow; a text meets its own mutation's rows alone."""
    here = _Setting(student, lm, metric, seed)
    breadth, depth = (3, 2) if calls // cost <= 600 else (5, 3)
    n_texts = len(here.names) * breadth * depth
    each = 1 + max(0, calls - n_texts) // (cost * n_texts)
    sample = here.examples(rows, len(here.names) * max(2, each))
    tuner = dspy.COPRO(
        prompt_model=lm.copy(max_tokens=400), metric=here.gain, breadth=breadth, depth=depth,
        init_temperature=_TEMPERATURE,
    )  # fmt: skip
    options = {"num_threads": _THREADS, "display_progress": False}
    return here.run(lambda: tuner.compile(here.student, trainset=sample, eval_kwargs=options))


def gepa(
    student: structq.EvolQuality, lm: dspy.LM, metric: Callable[..., Any],
    rows: Sequence[Mapping[str, Any]], *, calls: int, cost: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Goes on until the calls are spent."""
    here = _Setting(student, lm, metric, seed)
    n_val = 25 if calls // cost <= 600 else 50
    pairs = here.examples(rows, 3 * len(rows))
    val, train = pairs[:n_val], pairs[n_val:]

    def told(
        gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> dspy.Prediction:
        return here.judged(gold, pred)

    tuner = dspy.GEPA(
        metric=told, reflection_lm=lm.copy(max_tokens=400, temperature=_TEMPERATURE), seed=seed,
        max_metric_calls=100 * calls, num_threads=_THREADS, component_selector=ran_in_minibatch,
        gepa_kwargs={"stop_callbacks": [lambda state: lm.engine.calls >= calls]},
    )  # fmt: skip
    return here.run(lambda: tuner.compile(here.student, trainset=train, valset=val))
