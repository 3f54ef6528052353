"""Answers a search's steps from a simulated LM."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from structq.optimize.gate import praises_itself
from structq.optimize.ledger import SearchBudget
from structq.optimize.proposers import Proposer, Reflective
from structq.optimize.search import SearchSettings, template_search
from structq.optimize.trials import Answers, Ask, Evaluate, Outcome, Trial
from structq.optimize.verdict import Candidate, Finding

from .proposer import SimulatedProposer
from .world import World

__all__ = ["SimulatedRun", "run_search"]

N_ROWS = 100


@dataclass(frozen=True, kw_only=True)
class SimulatedRun:
    """A search that has ended."""

    finding: Finding
    """Its result."""
    n_calls: int
    """LM calls, counted here."""
    cpu_s: float
    """CPU seconds that the search itself took."""


def run_search(
    world: World,
    seed: int,
    budget: int,
    *,
    proposers: Sequence[Proposer] | None = None,
    settings: SearchSettings | None = None,
) -> SimulatedRun:
    """One search in one world."""
    writer = SimulatedProposer(world, seed)
    search = template_search(
        Candidate(templates=world.seed_templates()),
        n_train=N_ROWS,
        n_val=N_ROWS,
        budget=SearchBudget(max_calls=budget),
        proposers=proposers or [Reflective()],
        seed_number=seed,
        rows=[(f"Question {row}", f"Response {row}.") for row in range(N_ROWS)],
        settings=settings,
    )
    n_calls, simulated_s, started = 0, 0.0, time.process_time()
    answers: Answers | None = None
    while True:
        try:
            step = next(search) if answers is None else search.send(answers)
        except StopIteration as stop:
            cpu_s = time.process_time() - started - simulated_s
            return SimulatedRun(finding=stop.value, n_calls=n_calls, cpu_s=cpu_s)
        began = time.process_time()
        if isinstance(step, Ask):
            n_calls += len(step.prompts)
            answers = Answers(replies=tuple(writer.write(prompt) for prompt in step.prompts))
        else:
            answers = Answers(outcomes=_outcomes(world, step))
            n_calls += sum(outcome.n_calls for outcome in answers.outcomes)
        simulated_s += time.process_time() - began


def _outcomes(world: World, step: Evaluate) -> tuple[Outcome, ...]:
    return tuple(_outcome(world, trial) for trial in step.trials)


def _outcome(world: World, trial: Trial) -> Outcome:
    # Validation rows are other rows.
    row = trial.row if trial.split == "train" else N_ROWS + trial.row
    reading = world.reading(row, trial.mutation, trial.text)
    if praises_itself(reading.evolved, f"Response {row}."):
        # As structq's evaluator does: the judge is not asked.
        reason = "not scored: the evolution praises itself"
        return Outcome(trial=trial, gain=-1.0, n_calls=1, evolved=reading.evolved, failure=reason)
    return Outcome(
        trial=trial, gain=reading.gain, n_calls=2, evolved=reading.evolved,
        original=reading.original,
    )  # fmt: skip
