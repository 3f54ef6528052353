"""Runs trials and asks for proposals: many in flight, none twice, never a call over the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import dspy

from structq.adapter.requests import ask_async, build_request
from structq.errors import BudgetExceededError, LMError, StructqError, describe_error, shorten
from structq.modules.stream import stream

from .budget import Budget, Tab
from .metric import Metric
from .rows import row_key
from .store import Store, trial_key
from .subjects import Subject
from .trials import Outcome, Split, Trial

__all__ = ["NOT_RUN", "Evaluator"]

NOT_RUN = "not run: the budget of LM calls is spent"
"""Reason of an outcome that the budget refused."""


class Evaluator:
    """The outcomes of trials and the replies to prompts.

    Args:
        subject: The program that is tuned.
        metric: What an output is worth; its LM is behind the gate.
        rows: Of each split.
        budget: Counts every call.
        store: Gets every answer, and gives those of an earlier run.
        lm: The proposer's, behind the gate.
        n_in_flight: Most trials that are run at once.

    Attributes:
        closing: Set it, and nothing further is begun.
    """

    def __init__(
        self,
        subject: Subject,
        metric: Metric,
        *,
        rows: Mapping[Split, Sequence[dspy.Example]],
        budget: Budget,
        store: Store,
        lm: dspy.BaseLM | None = None,
        n_in_flight: int = 16,
    ) -> None:
        self.budget, self.closing = budget, False
        self._subject, self._metric, self._rows, self._store = subject, metric, rows, store
        self._lm, self._n_in_flight = lm, n_in_flight
        self._known: dict[bytes, Outcome] = {}

    @property
    def max_calls(self) -> int:
        """Most LM calls of one trial, unless a server fails and is asked again."""
        return int(self._subject.max_calls + self._metric.max_calls)

    async def evaluate(self, trials: Sequence[Trial]) -> list[Outcome | None]:
        """The outcome of each trial, in order.

        What the budget cannot pay for in the worst case waits until the rest has shown its true
        cost; what it cannot pay for then is refused as a failure that costs nothing. Equal trials
        are run once and cost once.

        Returns:
            ``None`` for a trial that was not begun because ``closing`` was set.
        """
        keys = [trial_key(t, row_key(self._rows[t.split][t.row])) for t in trials]
        fresh = {
            key: (place, trial)
            for place, (key, trial) in reversed(list(enumerate(zip(keys, trials, strict=True))))
            if key not in self._known
        }
        waiting = []
        for key, (place, trial) in sorted(fresh.items(), key=lambda item: item[1][0]):
            if (kept := self._store.outcome(key, trial)) is not None:
                self.budget.settle(0, kept.n_calls)
                self._known[key] = kept
            else:
                waiting.append((key, trial))
            fresh[key] = place, trial
        while waiting and not self.closing:
            n_admitted = self.budget.left // self.max_calls
            if n_admitted < 1:
                break
            await self._run_wave(waiting[:n_admitted])
            waiting = waiting[n_admitted:]
        return [
            self._answer(key, trial, is_first=key in fresh and fresh[key][0] == place)
            for place, (key, trial) in enumerate(zip(keys, trials, strict=True))
        ]

    def _answer(self, key: bytes, trial: Trial, *, is_first: bool) -> Outcome | None:
        known = self._known.get(key)
        if known is None:
            return None if self.closing else self._failed(trial, NOT_RUN, 0)
        return replace(known, trial=trial, n_calls=known.n_calls if is_first else 0)

    async def _run_wave(self, wave: Sequence[tuple[bytes, Trial]]) -> None:
        async def run(item: tuple[bytes, Trial]) -> None:
            key, trial = item
            tab = Tab(self.budget)
            if self.closing or not tab.reserve(self.max_calls):
                return
            with tab.open():
                outcome = await self._outcome(trial, tab)
            self._known[key] = outcome
            row = self._rows[trial.split][trial.row]
            self._store.keep_outcome(key, outcome, row_key(row))

        with self._subject.settings():
            async for _ in stream(run, wave, n_in_flight=self._n_in_flight):
                pass

    async def _outcome(self, trial: Trial, tab: Tab) -> Outcome:
        row = self._rows[trial.split][trial.row]
        try:
            prediction = await self._subject.run(trial.texts, row)
        except BudgetExceededError:
            return self._failed(trial, NOT_RUN, tab.n_made)
        except Exception as error:  # whatever it is, it is this row's alone
            return self._failed(trial, f"no output: {_reason(error)}", tab.n_made)
        output, refused = self._subject.output(prediction, row)
        if refused is not None:
            return replace(self._failed(trial, refused, tab.n_made), evolved=output)
        found = await self._metric.ameasure(row, prediction)
        failure = None if found.failure is None else f"no score: {shorten(found.failure, 300)}"
        return Outcome(
            trial=trial, gain=found.gain, n_calls=tab.n_made, evolved=output, failure=failure,
            original=None if found.scores is None else found.scores[0], feedback=found.feedback,
        )  # fmt: skip

    def _failed(self, trial: Trial, reason: str, n_calls: int) -> Outcome:
        gain = self._metric.failure_score
        return Outcome(trial=trial, gain=gain, n_calls=n_calls, failure=reason)

    async def ask(self, step: int, prompts: Sequence[str]) -> list[str | None]:
        """One reply a prompt, in order; ``None`` where the LM failed or the budget is spent."""
        replies: dict[int, str | None] = {}
        for place in range(len(prompts)):
            if (kept := self._store.reply(step, place)) is not None:
                self.budget.settle(0, kept[1])
                replies[place] = kept[0]

        async def run(place: int) -> None:
            tab = Tab(self.budget)
            if self.closing or not tab.reserve(1):
                return
            with tab.open():
                replies[place] = await self._reply(prompts[place])
            self._store.keep_reply(step, place, (replies[place], tab.n_made))

        waiting = [place for place in range(len(prompts)) if place not in replies]
        with dspy.context(disable_history=True, trace=None):
            async for _ in stream(run, waiting, n_in_flight=self._n_in_flight):
                pass
        return [replies.get(place) for place in range(len(prompts))]

    async def _reply(self, prompt: str) -> str | None:
        if self._lm is None:
            return None
        request = build_request(self._lm, {}, [{"role": "user", "content": prompt}], None)
        try:
            response = await ask_async(self._lm, request, {})
        except (LMError, BudgetExceededError):
            return None
        # Half a template is none.
        return None if response.finish_reason == "length" else response.text


def _reason(error: Exception) -> str:
    if isinstance(error, StructqError):
        facts: dict[str, Any] = describe_error(error)
        return f"{facts['type']}: {shorten(facts['message'], 300)}"
    return f"{type(error).__name__}: {shorten(str(error), 300)}"
