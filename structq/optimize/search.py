"""The search: proposals, credit, races, and one test; a generator that knows no LM.

The calls of the test are kept back first. What is left buys batches: the best program so far, texts
as they were proposed, and programs that Thompson sampling thinks may be better, all on the same
cells (a row in a mutation). After each batch the sentences get their credit. The last part of the
calls is a race of a few programs. The winner meets the seed once, on validation rows.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from structq.errors import BudgetExceededError, InputError

from .briefs import Evidence
from .credit import Observation, SentenceCredit
from .ledger import Ledger, SearchBudget
from .policy import FixedWeights, Policy
from .posterior import Posterior
from .proposers import Proposer
from .proposing import Writers, renders
from .racing import Race
from .recombine import Effects, recombine
from .sentences import Pool, Program, frame_of
from .trials import Answers, Interrupted, Outcome, Search, Step, Trial
from .verdict import Candidate, Finding, Verdict
from .verification import MIN_PAIRS, plan_pairs, verify

__all__ = ["SearchBudget", "SearchSettings", "template_search"]


_MOST_IDLE = 3
_FEW_CALLS = 1_500


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the calls are divided; the defaults are what the benchmark measures."""

    n_arms: int = 8
    """Programs in a batch."""
    n_fresh: int = 3
    """Of them, new texts as they were proposed."""
    min_cells: int = 3
    """Fewest cells of a batch."""
    max_sentences: int = 12
    """Most sentences after the purpose sentence."""
    max_sentences_if_few: int = 6
    """The same below 1,500 calls: few calls tell few sentences apart."""
    proposal_share: float = 0.08
    """Share of the search's calls that goes to proposals."""
    proposal_share_if_few: float = 0.2
    """The same below 1,500 calls: a proposal costs less than a trial and tells more."""
    proposals_first: float = 0.7
    """Share of the proposals that is asked for before anything is tried."""
    specific: bool = True
    """Whether a sentence may be worth something else in each mutation; not below 1,500 calls."""
    race_share: float = 0.12
    """Share that goes to the last race; none below 1,500 calls."""
    n_finalists: int = 4
    """Programs in the last race."""
    test_above: float = 0.7
    """Belief that the candidate is better, below which it is not tested."""


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
    run = _Run(seed, n_train, budget, tuple(proposers), seed_number, tuple(rows), settings)
    return _steps(run, n_val, level, policy or FixedWeights())


def _least_calls(budget: SearchBudget, n_val: int) -> int:
    test = 2 * MIN_PAIRS * budget.calls_per_trial if n_val else 0
    return test + budget.calls_per_prompt + 2 * 2 * budget.calls_per_trial


def _steps(run: _Run, n_val: int, level: float, policy: Policy) -> Search:
    try:
        return (yield from _find(run, n_val, level, policy))
    except Interrupted:
        best = Candidate(templates=run.pool.templates(run.best), weights=run.seed.weights)
        reason = "interrupted before the test: nothing is proven"
        return run.finding(
            best, Verdict(accepted=False, reason=reason, gain=None, p_value=None), {}
        )


def _find(run: _Run, n_val: int, level: float, policy: Policy) -> Search:
    pairs = plan_pairs(run.ledger.budget, n_val, len(run.pool.names))
    run.ledger.keep_back(2 * pairs * run.ledger.budget.calls_per_trial)
    yield from run.explore()
    program, belief = yield from run.race()
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


class _Run:
    """The state of one search."""

    def __init__(
        self,
        seed: Candidate,
        n_train: int,
        budget: SearchBudget,
        proposers: tuple[Proposer, ...],
        seed_number: int,
        rows: tuple[tuple[str, str], ...],
        settings: SearchSettings,
    ) -> None:
        self.seed = seed
        if budget.max_calls < _FEW_CALLS:
            few = settings.max_sentences_if_few
            settings = replace(
                settings, max_sentences=few, race_share=0.0, specific=False,
                proposal_share=settings.proposal_share_if_few,
            )  # fmt: skip
        self.settings = settings
        self.ledger = Ledger(budget)
        self.rng = np.random.default_rng(seed_number)
        self.history: list[str] = []
        frames = {name: frame_of(text) for name, text in seed.templates.items()}
        self.frames = {name: frame for name, (frame, _) in frames.items()}
        self.pool = Pool(self.frames)
        self.seed_program: Program = tuple(self.pool.add(own) for _, own in frames.values())
        self.best = self.seed_program
        weights = seed.weights or dict.fromkeys(seed.templates, 1.0)
        self._weights = [float(weights.get(name, 0.0)) for name in seed.templates]
        self._credit = SentenceCredit(len(frames), specific=settings.specific)
        self._cells = _cells(n_train, self._weights, self.rng)
        self._writers = Writers(
            proposers, self.pool, self.frames, self.seed_program, settings.max_sentences, self.history
        )
        self._evidence = Evidence(rows)
        self._fresh: list[Program] = []
        self._posterior: Posterior = self._credit.believe(len(self.pool.sentences))

    # -- exploring ----------------------------------------------------------------------------

    def explore(self) -> Generator[Step, Answers, None]:
        """Batches until only the calls of the race are left."""
        whole = self.ledger.n_left
        goal = whole * (1 - self.settings.race_share)
        idle = 0
        while not self.ledger.stopped:
            spent = whole - self.ledger.n_left
            if spent >= goal:
                return
            yield from self._propose(spent / goal, whole)
            if self.ledger.stopped:
                return
            arms = self._choose_arms()
            n_cells = self._n_cells(len(arms), whole)
            if len(arms) < 2 or not n_cells:
                return
            before = self.ledger.n_left
            yield from self._batch(arms, n_cells)
            self._believe()
            self._update_best()
            # Trials that are known cost nothing and say nothing: with few rows there comes an end.
            idle = 0 if self._fresh or self.ledger.n_left < before else idle + 1
            if idle > _MOST_IDLE:
                return

    def _n_cells(self, n_arms: int, whole: int) -> int:
        """Cells of a batch: about a sixteenth of the calls, at least one cell a mutation."""
        cost = n_arms * self.ledger.budget.calls_per_trial
        n_mutations = sum(weight > 0 for weight in self._weights)
        wanted = max(
            min(n_mutations, self.settings.min_cells), min(whole // (24 * cost), 4 * n_mutations)
        )
        return min(wanted, self.ledger.n_left // cost)

    def _batch(self, arms: Sequence[Program], n_cells: int) -> Generator[Step, Answers, None]:
        cells = [next(self._cells) for _ in range(n_cells)]
        yield from self._run(arms, cells, learn=True)

    def _run(
        self, arms: Sequence[Program], cells: Sequence[tuple[int, int]], *, learn: bool
    ) -> Generator[Step, Answers, list[list[float]]]:
        """Gains of each arm on each cell."""
        trials = [self._trial(arm, row, m) for row, m in cells for arm in arms]
        outcomes = yield from self.ledger.evaluate(trials)
        gains = []
        for i, (_, m) in enumerate(cells):
            found = outcomes[i * len(arms) : (i + 1) * len(arms)]
            gains.append([outcome.gain for outcome in found])
            texts: dict[tuple[int, ...], Outcome] = {
                arm[m]: outcome for arm, outcome in zip(arms, found, strict=True)
            }
            for sentences, outcome in texts.items():
                self._evidence.add(m, sentences, outcome)
            if learn:
                self._credit.learn(
                    [
                        Observation(
                            mutation=m, sentences=sentences, gain=outcome.gain,
                            original=outcome.original,
                        )  # fmt: skip
                        for sentences, outcome in texts.items()
                    ]
                )
        return gains

    def _trial(self, program: Program, row: int, mutation: int) -> Trial:
        text = self.pool.render(mutation, program[mutation])
        return Trial(mutation=self.pool.names[mutation], text=text, split="train", row=row)

    def _choose_arms(self) -> list[Program]:
        """The best so far, what was just proposed, and what may be better."""
        arms = dict.fromkeys([self.best])
        worths = self._posterior.worths(self._fresh, self._weights)
        order = [self._fresh[i] for i in np.argsort(-worths, kind="stable")]
        for program in order[: self.settings.n_fresh]:
            arms[program] = None
        # Texts that nobody got round to are forgotten: their sentences are not.
        self._fresh = order[self.settings.n_fresh :][: self.settings.n_arms]
        wanted = self.settings.n_arms - len(arms)
        for effects in self._posterior.draw(self.rng, max(wanted, 0)):
            arms[self._recombined(effects)] = None
        if len(arms) == 1:
            arms[self.seed_program] = None
        return list(arms)

    def _recombined(self, effects: Sequence[Effects]) -> Program:
        return tuple(
            recombine(e, [self.best[m]], max_sentences=self.settings.max_sentences)
            for m, e in enumerate(effects)
        )

    def _update_best(self) -> None:
        """The program with the highest expected gain; the one in place unless another is above."""
        texts = self._evidence.best_texts(6)
        most = self.settings.max_sentences
        combined = tuple(
            recombine(e, [self.best[m], self.seed_program[m], *texts], max_sentences=most)
            for m, e in enumerate(self._posterior.expected())
        )
        programs = [self.best, combined, *((text,) * len(self.pool.names) for text in texts)]
        found = programs[int(self._posterior.worths(programs, self._weights).argmax())]
        if found != self.best and renders(self.pool, found):
            contrast = self._posterior.contrast(found, self.seed_program, self._weights)
            self.history.append(
                f"{self.ledger.n_spent} calls: {_sizes(found)} sentences, "
                f"expected {contrast.mean:+.3f} (sd {contrast.sd:.3f}) against the seed"
            )
            self.best = found

    # -- proposals ----------------------------------------------------------------------------

    def _propose(self, progress: float, whole: int) -> Generator[Step, Answers, None]:
        """New texts while they are due: many at the start, fewer as the calls are spent."""
        most = max(2.0, self.settings.proposal_share * whole)
        due = int(most * min(1.0, self.settings.proposals_first + progress)) - self._writers.n_asked
        if due < 1:
            return
        mutations = self.rng.choice(np.flatnonzero(self._weights), due).tolist()
        self._fresh += yield from self._writers.propose(
            mutations, self.best, ledger=self.ledger, posterior=self._posterior,
            evidence=self._evidence, rng=self.rng,
        )  # fmt: skip
        self._believe()

    def _believe(self) -> None:
        """Takes in what was measured and proposed."""
        hopes = self._writers.votes.hopes()
        self._posterior = self._credit.believe(len(self.pool.sentences), hopes)

    # -- the last race ------------------------------------------------------------------------

    def race(self) -> Generator[Step, Answers, tuple[Program, float]]:
        """The winner, and the belief that it is better than the seed."""
        posterior = self._posterior
        arms = self._finalists()
        beliefs = [posterior.contrast(arm, arms[0], self._weights) for arm in arms]
        race = Race([b.mean for b in beliefs], [b.sd for b in beliefs], noise=posterior.noise)
        while len(race.alive) > 1 and not self.ledger.stopped:
            running = [arms[i] for i in race.alive]
            n_cells = min(2 * len(self.pool.names), self.ledger.n_affordable() // len(running))
            if n_cells < 1:
                break
            before = self.ledger.n_spent
            cells = [next(self._cells) for _ in range(n_cells)]
            gains = yield from self._run(running, cells, learn=False)
            for found in gains:
                race.add(found)
            race.drop()
            if self.ledger.n_spent == before:
                break
        winner = race.leader()
        mean, sd = race.standing(winner)
        base = posterior.contrast(arms[0], self.seed_program, self._weights)
        spread = float(np.hypot(sd, base.sd))
        self.history.append(
            f"{self.ledger.n_spent} calls: finalist {winner + 1} of {len(arms)} won the last race, "
            f"expected {base.mean + mean:+.3f} (sd {spread:.3f}) against the seed"
        )
        return arms[winner], _belief(base.mean + mean, spread)

    def _finalists(self) -> list[Program]:
        expected = self._posterior.expected()
        shared = _pooled(expected, self._weights)
        start = max(set(self.best), key=lambda s: shared.worth(s))
        same = recombine(shared, [start], max_sentences=self.settings.max_sentences)
        arms = dict.fromkeys([self.best, (same,) * len(self.pool.names)])
        for sentences in self._evidence.best_texts(2):
            arms[(sentences,) * len(self.pool.names)] = None
        for effects in self._posterior.draw(self.rng, 2):
            arms[self._recombined(effects)] = None
        good = [arm for arm in arms if arm == self.best or renders(self.pool, arm)]
        return good[: self.settings.n_finalists]

    # -- the end ------------------------------------------------------------------------------

    def learned_weights(self, program: Program, policy: Policy) -> dict[str, float] | None:
        """Weights by the gains that the program's texts had; the seed's if they stay."""
        before = dict(zip(self.pool.names, self._weights, strict=True))
        gains = {
            name: self._evidence.gains(m, program[m]) for m, name in enumerate(self.pool.names)
        }
        after = policy.weigh(gains, before)
        return (
            (None if self.seed.weights is None else dict(self.seed.weights))
            if after == before
            else after
        )

    def finding(self, best: Candidate, verdict: Verdict, gains: dict) -> Finding:  # type: ignore[type-arg]
        """The result, with the history."""
        history = (*self.history, f"{self.ledger.n_spent} calls: {verdict.reason}")
        return Finding(seed=self.seed, best=best, verdict=verdict, gains=gains, history=history)


def _cells(
    n_rows: int, weights: Sequence[float], rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Row and mutation, in random order; none comes again before all have come."""
    mutations = np.flatnonzero(weights).tolist()
    while True:
        shift = rng.permutation(len(mutations)).tolist()
        for offset in shift:
            for row in rng.permutation(n_rows).tolist():
                # The mutation depends on the row and the offset alone: all cells come once.
                yield row, mutations[(row + offset) % len(mutations)]


def _pooled(effects: Sequence[Effects], weights: Sequence[float]) -> Effects:
    alone = np.average([e.alone for e in effects], axis=0, weights=weights)
    return Effects(alone=alone, together=effects[0].together, bend=effects[0].bend)


def _belief(mean: float, sd: float) -> float:
    from math import erf, sqrt

    return 0.5 * (1 + erf(mean / sd / sqrt(2))) if sd > 0 else float(mean > 0)


def _sizes(program: Program) -> str:
    return "/".join(str(len(sentences)) for sentences in program)
