"""DSPy's optimizers in a world, each with the LM calls that it is given and no more.

Whatever asks for an evolution or a score that was asked for before gets the answer that was
given, at no call, as from DSPy's cache. Each optimizer gets sizes that need about the calls there
are, or a little more. When they are spent it is stopped, and of all templates that it measured on
enough rows the best of each mutation are taken: none pays for a size that was chosen badly.
"""

from __future__ import annotations

import contextlib
import io
import logging
import random
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dspy
import numpy as np
from dspy.lm15 import Request, Response

from .engine import SimulatedEngine, Written, make_lm
from .trials import METRICS, Found, metric_of
from .world import World

__all__ = ["Spent", "best_measured", "copro", "gepa", "mipro", "quiet", "ran_in_minibatch"]


class Spent(BaseException):
    """The calls are spent; no ``except Exception`` holds it up."""


class Remembering(SimulatedEngine):
    """A world's engine that answers what was asked before by itself, and ends when calls do."""

    def __init__(self, world: World, calls: int) -> None:
        self.world, self.calls = world, calls
        self._known: dict[str, Response] = {}

    def complete(self, request: Request) -> Response:
        form = request.config.response_format or {}
        fields = (form.get("schema") or {}).get("properties", {})
        key = repr((request.system, [message.text for message in request.messages], form))
        if key in self._known:
            return self._known[key]
        if self.world.calls >= self.calls:
            raise Spent
        response = self.world.engine.complete(request)
        if "evolved_response" in fields or "scores" in fields:
            self._known[key] = response
        return response


class Setting:
    """What a rival tunes, and what it has measured.

    Args:
        world: Its engine is asked; its LM is replaced by one that remembers.
        seed: Fixes draws that a rival leaves to Python's and numpy's own generators.
        calls: Most LM calls.
        metric: One of ``METRICS``.
    """

    def __init__(self, world: World, seed: int, calls: int, metric: str) -> None:
        self.world, self.seed, self.calls = world, seed, calls
        self.n_trials = calls // METRICS[metric]
        self.lm = world.lm = make_lm(Remembering(world, calls), world.lm.model)
        # GEPA weighs by mean scores, and fails on sums that are not above 0.
        self._metric = metric_of(world, metric, shifted=True)
        self._write = world.engine.write
        world.engine.write = self._noted
        self._template: dict[tuple[str, str], str] = {}
        self._gains: dict[str, dict[str, dict[str, float]]] = {
            name: defaultdict(dict) for name in world.seeds
        }

    def _noted(self, asked: Written) -> str:
        evolved = self._write(asked)
        self._template[asked.instruction, evolved] = asked.template
        return evolved

    def gain(self, example: Any, prediction: Any, trace: object = None) -> float:
        """The metric, from 0 to 1."""
        gain = float(self._metric(example, prediction))
        template = self._template[example.instruction, prediction.evolved_response]
        self._gains[example.mutation][template][example.instruction] = gain
        return gain

    def examples(self, split: str, n: int) -> list[dspy.Example]:
        """The first rows of a split, the mutations in turn."""
        names = list(self.world.seeds)
        return [
            dspy.Example(**row, mutation=names[k % len(names)]).with_inputs(*row, "mutation")
            for k, row in enumerate(getattr(self.world, split)[:n])
        ]

    def measured(self) -> dict[str, str]:
        """For each mutation, the best mean of those with at least half as many rows as any."""
        return best_measured(self._gains, self.world.seeds)

    def run(self, compiled: Callable[[], Any]) -> Found:
        """What an optimizer returns, or what it measured until it was stopped."""
        random.seed(self.seed)
        np.random.seed(self.seed)
        with quiet(), dspy.context(lm=self.lm):
            try:
                return Found(dict(compiled().mutation_templates))
            except Spent:
                return Found(self.measured())


def best_measured(
    gains: Mapping[str, Mapping[str, Mapping[str, float]]], seeds: Mapping[str, str]
) -> dict[str, str]:
    """For each mutation, the text of the best mean among those with half as many rows as any."""
    found = dict(seeds)
    for name, texts in gains.items():
        most = max(map(len, texts.values()), default=0)
        means = {
            text: float(np.mean(list(rows.values())))
            for text, rows in texts.items()
            if 2 * len(rows) >= most
        }
        found[name] = max(means, key=means.__getitem__, default=found[name])
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing is printed or logged, but errors that end the program."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    nowhere = io.StringIO()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _by_size(n_trials: int, few: Any, some: Any, many: Any) -> Any:
    return few if n_trials <= 600 else some if n_trials <= 2_500 else many


def copro(world: World, seed: int, calls: int, metric: str) -> Found:
    """Breadth and depth by the calls; rows by what they leave.

    Each candidate adds a link to a chain of signatures that DSPy follows by recursion: 8 x 3 is
    the most that is far from the limit.
    """
    here = Setting(world, seed, calls, metric)
    breadth, depth = _by_size(here.n_trials, (3, 2), (5, 3), (8, 3))
    n_texts = len(world.seeds) * breadth * depth
    # Only the rows of the mutation that changes are asked anew.
    each = 1 + max(0, calls - n_texts) // (METRICS[metric] * n_texts)
    rows = here.examples("train", max(10, len(world.seeds) * each))
    tuner = dspy.COPRO(prompt_model=here.lm, metric=here.gain, breadth=breadth, depth=depth)
    options = {"num_threads": 1, "display_progress": False}
    return here.run(lambda: tuner.compile(world.student(), trainset=rows, eval_kwargs=options))


def mipro(world: World, seed: int, calls: int, metric: str) -> Found:
    """Instructions alone, no demos; trials go on until the calls are spent."""
    here = Setting(world, seed, calls, metric)
    n_candidates, n_val, n_batch, n_steps = _by_size(
        here.n_trials, (6, 40, 25, 40), (20, 45, 45, 150), (36, 100, 45, 300)
    )
    tuner = dspy.MIPROv2(
        metric=here.gain, prompt_model=here.lm, task_model=here.lm, auto=None, seed=seed,
        num_candidates=n_candidates, max_bootstrapped_demos=0, max_labeled_demos=0, num_threads=1,
    )  # fmt: skip
    return here.run(
        lambda: tuner.compile(
            world.student(), trainset=here.examples("train", 100),
            valset=here.examples("val", n_val), num_trials=n_steps, minibatch_size=n_batch,
            max_bootstrapped_demos=0, max_labeled_demos=0, program_aware_proposer=False,
            data_aware_proposer=False, tip_aware_proposer=False, fewshot_aware_proposer=False,
        )
    )  # fmt: skip


def gepa(world: World, seed: int, calls: int, metric: str) -> Found:
    """One of the templates that ran in the minibatch is changed; else iterations are lost."""
    here = Setting(world, seed, calls, metric)
    n_val = _by_size(here.n_trials, 25, 50, 100)

    def score(
        gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
    ) -> Any:
        gain = here.gain(gold, pred)
        return dspy.Prediction(score=gain, feedback=f"The score is {gain:.2f}.")

    # A step: a proposal, two minibatches of three, one mutation's rows of the validation set.
    step = 1 + METRICS[metric] * (2 * 3 + n_val // len(world.seeds))
    tuner = dspy.GEPA(
        metric=score, reflection_lm=here.lm, max_metric_calls=100 * calls, num_threads=1,
        component_selector=ran_in_minibatch, seed=seed,
        gepa_kwargs={"stop_callbacks": [lambda state: world.calls + step > calls]},
    )  # fmt: skip
    rows, val = here.examples("train", 100), here.examples("val", n_val)
    return here.run(lambda: tuner.compile(world.student(), trainset=rows, valset=val))


def ran_in_minibatch(
    state: Any, trajectories: Any, scores: Any, candidate_idx: int, candidate: dict[str, str]
) -> list[str]:
    """For GEPA: a predictor that ran in the minibatch is changed."""
    ran = [
        name
        for trajectory in trajectories
        for predictor, _, _ in trajectory["trace"]
        for name, text in candidate.items()
        if text == predictor.signature.instructions
    ]
    return [random.choice(ran or list(candidate))]
