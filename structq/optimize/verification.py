"""The candidate meets the seed, once."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from .acceptance import Test, adjust, draw_pairs, gain_of, n_rows_to_settle, p_value
from .ledger import Ledger, SearchBudget
from .settings import FEW_CALLS
from .trials import Answers, Step, Trial
from .verdict import Candidate, Gain, Verdict

__all__ = ["MIN_PAIRS", "plan_pairs", "verify"]

# Five signs can be flipped in 32 ways: with fewer no test reaches 5 %.
MIN_PAIRS = 6
# Of few calls more go to the test: with fewer rows it refuses too many good candidates.
_SHARE, _SHARE_IF_FEW = 0.15, 0.38
TEST: Test = "sign-flip"


def plan_pairs(budget: SearchBudget, n_rows: int, n_mutations: int) -> int:
    """Pairs whose calls are kept back: 15 % of the budget, 38 % below 1,500 calls."""
    share = _SHARE_IF_FEW if budget.max_calls < FEW_CALLS else _SHARE
    cost = 2 * budget.calls_per_trial
    wanted = max(MIN_PAIRS, int(share * budget.max_calls) // cost)
    return min(wanted, n_rows * n_mutations)


def verify(
    seed: Candidate,
    best: Candidate,
    *,
    ledger: Ledger,
    n_rows: int,
    level: float,
    rng: np.random.Generator,
) -> Generator[Step, Answers, tuple[Verdict, dict[str, Gain]]]:
    """The verdict, and the gain in each mutation.

    Every call that is left goes into it.
    """
    if n_rows < 1:
        reason = "there are no validation rows: nothing can be proven"
        return Verdict(accepted=False, reason=reason, gain=None, p_value=None), {}
    names = list(seed.templates)
    mine = [(best.weights or dict.fromkeys(names, 1.0)).get(name, 0.0) for name in names]
    theirs = [(seed.weights or dict.fromkeys(names, 1.0)).get(name, 0.0) for name in names]
    n_pairs = min(ledger.n_affordable() // 2, n_rows * len(names))
    pairs = draw_pairs(n_pairs, n_rows, mine, theirs, rng)
    trials = []
    for pair in pairs:
        for candidate, m in ((best, pair.candidate), (seed, pair.seed)):
            name = names[m]
            trials.append(
                Trial(mutation=name, text=candidate.templates[name], split="val", row=pair.row)
            )
    outcomes = yield from ledger.evaluate(trials)
    raw, readings = [], []
    for mine_, theirs_ in zip(outcomes[::2], outcomes[1::2], strict=True):
        raw.append(mine_.gain - theirs_.gain)
        known = mine_.original is not None and theirs_.original is not None
        readings.append(mine_.original - theirs_.original if known else 0.0)  # type: ignore[operator]
    by_row: dict[int, list[float]] = {}
    by_name: dict[str, list[float]] = {}
    for pair, difference in zip(pairs, adjust(raw, readings), strict=True):
        by_row.setdefault(pair.row, []).append(difference)
        if pair.candidate == pair.seed:
            by_name.setdefault(names[pair.candidate], []).append(difference)
    differences = [float(np.mean(found)) for found in by_row.values()]
    gains = {name: gain for name, found in by_name.items() if (gain := gain_of(found))}
    return _decide(differences, len(pairs), level, ledger.budget, rng), gains


def _decide(
    differences: list[float],
    n_pairs: int,
    level: float,
    budget: SearchBudget,
    rng: np.random.Generator,
) -> Verdict:
    gain = gain_of(differences)
    if len(differences) < MIN_PAIRS - 1:
        reason = (
            f"{len(differences)} validation rows are too few for a test (at least 5 are needed)"
        )
        return Verdict(accepted=False, reason=reason, gain=gain, p_value=None)
    p = p_value(differences, TEST, rng)
    mean = float(np.mean(differences))
    if p <= level:
        reason = f"better than the seed on {len(differences)} validation rows (p = {p:.4f})"
        return Verdict(accepted=True, reason=reason, gain=gain, p_value=p)
    rows = n_rows_to_settle(differences, level)
    if rows is None:
        reason = f"not better than the seed on {len(differences)} validation rows (p = {p:.4f})"
        return Verdict(accepted=False, reason=reason, gain=gain, p_value=p)
    per_row = n_pairs / len(differences)
    calls = int(np.ceil(2 * rows * per_row * budget.calls_per_trial))
    reason = (
        f"looks better by {mean:+.3f}, but {len(differences)} validation rows do not prove it "
        f"(p = {p:.4f}); about {calls} calls on {rows} rows would settle it"
    )
    return Verdict(accepted=False, reason=reason, gain=gain, p_value=p, n_calls_to_settle=calls)
