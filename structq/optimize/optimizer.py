"""TemplateOptimizer: better mutation templates within a budget, or the ones that there were."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter

from structq.errors import InputError, shorten
from structq.modules import EvolQuality
from structq.modules.settings import check_bool, check_seed

from .asker import Asker
from .budget import Budget
from .configuration import configuration
from .evaluator import Evaluator
from .journal import Journal
from .plain import UNKNOWN, as_metric
from .policy import FixedWeights, GainWeights
from .proposers import Crossover, Library, Paraphrase, Proposer, Reflective
from .result import Optimization, Progress
from .rows import TuningRows, tuning_rows
from .search import SearchBudget, template_search
from .session import Session
from .standings import Standings
from .trials import Search
from .verdict import Candidate

__all__ = ["TemplateOptimizer"]

_PROPOSERS: dict[str, Callable[[], Proposer]] = {
    "library": Library,
    "reflective": Reflective,
    "paraphrase": Paraphrase,
    "crossover": Crossover,
}


class TemplateOptimizer(Teleprompter):  # type: ignore[misc]
    """Tunes the mutation templates of an ``EvolQuality`` for given data, LM and judge.

    The search sees the training rows alone. Its best candidate meets the templates that it began
    with once, on the validation rows, by a paired test; unless it is better at the chosen level,
    the old templates are returned and ``result`` says so. The budget counts every LM call
    (evolutions, scores, proposals, and what is asked again after a failure) and is never passed.

    Args:
        metric: A ``QualityGain``, or a function of (example, prediction) that makes no LM calls.
        max_lm_calls: Most LM calls.
        max_seconds: When to end the search and go on to the verdict; the verdict's own time comes
            on top.
        proposer: ``"library"`` (hand-written sentences, no LM), ``"reflective"`` and
            ``"paraphrase"`` (an LM writes), ``"crossover"``, several of them, or objects with a
            ``propose`` method.
        proposer_lm: Who writes, where a proposer asks one; by default the student's LM.
        learn_weights: Whether the candidate also draws better mutations more often, and drops one
            that harms (``mutation_weights``); it is tested as a whole.
        seed: Fixes every draw.
        level: Of the test: how often, at most, templates that are no better may pass for better.
        checkpoint: A file that gets every answer as it comes. If it is there already, the run goes
            on from it: no call is repeated, and the result is that of a run without a break.
        metric_name: By what a checkpoint knows a metric that is a function, in place of its code
            and the values that it uses; change it whenever the function computes something else.
        on_progress: Called with a ``Progress`` as the search goes on, in the caller's thread.
        search: In place of structq's own: called as ``template_search`` is.

    Attributes:
        result: The ``Optimization`` of the last ``compile``; also on the tuned module, as
            ``optimization``.

    Raises:
        InputError: A value is wrong; the message names it.

    Example:
        >>> optimizer = TemplateOptimizer(QualityGain(scorer), max_lm_calls=2000)
        >>> tuned = optimizer.compile(EvolQuality(lm=lm), trainset=rows)
        >>> print(tuned.optimization.verdict.reason)
    """

    def __init__(
        self,
        metric: Any,
        *,
        max_lm_calls: int,
        max_seconds: float | None = None,
        proposer: str | Sequence[Any] | Any = "library",
        proposer_lm: dspy.BaseLM | str | None = None,
        learn_weights: bool = False,
        seed: int = 0,
        level: float = 0.05,
        checkpoint: str | Path | None = None,
        metric_name: str | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        search: Callable[..., Search] = template_search,
    ) -> None:
        super().__init__()
        Budget(limit=max_lm_calls)
        check_seed(seed)
        check_bool(learn_weights, "learn_weights")
        _check_between(level, "level", 0, 1)
        if max_seconds is not None:
            _check_between(max_seconds, "max_seconds", 0, math.inf)
        self.metric = as_metric(metric, metric_name)
        if checkpoint is not None and (reason := self.metric.describe().get(UNKNOWN)):
            raise InputError(
                f"metric: a checkpoint cannot tell it from others: {reason} (give metric_name=, "
                "and another one whenever it computes something else)",
                field="metric",
            )
        self.max_lm_calls = max_lm_calls
        self.max_seconds = max_seconds
        self.proposers = _check_proposers(proposer)
        self.learn_weights = learn_weights
        self.proposer_lm = proposer_lm
        self.seed = seed
        self.level = level
        self.checkpoint = checkpoint
        self.on_progress = on_progress
        self.search = search
        self.result: Optimization | None = None

    def compile(
        self,
        student: EvolQuality,
        *,
        trainset: Sequence[Any],
        teacher: dspy.Module | None = None,
        valset: Sequence[Any] | None = None,
        **options: Any,
    ) -> EvolQuality:
        """A copy of the student: with better templates if they are proven, else with its own.

        An interrupt ends the search: what is in flight is kept, the student's templates are
        returned, and ``result`` and the checkpoint have the best candidate so far.

        Args:
            student: Its templates are the seed. It is not changed.
            trainset: Rows to search with: ``instruction`` and ``response``.
            teacher: Not used.
            valset: Rows for the verdict; by default half of the trainset is set aside.
            options: None are known.

        Raises:
            InputError: The student, a row or the number of rows is wrong.
            ResumeError: The checkpoint belongs to another configuration.
        """
        if options:
            name = next(iter(options))
            raise InputError(f"{name}: compile knows no such option", field=name)
        if not isinstance(student, EvolQuality):
            raise InputError(
                f"student: must be an EvolQuality, found {shorten(student)}", field="student"
            )
        student.check()
        student.answering_lms()
        rows = tuning_rows(trainset, valset, seed=self.seed)
        self.result = self._optimize(student, rows)
        return _tuned(student, self.result)

    def _optimize(self, student: EvolQuality, rows: TuningRows) -> Optimization:
        seed = Candidate(templates=student.mutation_templates, weights=student.mutation_weights)
        budget = Budget(limit=self.max_lm_calls)
        splits = {"train": rows.train, "val": rows.val}
        evaluator = Evaluator(student, self.metric, rows=splits, budget=budget)  # type: ignore[arg-type]
        proposer_lm = self._proposer_lm(student)
        standings = Standings(seed)
        with Journal(self.checkpoint, self._configuration(student, rows, proposer_lm)) as journal:
            session = Session(
                evaluator=evaluator,
                asker=Asker(proposer_lm, budget=budget),
                journal=journal,
                standings=standings,
                max_seconds=self.max_seconds,
                on_progress=self.on_progress,
            )
            finding = session.run(self._search(seed, rows, evaluator))
            best = finding.best
            journal.note(
                reason=finding.verdict.reason,
                accepted=finding.verdict.accepted,
                best={"templates": dict(best.templates), "weights": best.weights},
            )
        return Optimization(
            finding=finding,
            n_calls=budget.spent,
            max_lm_calls=budget.limit,
            seconds=session.seconds,
            interrupted=session.interrupted,
            failures=dict(session.failures.most_common()),
            n_trials=session.n_trials,
            notes=rows.notes,
        )

    def _search(self, seed: Candidate, rows: TuningRows, evaluator: Evaluator) -> Search:
        return self.search(
            seed,
            n_train=len(rows.train),
            n_val=len(rows.val),
            budget=SearchBudget(max_calls=self.max_lm_calls, calls_per_trial=evaluator.max_calls),
            proposers=self.proposers,
            seed_number=self.seed,
            level=self.level,
            rows=[(row["instruction"], row["response"]) for row in rows.train],
            policy=GainWeights() if self.learn_weights else FixedWeights(),
        )

    def _proposer_lm(self, student: EvolQuality) -> dspy.BaseLM:
        if isinstance(self.proposer_lm, str):
            self.proposer_lm = import_module("structq.engines").lm(self.proposer_lm)
        lm: dspy.BaseLM = self.proposer_lm or student.answering_lms()[0]
        return lm

    def _configuration(
        self, student: EvolQuality, rows: TuningRows, proposer_lm: dspy.BaseLM
    ) -> dict[str, Any]:
        return configuration(
            student,
            self.metric,
            rows,
            proposer_lm,
            max_lm_calls=self.max_lm_calls,
            seed=self.seed,
            level=self.level,
            proposers=self.proposers,
            learn_weights=self.learn_weights,
        )


def _tuned(student: EvolQuality, result: Optimization) -> EvolQuality:
    tuned: EvolQuality = student.deepcopy()
    chosen = result.finding.chosen
    for name, text in chosen.templates.items():
        predictor = tuned.mutations[name]
        predictor.signature = predictor.signature.with_instructions(text)
    if result.finding.verdict.accepted:
        tuned.mutation_weights = None if chosen.weights is None else dict(chosen.weights)
    tuned.check()
    tuned.optimization = result
    return tuned


def _check_proposers(proposer: Any) -> list[Proposer]:
    given = list(proposer) if isinstance(proposer, list | tuple) else [proposer]
    if given and all(one == "crossover" or isinstance(one, Crossover) for one in given):
        raise InputError(
            "proposer: crossover joins texts that others proposed (name another one beside it, as "
            "in ['library', 'crossover'])",
            field="proposer",
        )
    if not given:
        raise InputError("proposer: there is none (at least one is needed)", field="proposer")
    return [_check_proposer(one) for one in given]


def _check_proposer(one: Any) -> Proposer:
    if isinstance(one, str) and one in _PROPOSERS:
        return _PROPOSERS[one]()
    if isinstance(one, str) or not hasattr(one, "propose"):
        allowed = ", ".join(map(repr, _PROPOSERS))
        raise InputError(
            f"proposer: must be {allowed} or an object with propose(), found {shorten(one)}",
            field="proposer",
        )
    found: Proposer = one
    return found


def _check_between(value: object, field: str, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low < value < high:  # type: ignore[operator]
        allowed = f"above {low:g}" + (f" and below {high:g}" if high < math.inf else "")
        raise InputError(
            f"{field}: must be a number {allowed}, found {shorten(value)}", field=field
        )
