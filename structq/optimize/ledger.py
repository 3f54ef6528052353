"""LM calls: what is spent, what is kept back, what may still be asked; knows nothing of why."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from structq.errors import BudgetExceededError, InputError

from .trials import Answers, Ask, Evaluate, Outcome, Step, Trial

__all__ = ["Ledger", "SearchBudget"]


@dataclass(frozen=True, kw_only=True)
class SearchBudget:
    """How many LM calls a search may make."""

    max_calls: int
    """Of every kind, proposals, failures and the verdict included."""
    calls_per_trial: int = 2
    """Most calls that one trial can cost."""
    calls_per_prompt: int = 1
    """Most calls that one prompt of the proposer can cost; this many are counted for each."""

    def __post_init__(self) -> None:
        for name in ("max_calls", "calls_per_trial", "calls_per_prompt"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name}: must be at least 1, found {value!r}", field=name)


class Ledger:
    """Counts calls, remembers outcomes, and asks nothing that the budget does not hold.

    Args:
        budget: What there is.
    """

    def __init__(self, budget: SearchBudget) -> None:
        self.budget = budget
        self.n_spent = 0
        self.n_failures = 0
        self.stopped = False
        self._reserve = 0
        self._known: dict[Trial, Outcome] = {}
        self._worst = 0.0

    @property
    def n_left(self) -> int:
        """Calls that may be spent now: without those that are kept back."""
        return self.budget.max_calls - self.n_spent - self._reserve

    def keep_back(self, n_calls: int) -> None:
        """Keeps this many for later; 0 sets them free."""
        self._reserve = n_calls

    def n_affordable(self) -> int:
        """Trials that are certain to fit."""
        return max(0, self.n_left // self.budget.calls_per_trial)

    def is_known(self, trial: Trial) -> bool:
        """Whether the outcome is there: asking again says nothing new."""
        return trial in self._known

    def evaluate(self, trials: Sequence[Trial]) -> Generator[Step, Answers, list[Outcome]]:
        """Outcomes in the order of the trials; those that are known are not asked again.

        A gain that is not a finite number is a failure and counts as the worst gain so far.

        Raises:
            BudgetExceededError: They could cost more than is left: a caller asked too much.
        """
        new = [trial for trial in dict.fromkeys(trials) if trial not in self._known]
        if len(new) > self.n_affordable():
            cost = len(new) * self.budget.calls_per_trial
            message = f"{len(new)} trials: may cost {cost} calls (there are {self.n_left})"
            raise BudgetExceededError(message)
        if new:
            answers = yield Evaluate(trials=tuple(new))
            self.stopped |= answers.stop
            self._take(new, answers.outcomes)
        return [self._known[trial] for trial in trials]

    def ask(self, prompts: Sequence[str]) -> Generator[Step, Answers, list[str | None]]:
        """One reply a prompt; ``None`` for those that the budget does not hold."""
        fit = max(0, self.n_left // self.budget.calls_per_prompt)
        asked = list(prompts[:fit])
        if not asked:
            return [None] * len(prompts)
        self.n_spent += len(asked) * self.budget.calls_per_prompt
        answers = yield Ask(prompts=tuple(asked))
        self.stopped |= answers.stop
        replies = list(answers.replies[: len(asked)])
        return replies + [None] * (len(prompts) - len(replies))

    def _take(self, trials: Sequence[Trial], outcomes: Sequence[Outcome]) -> None:
        if len(outcomes) != len(trials):
            found = f"{len(outcomes)} (one for each of {len(trials)} trials is)"
            raise InputError(f"outcomes: {found} allowed", field="outcomes")
        self.n_spent += sum(outcome.n_calls for outcome in outcomes)
        finite = [outcome.gain for outcome in outcomes if _fault(outcome) is None]
        self._worst = min([self._worst, *finite])
        for trial, outcome in zip(trials, outcomes, strict=True):
            known = outcome
            if reason := _fault(outcome):
                known = replace(outcome, gain=self._worst, failure=reason)
            self.n_failures += known.failure is not None
            self._known[trial] = known


def _fault(outcome: Outcome) -> str | None:
    """Why the gain cannot be taken as it is."""
    if not math.isfinite(outcome.gain):
        return outcome.failure or "the gain is not a number"
    return None
