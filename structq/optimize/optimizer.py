"""TemplateOptimizer: better texts within a budget, or the ones that there were."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import dspy
from dspy.teleprompt import Teleprompter

from structq.errors import InputError, shorten
from structq.journal import describe_lm
from structq.journal.fingerprint import UnknownError, fingerprint
from structq.modules.settings import check_seed

from .budget import Budget, gate_of
from .evaluator import Evaluator
from .metric import UNKNOWN, as_metric
from .proposers import Library, Paraphrase, Proposer, Reflective, Shorten
from .result import Optimization, Progress
from .rows import TuningRows, tuning_rows
from .search import template_search
from .session import Session
from .store import Store
from .subjects import Subject, subject_of
from .trials import Search
from .warm import known_trials

__all__ = ["TemplateOptimizer"]

_PROPOSERS: dict[str, Callable[[], Proposer]] = {
    "library": Library,
    "reflective": Reflective,
    "paraphrase": Paraphrase,
    "shorten": Shorten,
}


class TemplateOptimizer(Teleprompter):  # type: ignore[misc]
    """Tunes the mutation templates of an ``EvolQuality`` for given data, LM and judge.

    Or the instructions of any DSPy module, such as the criteria of a ``QualityScorer``.

    The search sees the training rows alone. Its best candidate meets the texts that it began with
    once, on the validation rows, by a paired test; unless it is better at the chosen level, the old
    texts are returned and ``result`` says so. The budget counts every LM call (evolutions, scores,
    proposals, and what is asked again after a failure) and is never passed.

    Args:
        metric: A ``QualityGain``, or a function of (example, prediction) as ``dspy.GEPA`` takes
            it: it gives a number, or an object with ``score`` and ``feedback``.
        max_lm_calls: Most LM calls.
        max_seconds: When to end the search and go on to the verdict; the verdict's own time comes
            on top.
        proposer: ``"library"`` (hand-written sentences, no LM), ``"shorten"`` (cuts the purpose
            sentence, no LM), ``"reflective"`` and ``"paraphrase"`` (an LM writes), several of
            them, or objects with a ``propose`` method. ``"auto"``: all; who earns more is asked
            more.
        proposer_lm: Who writes, where a proposer asks one; by default the student's LM.
        seed: Fixes every draw.
        level: Of the test: how often, at most, texts that are no better may pass for better.
        checkpoint: A file that gets every answer as it comes. If it is there already, the run goes
            on from it: no call is repeated, and the result is that of a run without a break.
        metric_name: By what a checkpoint knows a metric that is a function, in place of its code
            and the values that it uses; change it whenever the function computes something else.
        warm_start: Journals of earlier ``structq run``s: what they measured is where the search
            begins.
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
        proposer: str | Sequence[Any] | Any = "auto",
        proposer_lm: dspy.BaseLM | str | None = None,
        seed: int = 0,
        level: float = 0.05,
        checkpoint: str | Path | None = None,
        metric_name: str | None = None,
        warm_start: str | Path | Sequence[str | Path] = (),
        on_progress: Callable[[Progress], None] | None = None,
        search: Callable[..., Search] = template_search,
    ) -> None:
        super().__init__()
        Budget(limit=max_lm_calls)
        check_seed(seed)
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
        self.max_lm_calls, self.max_seconds = max_lm_calls, max_seconds
        self.proposers, self.proposer_lm = _check_proposers(proposer), proposer_lm
        self.seed, self.level, self.checkpoint = seed, level, checkpoint
        self.warm_start = [warm_start] if isinstance(warm_start, str | Path) else list(warm_start)
        self.on_progress, self.search = on_progress, search
        self.result: Optimization | None = None

    def compile(
        self,
        student: Any,
        *,
        trainset: Sequence[Any],
        teacher: dspy.Module | None = None,
        valset: Sequence[Any] | None = None,
        **options: Any,
    ) -> Any:
        """A copy of the student: with better texts if they are proven, else with its own.

        An interrupt ends the search: what is in flight is kept, the student's texts are returned,
        and ``result`` and the checkpoint have the best candidate so far.

        Args:
            student: Its texts are the seed. It is not changed.
            trainset: Rows to search with: ``instruction`` and ``response`` for an ``EvolQuality``,
                else examples with their inputs set.
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
        budget = Budget(limit=self.max_lm_calls)
        gate = gate_of(budget)
        subject = subject_of(student, gate)
        rows = tuning_rows(trainset, valset, subject.row, seed=self.seed)
        lm = self._proposer_lm(student)
        with Store(self.checkpoint, self._facts(subject, rows, lm)) as store:
            evaluator = Evaluator(
                subject, self.metric.behind(gate), rows={"train": rows.train, "val": rows.val},
                budget=budget, store=store, lm=None if lm is None else gate(lm),
                n_in_flight=getattr(student, "n_in_flight", 16),
            )  # fmt: skip
            session = Session(
                evaluator, store, max_seconds=self.max_seconds, on_progress=self.on_progress
            )
            search = self._search(subject, rows, evaluator.max_calls)
            finding = session.run(search, subject.space)
            self.result = Optimization(
                finding=finding,
                n_calls=budget.spent,
                max_lm_calls=budget.limit,
                seconds=session.seconds,
                interrupted=session.interrupted,
                failures=dict(session.failures.most_common()),
                n_trials=session.n_trials,
                notes=rows.notes,
            )
            store.note("optimization", self.result.to_json())
        tuned = subject.apply(finding.chosen)
        tuned.optimization = self.result
        return tuned

    def _search(self, subject: Subject, rows: TuningRows, calls_per_trial: int) -> Search:
        return self.search(
            subject.space,
            n_train=len(rows.train),
            n_val=len(rows.val),
            max_calls=self.max_lm_calls,
            calls_per_trial=calls_per_trial,
            proposers=self.proposers,
            seed=self.seed,
            level=self.level,
            rows=[subject.shown(row) for row in rows.train],
            known=known_trials(self.warm_start),
            task=subject.task,
        )

    def _proposer_lm(self, student: dspy.Module) -> dspy.BaseLM | None:
        if isinstance(self.proposer_lm, str):
            self.proposer_lm = import_module("structq.engines").lm(self.proposer_lm)
        if self.proposer_lm is not None:
            return self.proposer_lm
        own = [predictor.lm for predictor in student.predictors() if predictor.lm is not None]
        lm: dspy.BaseLM | None = own[0] if own else dspy.settings.lm
        return lm

    def _facts(
        self, subject: Subject, rows: TuningRows, lm: dspy.BaseLM | None
    ) -> Mapping[str, Any]:
        """What a resumed run must share, each by the name that a user knows.

        Addresses and secrets of LMs are not in it, and neither is the time limit.
        """
        return {
            **subject.describe(),
            "metric": self.metric.describe(),
            "trainset": rows.digest("train"),
            "valset": rows.digest("val"),
            "max_lm_calls": self.max_lm_calls,
            "seed": self.seed,
            "level": self.level,
            "proposer": [_known_by(proposer) for proposer in self.proposers],
            "proposer_lm": None if lm is None else describe_lm(lm),
            "warm_start": [str(path) for path in self.warm_start],
        }


def _known_by(proposer: Proposer) -> str:
    """A proposer by its class, and by what it was made with where that has a form."""
    name = type(proposer).__qualname__
    try:
        return f"{name} {fingerprint(proposer)}"
    except UnknownError:
        return name


def _check_proposers(proposer: Any) -> list[Proposer]:
    given = list(proposer) if isinstance(proposer, list | tuple) else [proposer]
    given = [name for one in given for name in (_PROPOSERS if one == "auto" else (one,))]
    if not given:
        raise InputError("proposer: there is none (at least one is needed)", field="proposer")
    return [_check_proposer(one) for one in given]


def _check_proposer(one: Any) -> Proposer:
    if isinstance(one, str) and one in _PROPOSERS:
        return _PROPOSERS[one]()
    if isinstance(one, str) or not hasattr(one, "propose"):
        allowed = ", ".join(map(repr, ("auto", *_PROPOSERS)))
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
