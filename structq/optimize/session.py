"""Answers the steps of a search, and keeps account of what it took."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from structq.modules.stream import run_async

from .evaluator import NOT_RUN, Evaluator
from .result import Finding, Progress, Verdict
from .store import Store
from .trials import Answers, Evaluate, Interrupted, Search, Space, Step

__all__ = ["INTERRUPTED", "Session"]

INTERRUPTED = "interrupted, not tested: the templates stay as they were"
"""The verdict where there was no time for one."""


class Session:
    """One run of one search.

    Args:
        evaluator: Answers the steps.
        store: Knows when an earlier run ended each step.
        max_seconds: When to tell the search to end; ``None`` for never.
        on_progress: Told where the search stands, in the thread of the caller.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        store: Store,
        *,
        max_seconds: float | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.failures: Counter[str] = Counter()
        self.n_trials = self.n_steps = 0
        self.interrupted = False
        self._evaluator, self._store = evaluator, store
        self._max_seconds, self._on_progress = max_seconds, on_progress
        self._earlier_s, self._started = 0.0, time.monotonic()
        self._stop, self._lead = False, 0.0

    @property
    def seconds(self) -> float:
        """Time that the search has taken, of earlier runs too."""
        return self._earlier_s + time.monotonic() - self._started

    def run(self, search: Search, space: Space) -> Finding:
        """What the search finds; after an interrupt, what it had until then, untested.

        What is in flight at an interrupt is waited for and kept; a second interrupt drops it.
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
            return _untested(search, space)
        finally:
            search.close()

    def _answer(self, step: Step) -> Answers:
        self.n_steps += 1
        self._lead = step.lead
        evaluator = self._evaluator
        outcomes, replies = [], []
        if isinstance(step, Evaluate):
            found = run_async(
                evaluator.evaluate(step.trials), on_interrupt=self._close, on_wait=self._tell
            )
            outcomes = [outcome for outcome in found if outcome is not None]
            ran = [o for o in outcomes if o.n_calls or (o.failure and o.failure != NOT_RUN)]
            self.n_trials += len(ran)
            self.failures.update(o.failure for o in ran if o.failure is not None)
            # What the budget refused once it would refuse again: the search is over.
            self._stop = self._stop or any(o.failure == NOT_RUN for o in outcomes)
        else:
            replies = run_async(
                evaluator.ask(self.n_steps, step.prompts),
                on_interrupt=self._close, on_wait=self._tell,
            )  # fmt: skip
        self._end_step()
        self._tell()
        return Answers(
            n_left=evaluator.budget.left, outcomes=tuple(outcomes), replies=tuple(replies),
            stop=self._stop,
        )  # fmt: skip

    def _end_step(self) -> None:
        if (known := self._store.end(self.n_steps)) is not None:
            self._earlier_s, self._started = known[0], time.monotonic()
            self._stop = self._stop or known[1]
            return
        late = self._max_seconds is not None and self.seconds >= self._max_seconds
        self._stop = self._stop or late
        self._store.keep_end(self.n_steps, seconds=self.seconds, stop=self._stop)

    def _close(self) -> None:
        self._evaluator.closing = True

    def _tell(self) -> None:
        if self._on_progress is not None:
            budget = self._evaluator.budget
            self._on_progress(
                Progress(
                    n_calls=budget.spent,
                    max_lm_calls=budget.limit,
                    n_steps=self.n_steps,
                    n_failed=self.failures.total(),
                    lead=self._lead,
                    seconds=self.seconds,
                )
            )


def _untested(search: Search, space: Space) -> Finding:
    best, history = space.templates, ()
    try:
        search.throw(Interrupted())
    except StopIteration as end:
        best, history = end.value.best, end.value.history
    except Interrupted:
        pass  # a search that knows of no interrupts has nothing to say
    verdict = Verdict(accepted=False, reason=INTERRUPTED)
    return Finding(seed=space.templates, best=best, verdict=verdict, history=history)
