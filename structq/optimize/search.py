"""The search: proposals, credit, races, and one test; a generator that knows no LM.

The calls of the test are kept back first. What is left buys batches: the best program so far, texts
as they were proposed, and programs that Thompson sampling thinks may be better, all on the same
cells (a row in a mutation). After each batch the sentences get their credit. The last part of the
calls is a race of a few programs. The winner meets the seed once, on validation rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from structq.errors import BudgetExceededError, InputError

from .exploration import Exploration
from .finals import last_race
from .ledger import SearchBudget
from .policy import FixedWeights, Policy
from .proposers import Proposer
from .settings import SearchSettings
from .trials import Interrupted, Search
from .verdict import Candidate, Verdict
from .verification import MIN_PAIRS, plan_pairs, verify

__all__ = ["SearchBudget", "SearchSettings", "template_search"]


def template_search(
    seed: Candidate,
    *,
    n_train: int,
    n_val: int,
    budget: SearchBudget,
    proposers: Sequence[Proposer],
    seed_number: int = 0,
    level: float = 0.05,
    rows: Sequence[tuple[str, str]] = (),
    policy: Policy | None = None,
    settings: SearchSettings | None = None,
) -> Search:
    """Searches for templates that beat the seed's, and tests what it found.

    Args:
        seed: What to beat.
        n_train: Rows to search with.
        n_val: Rows for the verdict; each is used at most once for a text and mutation.
        budget: Most LM calls, the verdict's included. Never exceeded as long as no trial costs
            more than ``calls_per_trial``.
        proposers: Who writes new texts; they take turns.
        seed_number: Fixes every draw.
        level: Of the verdict's one-sided test.
        rows: Instruction and response of the training rows, for proposers that show them.
        policy: Learns the weights of the mutations; by default they stay.
        settings: How the calls are divided.

    Returns:
        A generator of steps; it returns a ``Finding``.

    Raises:
        InputError: There are no rows, no templates, or no proposers.
        BudgetExceededError: The budget is too small for one batch and the smallest test.
    """
    if n_train < 1:
        raise InputError(f"n_train: must be at least 1, found {n_train}", field="n_train")
    if n_val < 0:
        raise InputError(f"n_val: must be at least 0, found {n_val}", field="n_val")
    if not 0 < level < 1:
        raise InputError(f"level: must be between 0 and 1, found {level}", field="level")
    if not seed.templates:
        raise InputError("templates: there are none (at least one is needed)", field="templates")
    if not proposers:
        raise InputError("proposers: there are none (at least one is needed)", field="proposers")
    settings = settings or SearchSettings()
    needed = _least_calls(budget, n_val)
    if budget.max_calls < needed:
        found = f"{budget.max_calls} calls (at least {needed} are needed)"
        raise BudgetExceededError(f"max_calls: too few for a search and its test: {found}")
    run = Exploration(seed, n_train, budget, tuple(proposers), seed_number, tuple(rows), settings)
    return _steps(run, n_val, level, policy or FixedWeights())


def _least_calls(budget: SearchBudget, n_val: int) -> int:
    test = 2 * MIN_PAIRS * budget.calls_per_trial if n_val else 0
    return test + budget.calls_per_prompt + 2 * 2 * budget.calls_per_trial


def _steps(run: Exploration, n_val: int, level: float, policy: Policy) -> Search:
    try:
        return (yield from _find(run, n_val, level, policy))
    except Interrupted:
        best = Candidate(templates=run.pool.templates(run.best), weights=run.seed.weights)
        reason = "interrupted before the test: nothing is proven"
        return run.finding(
            best, Verdict(accepted=False, reason=reason, gain=None, p_value=None), {}
        )


def _find(run: Exploration, n_val: int, level: float, policy: Policy) -> Search:
    pairs = plan_pairs(run.ledger.budget, n_val, len(run.pool.names))
    run.ledger.keep_back(2 * pairs * run.ledger.budget.calls_per_trial)
    yield from run.explore()
    program, belief = yield from last_race(run)
    run.best = program
    if program == run.seed_program or belief < run.settings.test_above:
        reason = "nothing looked better than the seed templates on the training rows"
        verdict = Verdict(accepted=False, reason=reason, gain=None, p_value=None)
        return run.finding(run.seed, verdict, {})
    best = Candidate(
        templates=run.pool.templates(program), weights=run.learned_weights(program, policy)
    )
    run.ledger.keep_back(0)
    verdict, gains = yield from verify(
        run.seed, best, ledger=run.ledger, n_rows=n_val, level=level, rng=run.rng
    )
    return run.finding(best, verdict, gains)
