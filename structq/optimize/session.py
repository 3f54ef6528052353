"""Answers the steps of a search from the journal and the LM, and keeps account of both."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from structq.errors import ResumeError
from structq.modules.stream import run_async

from .asker import Asker, Reply
from .evaluator import NOT_RUN, Evaluator
from .journal import Journal, StepRecord
from .result import Progress
from .standings import Standings
from .trials import Answers, Ask, Evaluate, Interrupted, Outcome, Search, Step
from .verdict import Finding, Verdict

__all__ = ["INTERRUPTED", "Session"]

INTERRUPTED = "interrupted, not tested: the templates stay as they were"
"""The verdict where there was no time for one."""


class Session:
    """One run of one search.

    Args:
        evaluator: Answers ``Evaluate``.
        asker: Answers ``Ask``.
        journal: Gets every answer, and gives those of an earlier run.
        standings: Is told every outcome.
        max_seconds: When to tell the search to end; ``None`` for never.
        on_progress: Told where the search stands, in the thread of the caller.
    """

    def __init__(
        self,
        *,
        evaluator: Evaluator,
        asker: Asker,
        journal: Journal,
        standings: Standings,
        max_seconds: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.failures: Counter[str] = Counter()
        self.n_trials = 0
        self.n_steps = 0
        self.interrupted = False
        self._evaluator = evaluator
        self._asker = asker
        self._journal = journal
        self._standings = standings
        self._max_seconds = max_seconds
        self._on_progress = on_progress
        self._earlier_s = 0.0
        self._started = time.monotonic()
        self._stop = False

    @property
    def seconds(self) -> float:
        """Time that the search has taken, of earlier runs too."""
        return self._earlier_s + time.monotonic() - self._started

    def run(self, search: Search) -> Finding:
        """What the search finds; after an interrupt, what it had until then, untested.

        What is in flight at an interrupt is waited for and kept; a second interrupt drops it.

        Raises:
            ResumeError: The search goes another way than the one that wrote the journal.
        """
        answers: Answers | None = None
        try:
            while True:
                step = next(search) if answers is None else search.send(answers)
                answers = self._answer(step)
        except StopIteration as end:
            finding: Finding = end.value
            return finding
        except KeyboardInterrupt:
            self.interrupted = True
            return self._untested(search)
        finally:
            search.close()

    def _untested(self, search: Search) -> Finding:
        seed, best, history = self._standings.seed, self._standings.best, ()
        try:
            search.throw(Interrupted())
        except StopIteration as end:
            best, history = end.value.best, end.value.history
        except Interrupted:
            pass  # a search that knows of no interrupts has nothing to say
        verdict = Verdict(accepted=False, reason=INTERRUPTED, gain=None, p_value=None)
        return Finding(seed=seed, best=best, verdict=verdict, gains={}, history=history)

    def _answer(self, step: Step) -> Answers:
        self.n_steps += 1
        record = self._journal.steps.get(self.n_steps, StepRecord())
        if isinstance(step, Evaluate):
            answers = self._evaluate(step, record)
        else:
            answers = self._ask(step, record)
        self._end_step(record)
        self._tell()
        return Answers(outcomes=answers.outcomes, replies=answers.replies, stop=self._stop)

    def _evaluate(self, step: Evaluate, record: StepRecord) -> Answers:
        self._check(step, record)
        found = run_async(
            self._evaluator.evaluate(step.trials, self._keep_outcome, record.outcomes),
            on_interrupt=self._close,
            on_wait=self._tell,
        )
        for outcome in record.outcomes.values():
            self._count(outcome)
        outcomes = tuple(outcome for outcome in found if outcome is not None)
        # What the budget refused once it would refuse again: the search is over.
        self._stop = self._stop or any(outcome.failure == NOT_RUN for outcome in outcomes)
        for outcome in outcomes:
            self._standings.add(outcome)
        return Answers(outcomes=outcomes)

    def _ask(self, step: Ask, record: StepRecord) -> Answers:
        self._check(step, record)
        replies = run_async(
            self._asker.ask(step.prompts, self._keep_reply, record.replies),
            on_interrupt=self._close,
            on_wait=self._tell,
        )
        return Answers(replies=tuple(replies))

    def _check(self, step: Step, record: StepRecord) -> None:
        """Whether the answers in the journal are answers to this step."""
        trials = step.trials if isinstance(step, Evaluate) else ()
        n_prompts = len(step.prompts) if isinstance(step, Ask) else 0
        same = all(
            place < len(trials) and outcome.trial == trials[place]
            for place, outcome in record.outcomes.items()
        ) and all(place < n_prompts for place in record.replies)
        if not same:
            raise ResumeError(
                f"{self._journal.path}: step {self.n_steps} is another one now: the journal was "
                "written by another version of the search",
                differs=("search",),
            )

    def _end_step(self, record: StepRecord) -> None:
        if record.seconds is not None:
            self._stop = self._stop or record.stop
            self._earlier_s = record.seconds
            self._started = time.monotonic()
            return
        late = self._max_seconds is not None and self.seconds >= self._max_seconds
        self._stop = self._stop or late
        self._journal.end_step(self.n_steps, seconds=self.seconds, stop=self._stop)

    def _keep_outcome(self, place: int, outcome: Outcome) -> None:
        self._journal.add_outcome(self.n_steps, place, outcome)
        self._count(outcome)

    def _keep_reply(self, place: int, reply: Reply) -> None:
        self._journal.add_reply(self.n_steps, place, reply)

    def _count(self, outcome: Outcome) -> None:
        self.n_trials += 1
        if outcome.failure is not None:
            self.failures[outcome.failure] += 1

    def _close(self) -> None:
        self._evaluator.closing = self._asker.closing = True

    def _tell(self) -> None:
        if self._on_progress is not None:
            budget = self._evaluator.budget
            self._on_progress(
                Progress(
                    n_calls=budget.spent,
                    max_lm_calls=budget.limit,
                    n_steps=self.n_steps,
                    n_failed=self.failures.total(),
                    lead=self._standings.lead,
                    seconds=self.seconds,
                )
            )
