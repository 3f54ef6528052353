"""Other optimizers on the same simulated LM: random search, COPRO, MIPROv2 and GEPA.

DSPy's three get a real ``structq.EvolQuality`` on a real ``dspy.LM``, whose engine is the simulated
LM. Every evaluation counts two calls, one to evolve and one to score, and one that was asked before
counts none, as with DSPy's cache. When the calls are spent the optimizer is stopped and the best
templates that it has measured are taken, so that none pays for a size that was chosen badly.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import random
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import dspy
import numpy as np
from dspy.lm15 import Message, Request, Response, Usage

from structq import EvolQuality

from .proposer import SimulatedProposer
from .wording import PURPOSES
from .world import World

__all__ = ["RIVALS", "Spent"]

N_ROWS = 100
_FRAME = "\nKeep everything in the response that is right"


class Spent(BaseException):
    """The calls are spent; no ``except Exception`` holds it up."""


class Meter:
    """Counts calls, and remembers what every template gained.

    Args:
        world: What is measured.
        budget: Most calls.
    """

    def __init__(self, world: World, budget: int) -> None:
        self.world = world
        self.budget = budget
        self.n_calls = 0
        self.gains: dict[tuple[str, str], dict[int, float]] = {}

    def pay(self, n_calls: int) -> None:
        if self.n_calls + n_calls > self.budget:
            raise Spent
        self.n_calls += n_calls

    def gain(self, mutation: str, text: str, row: int) -> float:
        known = self.gains.setdefault((mutation, text), {})
        if row not in known:
            self.pay(2)
            known[row] = self.world.reading(row, mutation, text).gain
        return known[row]

    def best(self) -> dict[str, str]:
        """For each mutation, the text of the highest mean among those with enough rows."""
        found = dict(PURPOSES)
        for name in PURPOSES:
            measured = {t: list(g.values()) for (m, t), g in self.gains.items() if m == name}
            most = max((len(g) for g in measured.values()), default=0)
            enough = {t: float(np.mean(g)) for t, g in measured.items() if 2 * len(g) >= most}
            if enough:
                found[name] = max(enough, key=lambda text: enough[text])
        return found


class SimulatedEngine:
    """Evolves and proposes as the simulated LM does, behind ``dspy.LM``."""

    supports_response_schema = False
    supported_params = frozenset({"temperature", "max_tokens", "seed", "response_format"})

    def __init__(self, meter: Meter, proposer: SimulatedProposer) -> None:
        self._meter = meter
        self._proposer = proposer
        self.gains: dict[str, float] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> SimulatedEngine:
        return self

    def complete(self, request: Request) -> Response:
        prompt = request.messages[-1].text
        text = self._evolve(prompt) if _FRAME in prompt else self._propose(request)
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=Usage(input_tokens=1, output_tokens=1),
        )

    def _evolve(self, prompt: str) -> str:
        template = prompt.split(_FRAME)[0]
        mutation = next((m for m, purpose in PURPOSES.items() if purpose in template), None)
        row = int(re.search(r"^Question (\d+)$", prompt, re.MULTILINE)[1])
        evolved = f"Response {row}, rewritten. Take {len(self.gains)}."
        self.gains[evolved] = self._meter.gain(mutation or "details", template, row)
        return json.dumps({"evolved_response": evolved})

    def _propose(self, request: Request) -> str:
        self._meter.pay(1)
        prompt = request.messages[-1].text
        text = self._proposer.write(prompt)
        if (
            asked := prompt.rpartition("Respond with a JSON object in the following order")[2]
        ) != prompt:
            return json.dumps(dict.fromkeys(re.findall(r"`(\w+)`", asked), text))
        fields = re.findall(r"`\[\[ ## (\w+) ## \]\]`", prompt)
        if fields:
            return "\n\n".join(f"[[ ## {field} ## ]]\n{text}" for field in dict.fromkeys(fields))
        return f"```\n{text}\n```"


def _student(meter: Meter, seed: int) -> tuple[EvolQuality, dspy.LM, SimulatedEngine]:
    engine = SimulatedEngine(meter, SimulatedProposer(meter.world, seed))
    lm = dspy.LM("simulated/lm", engine=engine, cache=False, num_retries=0)
    return EvolQuality(mutation_templates=PURPOSES, lm=lm), lm, engine


def _examples(n: int, first: int = 0) -> list[dspy.Example]:
    names = list(PURPOSES)
    return [
        dspy.Example(
            instruction=f"Question {row}", response=f"Response {row}.", mutation=names[row % 5]
        ).with_inputs("instruction", "response", "mutation")
        for row in range(first, first + n)
    ]


def random_search(world: World, seed: int, budget: int) -> tuple[Mapping[str, str], int]:
    """For each mutation as many proposals as 20 rows each allow; the best mean wins."""
    meter, proposer = Meter(world, budget), SimulatedProposer(world, seed)
    n_rows = 10 if budget < 1_500 else 20
    with contextlib.suppress(Spent):
        for name, text in PURPOSES.items():
            for row in range(n_rows):
                meter.gain(name, text, row)
        while True:
            for name, purpose in PURPOSES.items():
                meter.pay(1)
                text = proposer.write(purpose)
                for row in range(n_rows):
                    meter.gain(name, text, row)
    return meter.best(), meter.n_calls


def _compile(
    world: World, seed: int, budget: int, build: Callable[..., EvolQuality]
) -> tuple[Mapping[str, str], int]:
    """Runs one of DSPy's optimizers until it ends or the calls do."""
    meter = Meter(world, budget)
    student, lm, engine = _student(meter, seed)
    random.seed(seed)
    np.random.seed(seed)
    logging.disable(logging.WARNING)
    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), quiet[0], quiet[1], dspy.context(lm=lm, disable_history=True):
        warnings.simplefilter("ignore")
        try:
            tuned = build(student=student, lm=lm, engine=engine, meter=meter)
            # A text that lost its purpose sentence would not be measured as what it is.
            return dict(tuned.mutation_templates), meter.n_calls
        except Spent:
            return meter.best(), meter.n_calls


def copro(world: World, seed: int, budget: int) -> tuple[Mapping[str, str], int]:
    """Breadth and depth by the budget; rows by what they leave."""
    breadth, depth = {500: (3, 2), 2_000: (5, 3)}.get(budget, (8, 4))

    def build(student: EvolQuality, lm: dspy.LM, engine: SimulatedEngine, meter: Meter) -> Any:
        # Only the rows of the predictor that changes are asked anew.
        n_texts = 5 * breadth * depth
        # A little more than there is: what is left over is spent as well.
        n_rows = max(5, min(N_ROWS, 5 * (1 + (budget - n_texts) // (2 * n_texts))))
        tuner = dspy.COPRO(
            prompt_model=lm, metric=_metric(engine), breadth=breadth, depth=depth, track_stats=False
        )
        options = {"num_threads": 1, "display_progress": False}
        return tuner.compile(student, trainset=_examples(n_rows), eval_kwargs=options)

    return _compile(world, seed, budget, _without_prefix(build))


def mipro(world: World, seed: int, budget: int) -> tuple[Mapping[str, str], int]:
    """No demos: instructions alone, as for the others.

    Candidates and rows are as many as their product allows, and trials go on until it is spent.
    """
    sizes = {500: (6, 40, 25, 20), 2_000: (20, 45, 45, 150)}
    n_candidates, n_val, n_batch, n_trials = sizes.get(budget, (36, N_ROWS, 45, 200))

    def build(student: EvolQuality, lm: dspy.LM, engine: SimulatedEngine, meter: Meter) -> Any:
        tuner = dspy.MIPROv2(
            metric=_metric(engine), prompt_model=lm, task_model=lm, auto=None, seed=seed,
            num_candidates=n_candidates, max_bootstrapped_demos=0, max_labeled_demos=0,
            num_threads=1,
        )  # fmt: skip
        return tuner.compile(
            student, trainset=_examples(N_ROWS), valset=_examples(n_val, N_ROWS),
            num_trials=n_trials, minibatch_size=n_batch,
            max_bootstrapped_demos=0, max_labeled_demos=0,
            program_aware_proposer=False, data_aware_proposer=False, tip_aware_proposer=False,
            fewshot_aware_proposer=False,
        )  # fmt: skip

    return _compile(world, seed, budget, build)


def gepa(world: World, seed: int, budget: int) -> tuple[Mapping[str, str], int]:
    """The gain moved to [0, 1]: GEPA's merge cannot take signed means."""

    def build(student: EvolQuality, lm: dspy.LM, engine: SimulatedEngine, meter: Meter) -> Any:
        gain = _metric(engine)

        def metric(
            gold: Any, pred: Any, trace: Any = None, pred_name: Any = None, pred_trace: Any = None
        ) -> Any:
            score = (gain(gold, pred) + 1) / 2
            return dspy.Prediction(score=score, feedback=f"The score is {score:.2f}.")

        n_val = {500: 25, 2_000: 50}.get(budget, N_ROWS)
        # A step's cost: a proposal, two minibatches of three, one mutation's rows of the valset.
        step = 1 + 2 * 2 * 3 + 2 * n_val // 5
        tuner = dspy.GEPA(
            metric=metric, reflection_lm=lm, max_metric_calls=10 * budget, num_threads=1,
            component_selector=_RanInMinibatch(), seed=seed,
            gepa_kwargs={"stop_callbacks": [lambda state: meter.n_calls + step > budget]},
        )  # fmt: skip
        return tuner.compile(student, trainset=_examples(N_ROWS), valset=_examples(n_val, N_ROWS))

    return _compile(world, seed, budget, build)


class _RanInMinibatch:
    """Picks one of the templates that ran: GEPA loses an iteration on one that did not."""

    def __call__(
        self, state: Any, trajectories: Any, subsample_scores: Any, candidate_idx: Any,
        candidate: dict[str, str],
    ) -> list[str]:  # fmt: skip
        ran = [
            name
            for t in trajectories
            for predictor, _, _ in t["trace"]
            for name in candidate
            if candidate[name] == predictor.signature.instructions
        ]
        return [random.choice(ran)] if ran else list(candidate)[:1]


def _metric(engine: SimulatedEngine) -> Callable[..., float]:
    def gain(example: Any, prediction: Any, trace: Any = None) -> float:
        return engine.gains[prediction.evolved_response]

    return gain


def _without_prefix(build: Callable[..., Any]) -> Callable[..., Any]:
    """Leaves output prefixes alone: DSPy nests them until it hits the recursion limit."""

    def built(**facts: Any) -> Any:
        signature = dspy.Signature
        original = signature.with_updated_fields

        def with_updated_fields(cls: Any, name: str, type_: Any = None, **changes: Any) -> Any:
            return (
                cls
                if set(changes) == {"prefix"}
                else original.__func__(cls, name, type_, **changes)
            )

        signature.with_updated_fields = classmethod(with_updated_fields)
        try:
            return build(**facts)
        finally:
            signature.with_updated_fields = original

    return built


RIVALS = {"random": random_search, "copro": copro, "mipro": mipro, "gepa": gepa}
