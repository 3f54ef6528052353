"""Runs trials on the LM: many in flight, none twice, never a call over the budget."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import dspy

from structq.errors import StructqError, TemplateError, shorten
from structq.modules import EvolQuality
from structq.modules.rows import describe_error
from structq.modules.stream import stream
from structq.templates import check_mutation

from .budget import Budget, Tab
from .gate import praises_itself
from .lms import bare_copy, count_calls, is_transient, n_retries
from .metric import Measured
from .trials import Outcome, Split, Trial

__all__ = ["NOT_RUN", "Evaluator", "Metric"]

NOT_RUN = "not run: the budget of LM calls is spent"
"""Reason of an outcome that the budget refused."""

Row = Mapping[str, str]
Key = tuple[str, str, str, str]


class Metric(Protocol):
    """What an evolution is worth; ``QualityGain`` is one."""

    @property
    def max_calls(self) -> int:
        """Most LM calls that one measurement makes, if the LM itself retries nothing."""

    @property
    def n_retries(self) -> int:
        """How often a measurement is repeated that failed for a passing reason."""

    @property
    def failure_score(self) -> float:
        """What a row counts that has no evolution or no score."""

    async def ameasure(self, instruction: str, response: str, evolved: str) -> Measured:
        """The gain of an evolved response; a failure is a value with its reason."""

    def bare(self) -> Metric:
        """A copy whose LM retries nothing by itself."""

    def describe(self) -> dict[str, Any]:
        """What its values depend on, as JSON values."""


class Evaluator:
    """The outcomes of trials.

    Args:
        student: Its LM, settings and predictors evolve, with one step of the trial's mutation and
            text. It is not changed.
        metric: What an evolution is worth.
        rows: The rows of each split: ``instruction`` and ``response``.
        budget: Counts every call.

    Attributes:
        closing: Set it, and no further trial is begun.
    """

    def __init__(
        self,
        student: EvolQuality,
        metric: Metric,
        *,
        rows: Mapping[Split, Sequence[Row]],
        budget: Budget,
    ) -> None:
        self.budget = budget
        self.closing = False
        self._metric = metric.bare()
        self._rows = rows
        self._n_retries = n_retries(student), metric.n_retries
        self._base = bare_copy(student)
        self._base.num_evolutions = 1
        self._base.store_evolutions = self._base.include_original_response = False
        self._known: dict[Key, Outcome] = {}

    @property
    def max_calls(self) -> int:
        """Most LM calls of one trial, unless a server fails and is asked again."""
        return int(self._base.max_attempts + self._metric.max_calls)

    async def evaluate(
        self,
        trials: Sequence[Trial],
        on_outcome: Callable[[int, Outcome], None],
        done: Mapping[int, Outcome] | None = None,
    ) -> list[Outcome | None]:
        """The outcome of each trial, in order.

        What the budget cannot pay for in the worst case waits until the rest has shown its true
        cost; what it cannot pay for then is refused as a failure that costs nothing. Equal trials
        are run once and cost once.

        Args:
            trials: Any number.
            on_outcome: Told of each new outcome, with the trial's place, as soon as it is there.
            done: Outcomes of an earlier run that was interrupted, by place.

        Returns:
            ``None`` for a trial that was not begun because ``closing`` was set.
        """
        fresh = self._fresh(trials)
        for outcome in (done or {}).values():
            self.budget.restore(outcome.n_calls)
            self._known[self._key(outcome.trial)] = outcome
        waiting = [(i, trial) for i, trial in fresh.items() if self._key(trial) not in self._known]
        while waiting and not self.closing:
            n_admitted = self.budget.left // self.max_calls
            if n_admitted < 1:
                break
            await self._run_wave(waiting[:n_admitted], on_outcome)
            waiting = waiting[n_admitted:]
        return list(self._answers(trials, fresh))

    def _fresh(self, trials: Sequence[Trial]) -> dict[int, Trial]:
        """The trials that nobody has run, by place; the first of equal ones."""
        seen = set(self._known)
        fresh: dict[int, Trial] = {}
        for place, trial in enumerate(trials):
            if (key := self._key(trial)) not in seen:
                fresh[place] = trial
                seen.add(key)
        return fresh

    def _answers(
        self, trials: Sequence[Trial], fresh: Mapping[int, Trial]
    ) -> Iterator[Outcome | None]:
        for place, trial in enumerate(trials):
            known = self._known.get(self._key(trial))
            if known is None:
                yield None if self.closing else self._failed(trial, NOT_RUN, 0)
            else:
                n_calls = known.n_calls if place in fresh else 0
                yield replace(known, trial=trial, n_calls=n_calls)

    async def _run_wave(
        self, wave: Sequence[tuple[int, Trial]], on_outcome: Callable[[int, Outcome], None]
    ) -> None:
        async def run(item: tuple[int, Trial]) -> None:
            place, trial = item
            tab = Tab(self.budget)
            if self.closing or not tab.extend(self.max_calls):
                return
            try:
                outcome = await self._outcome(trial, tab)
            except BaseException:  # cancelled, as a rule: what is in flight may have been answered
                tab.close(known=False)
                raise
            tab.close()
            self._known[self._key(trial)] = outcome
            on_outcome(place, outcome)

        with dspy.context(disable_history=True, trace=None):
            async for _ in stream(run, wave, n_in_flight=self._base.n_in_flight):
                pass

    async def _outcome(self, trial: Trial, tab: Tab) -> Outcome:
        row = self._rows[trial.split][trial.row]
        asked = {"instruction": row["instruction"], "response": row["response"]}
        try:
            evolved = await self._evolve(self._worker(trial), trial.mutation, asked, tab)
        except StructqError as error:
            return self._failed(trial, _reason(error), tab.n_made)
        if praises_itself(evolved, row["response"]):
            # A judge that reads text may believe it, and no test on the same judge would show it.
            failed = self._failed(trial, "not scored: the evolution praises itself", tab.n_made)
            return replace(failed, evolved=evolved)
        found = await self._measure(asked, evolved, tab)
        failure = None if found.failure is None else f"no score: {shorten(found.failure, 300)}"
        return Outcome(
            trial=trial, gain=found.gain, n_calls=tab.n_made, evolved=evolved, failure=failure,
            original=None if found.scores is None else found.scores[0],
        )  # fmt: skip

    async def _evolve(
        self, worker: EvolQuality, mutation: str, asked: Mapping[str, Any], tab: Tab
    ) -> str:
        for n_failed in range(self._n_retries[0] + 1):
            try:
                prediction = await worker.acall(**asked, mutation=mutation)
            except StructqError as error:
                tab.n_made += count_calls(error.calls)
                again = n_failed < self._n_retries[0] and is_transient(error)
                if not again or not tab.extend(worker.max_attempts):
                    raise
                await _wait(getattr(error, "retry_after", None), n_failed)
            else:
                tab.n_made += count_calls(prediction.metadata["calls"])
                return str(prediction.evolved_response)
        raise AssertionError  # the last attempt returns or raises

    async def _measure(self, asked: Mapping[str, str], evolved: str, tab: Tab) -> Measured:
        n_failed = 0
        while True:
            found = await self._metric.ameasure(**asked, evolved=evolved)
            tab.n_made += found.n_calls
            again = found.transient and n_failed < self._n_retries[1]
            if not again or not tab.extend(self._metric.max_calls):
                return found
            await _wait(found.retry_after, n_failed)
            n_failed += 1

    def _worker(self, trial: Trial) -> EvolQuality:
        """The student with the trial's template in place of the mutation's own.

        Raises:
            TemplateError: The text is no template; no LM has seen it.
        """
        if trial.mutation not in self._base.mutations:
            raise TemplateError(f"there is no mutation {shorten(trial.mutation)}")
        check_mutation(trial.text, trial.mutation)
        predictor = copy.copy(self._base.mutations[trial.mutation])
        predictor.signature = predictor.signature.with_instructions(trial.text)
        worker = copy.copy(self._base)
        worker.mutations = {trial.mutation: predictor}
        worker.mutation_weights = None
        return worker

    def _failed(self, trial: Trial, reason: str, n_calls: int) -> Outcome:
        gain = self._metric.failure_score
        return Outcome(trial=trial, gain=gain, n_calls=n_calls, failure=reason)

    def _key(self, trial: Trial) -> Key:
        row = self._rows[trial.split][trial.row]
        return trial.mutation, trial.text, row["instruction"], row["response"]


async def _wait(retry_after: float | None, n_failed: int) -> None:
    """As long as the server asks for, else one second, two, four, ..."""
    await asyncio.sleep(2.0**n_failed if retry_after is None else retry_after)


def _reason(error: StructqError) -> str:
    facts = describe_error(error)
    return f"no evolution: {facts['type']}: {shorten(facts['message'], 300)}"
