"""Batches: the best program so far, new texts, and what may be better, on the same cells.

A cell is a row in a mutation. After each batch every sentence and text gets its credit, and the
program with the highest expected gain takes the first place: one put together of the best
sentences, or a text as it was proposed.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np

from .briefs import Evidence
from .credit import Observation, SentenceCredit
from .ledger import Ledger, SearchBudget
from .policy import Policy
from .posterior import Posterior
from .proposers import Proposer
from .proposing import Writers, renders
from .recombine import Effects, recombine
from .sentences import Pool, Program, frame_of
from .settings import SearchSettings
from .trials import Answers, Outcome, Step, Trial
from .verdict import Candidate, Finding, Verdict

__all__ = ["Exploration"]

_MOST_IDLE = 3


class Exploration:
    """The state of one search.

    Args:
        seed: What to beat.
        n_train: Rows to search with.
        budget: Most calls.
        proposers: Who writes.
        seed_number: Fixes every draw.
        rows: Instruction and response of the training rows.
        settings: How the calls are divided.

    Attributes:
        best: The best program so far.
        posterior: What is believed of every program.
    """

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
        self.settings = settings = settings.fitted(budget.max_calls)
        self.ledger = Ledger(budget)
        self.rng = np.random.default_rng(seed_number)
        self.history: list[str] = []
        frames = {name: frame_of(text) for name, text in seed.templates.items()}
        self.frames = {name: frame for name, (frame, _) in frames.items()}
        self.pool = Pool(self.frames)
        self.seed_program: Program = tuple(self.pool.add(own) for _, own in frames.values())
        self.best = self.seed_program
        weights = seed.weights or dict.fromkeys(seed.templates, 1.0)
        self.weights = [float(weights.get(name, 0.0)) for name in seed.templates]
        self._credit = SentenceCredit(len(frames), specific=settings.specific)
        self._cells = _cells(n_train, self.weights, self.rng)
        self._writers = Writers(
            proposers,
            self.pool,
            self.frames,
            known=self.seed_program,
            most=settings.max_sentences,
            history=self.history,
        )
        self.evidence = Evidence(rows)
        self._fresh: list[Program] = []
        self.posterior: Posterior = self._credit.believe(len(self.pool.sentences))

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
            yield from self.run(arms, n_cells, learn=True)
            self._believe()
            self._update_best()
            # Trials that are known cost nothing and say nothing: with few rows there comes an end.
            idle = 0 if self._fresh or self.ledger.n_left < before else idle + 1
            if idle > _MOST_IDLE:
                return

    def _n_cells(self, n_arms: int, whole: int) -> int:
        """Cells of a batch: about a sixteenth of the calls, at least one cell a mutation."""
        cost = n_arms * self.ledger.budget.calls_per_trial
        n_mutations = sum(weight > 0 for weight in self.weights)
        wanted = max(
            min(n_mutations, self.settings.min_cells), min(whole // (24 * cost), 4 * n_mutations)
        )
        return min(wanted, self.ledger.n_left // cost)

    def run(
        self, arms: Sequence[Program], n_cells: int, *, learn: bool
    ) -> Generator[Step, Answers, list[list[float]]]:
        """Gains of each arm on each of the next cells."""
        cells = [next(self._cells) for _ in range(n_cells)]
        trials = [self._trial(arm, row, m) for row, m in cells for arm in arms]
        outcomes = yield from self.ledger.evaluate(trials)
        gains = []
        for i, (_, m) in enumerate(cells):
            found = outcomes[i * len(arms) : (i + 1) * len(arms)]
            gains.append([outcome.gain for outcome in found])
            texts = {arm[m]: outcome for arm, outcome in zip(arms, found, strict=True)}
            for sentences, outcome in texts.items():
                self.evidence.add(m, sentences, outcome)
            if learn:
                self._credit.learn([_observation(m, s, o) for s, o in texts.items()])
        return gains

    def _trial(self, program: Program, row: int, mutation: int) -> Trial:
        text = self.pool.render(mutation, program[mutation])
        return Trial(mutation=self.pool.names[mutation], text=text, split="train", row=row)

    def _choose_arms(self) -> list[Program]:
        """The best so far, what was just proposed, and what may be better."""
        arms = dict.fromkeys([self.best])
        worths = self.posterior.worths(self._fresh, self.weights)
        order = [self._fresh[i] for i in np.argsort(-worths, kind="stable")]
        for program in order[: self.settings.n_fresh]:
            arms[program] = None
        # Texts that nobody got round to are forgotten: their sentences are not.
        self._fresh = order[self.settings.n_fresh :][: self.settings.n_arms]
        wanted = self.settings.n_arms - len(arms)
        for effects in self.posterior.draw(self.rng, max(wanted, 0)):
            arms[self.recombined(effects)] = None
        if len(arms) == 1:
            arms[self.seed_program] = None
        return list(arms)

    def recombined(self, effects: Sequence[Effects]) -> Program:
        """The best program that is found from the one in place, if the effects are these."""
        return tuple(
            recombine(e, [self.best[m]], max_sentences=self.settings.max_sentences)
            for m, e in enumerate(effects)
        )

    def _update_best(self) -> None:
        """The program with the highest expected gain; the one in place unless another is above."""
        texts = self.evidence.best_texts(6)
        most = self.settings.max_sentences
        combined = tuple(
            recombine(e, [self.best[m], self.seed_program[m], *texts], max_sentences=most)
            for m, e in enumerate(self.posterior.expected())
        )
        programs = [self.best, combined, *((text,) * len(self.pool.names) for text in texts)]
        found = programs[int(self.posterior.worths(programs, self.weights).argmax())]
        if found != self.best and renders(self.pool, found):
            contrast = self.posterior.contrast(found, self.seed_program, self.weights)
            self.history.append(
                f"{self.ledger.n_spent} calls: {_sizes(found)} sentences, "
                f"expected {contrast.mean:+.3f} (sd {contrast.sd:.3f}) against the seed"
            )
            self.best = found

    def _propose(self, progress: float, whole: int) -> Generator[Step, Answers, None]:
        """New texts while they are due: many at the start, fewer as the calls are spent."""
        most = max(2.0, self.settings.proposal_share * whole)
        first = min(most * self.settings.proposals_first, self.settings.most_first)
        due = int(min(most, first + most * progress)) - self._writers.n_asked
        if due < 1:
            return
        mutations = self.rng.choice(np.flatnonzero(self.weights), due).tolist()
        self._fresh += yield from self._writers.propose(
            mutations, self.best, ledger=self.ledger, posterior=self.posterior,
            evidence=self.evidence, rng=self.rng,
        )  # fmt: skip
        self._believe()

    def _believe(self) -> None:
        """Takes in what was measured and proposed."""
        hopes = self._writers.votes.hopes()
        self.posterior = self._credit.believe(len(self.pool.sentences), hopes)

    def learned_weights(self, program: Program, policy: Policy) -> dict[str, float] | None:
        """Weights by the gains that the program's texts had; the seed's if they stay."""
        before = dict(zip(self.pool.names, self.weights, strict=True))
        gains = {name: self.evidence.gains(m, program[m]) for m, name in enumerate(self.pool.names)}
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


def _observation(mutation: int, sentences: tuple[int, ...], outcome: Outcome) -> Observation:
    return Observation(
        mutation=mutation, sentences=sentences, gain=outcome.gain, original=outcome.original
    )


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


def _sizes(program: Program) -> str:
    return "/".join(str(len(sentences)) for sentences in program)
