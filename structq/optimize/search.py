"""The search: propose, try, believe, prune, and one test; a generator that knows no LM.

- The calls of the test are kept back. Until the rest is spent:
  - ask proposers for texts (who earned more is asked more);
  - try the best text, new texts and what may be better, short and long, all on the same rows;
  - believe what the evidence supports (``belief``);
  - the best is the program of the highest expected gain.
- Leave out of the best whatever is not shown to help.
- Test it once against the seed, on rows that nobody has looked at (``acceptance``).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean

import numpy as np

from structq.errors import BudgetExceededError, InputError

from .acceptance import MIN_ROWS, judge, plan_pairs
from .belief import Belief, Observation, Values
from .columns import Piece
from .moves import recombine
from .proposers import EVOLVING, Proposer
from .proposing import Account, Evidence, Writers, renders
from .result import Finding, Gain, Verdict
from .sentences import Pool, Program, frame_of
from .trials import Answers, Evaluate, Interrupted, Outcome, Search, Space, Step, Trial

__all__ = ["SearchSettings", "template_search"]

_FEW = 1_500
_MOST_IDLE = 3
_SIZE_SD = 0.3
"""What lengths may be worth, as a prior, in units of the noise of a trial."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the calls are divided; the defaults are what the benchmark measures."""

    n_arms: int = 8
    """Programs in a batch."""
    n_fresh: int = 3
    """Of them, new texts as they were proposed."""
    max_sentences: int = 14
    """Most sentences after the purpose sentence."""
    proposal_share: float = 0.08
    """Share of the search's calls that goes to proposals; below 1,500 calls twice that."""
    proposals_first: float = 0.5
    """Share of the proposals that is asked for before anything is tried."""
    test_share: float = 0.15
    """Share of all calls that is kept for the test; below 1,500 calls, where fewer rows would
    refuse too many good candidates, twice that."""
    test_above: float = 0.7
    """Belief that the candidate is better, below which it is not tested."""

    def fitted(self, max_calls: int) -> SearchSettings:
        """What of it suits a budget of that many calls."""
        if max_calls >= _FEW:
            return self
        return replace(self, proposal_share=2 * self.proposal_share, test_share=2 * self.test_share)


def template_search(
    space: Space,
    *,
    n_train: int,
    n_val: int,
    max_calls: int,
    calls_per_trial: int,
    proposers: Sequence[Proposer],
    seed: int = 0,
    level: float = 0.05,
    rows: Sequence[tuple[str, str]] = (),
    known: Sequence[Sequence[tuple[str, str, float]]] = (),
    task: str = EVOLVING,
    settings: SearchSettings | None = None,
) -> Search:
    """Searches for texts that beat the seed's, and tests what it found.

    Args:
        space: What to beat.
        n_train: Rows to search with.
        n_val: Rows for the verdict; each is used at most once for a text and group.
        max_calls: LM calls, the verdict's included.
        calls_per_trial: Most calls that one trial costs, as a rule.
        proposers: Who writes new texts.
        seed: Fixes every draw.
        level: Of the verdict's one-sided test.
        rows: The training rows as proposers may see them.
        known: What earlier runs measured: lists of (name, text, gain) that can be compared.
        task: What the LM does whose instructions are tuned, for proposers.
        settings: How the calls are divided.

    Returns:
        A generator of steps; it returns a ``Finding``.

    Raises:
        InputError: There are no rows, no texts, or no proposers.
        BudgetExceededError: The budget is too small for one batch and the smallest test.
    """
    for name, value, least in (("n_train", n_train, 1), ("n_val", n_val, 0)):
        if value < least:
            raise InputError(f"{name}: must be at least {least}, found {value}", field=name)
    if not 0 < level < 1:
        raise InputError(f"level: must be between 0 and 1, found {level}", field="level")
    for name, parts in (("templates", space.templates), ("proposers", proposers)):
        if not parts:
            raise InputError(f"{name}: there are none (at least one is needed)", field=name)
    needed = (2 * (MIN_ROWS + 1) * (n_val > 0) + 4) * calls_per_trial + 1
    if max_calls < needed:
        raise BudgetExceededError(
            f"max_calls: too few for a search and its test: {max_calls} calls "
            f"(at least {needed} are needed)"
        )
    settings = (settings or SearchSettings()).fitted(max_calls)
    run = _Run(
        space, Account(n_left=max_calls, most=max_calls), settings, np.random.default_rng(seed),
        proposers, n_val=n_val, cost=calls_per_trial, rows=rows, task=task,
    )  # fmt: skip
    run.cells = _cells(n_train, np.flatnonzero(space.weights).tolist(), run.rng)
    for number, cell in enumerate(known):
        run.take_known(number, cell)
    return run.steps(level)


class _Run:
    """The state of one search."""

    cells: Iterator[tuple[int, int]]
    """Row and group of what is tried next."""

    def __init__(
        self,
        space: Space,
        account: Account,
        settings: SearchSettings,
        rng: np.random.Generator,
        proposers: Sequence[Proposer],
        *,
        n_val: int,
        cost: int,
        rows: Sequence[tuple[str, str]],
        task: str,
    ) -> None:
        self.space, self.account, self.settings, self.rng = space, account, settings, rng
        self.history: list[str] = []
        self.n_val, self.cost = n_val, cost
        frames = {name: frame_of(text) for name, text in space.templates.items()}
        self.frames = {name: frame for name, (frame, _) in frames.items()}
        self.pool = Pool(self.frames)
        self.seed: Program = tuple(self.pool.add(own) for _, own in frames.values())
        self.best = self.seed
        names = list(space.templates)
        self.groups = [tuple(names.index(name) for name in group) for group in space.groups]
        weights = np.asarray(space.weights) / np.sum(space.weights)
        self.shares = np.zeros(len(names))
        for group, weight in zip(self.groups, weights, strict=True):
            self.shares[list(group)] += weight
        self.belief = Belief(len(names), len(proposers) + 1)
        self.evidence = Evidence(rows=rows)
        self.writers = Writers(
            proposers, self.pool, self.frames, shared=len(self.groups) > 1,
            most=settings.max_sentences, history=self.history, task=task,
        )  # fmt: skip
        self.fresh: list[Program] = []
        self.sizes = Sizes(settings.max_sentences)
        self.posterior = self.belief.update(self.pool.units)

    def take_known(self, number: int, cell: Sequence[tuple[str, str, float]]) -> None:
        """Learns from what an earlier run measured: names, texts and gains."""
        found = []
        for name, text, gain in cell:
            frame, own = frame_of(text)
            if name in self.frames and frame == self.frames[name]:
                piece: Piece = (self.pool.names.index(name), self.pool.add(own))
                found.append(Observation(pieces=(piece,), gain=gain))
        self.belief.learn(("known", number), found)
        for observation in found:
            units = observation.pieces[0][1]
            program = tuple(units for _ in self.pool.names)
            if units and program not in self.fresh and renders(self.pool, program):
                self.fresh.append(program)
        self.posterior = self.belief.update(self.pool.units)

    def steps(self, level: float) -> Search:
        """All of it."""
        try:
            return (yield from self._find(level))
        except Interrupted:
            reason = "interrupted before the test: nothing is proven"
            return self._finding(self.best, Verdict(accepted=False, reason=reason))

    def _find(self, level: float) -> Search:
        reserve = int(self.settings.test_share * self.account.most) // (2 * self.cost)
        reserve = min(max(reserve, MIN_ROWS + 1), self.n_val * len(self.groups)) * 2 * self.cost
        yield from self._explore(self.account.most - reserve)
        self._believe()
        self._prune(level)
        mean, sd = self.posterior.contrast(self.best, self.seed, self.shares)
        self._note(f"expected {mean:+.3f} (sd {sd:.3f}) against the seed")
        if self.best == self.seed or _normal_cdf(mean, sd) < self.settings.test_above:
            reason = "nothing looked better than the seed on the training rows"
            return self._finding(self.seed, Verdict(accepted=False, reason=reason))
        if not self.n_val:
            reason = "there are no validation rows: nothing can be proven"
            return self._finding(self.best, Verdict(accepted=False, reason=reason))
        n_pairs = self.account.n_left // (2 * self.cost)
        texts = self.pool.templates(self.best)
        pairs = plan_pairs(self.space, texts, n_pairs, self.n_val, self.rng)
        differ = [(mine, theirs) for mine, theirs in pairs if mine != theirs]
        trials = tuple(dict.fromkeys(trial for pair in differ for trial in pair))
        answers = yield from self.account.ask(Evaluate(trials=trials))
        outcomes = dict(zip(trials, _checked(answers, trials), strict=True))
        tested = [(outcomes[mine], outcomes[theirs]) for mine, theirs in differ]
        same = [mine.row for mine, theirs in pairs if mine == theirs]
        order = [", ".join(self.space.groups[group]) for group in self._by_promise()]
        verdict, gains, kept = judge(tested, level=level, rng=self.rng, same=same, order=order)
        if verdict.accepted:
            names = {name for group in kept for name in group.split(", ")}
            parts = zip(self.pool.names, self.best, self.seed, strict=True)
            self.best = tuple(mine if name in names else own for name, mine, own in parts)
        return self._finding(self.best, verdict, gains)

    def _by_promise(self) -> list[int]:
        """Groups by what the best is expected to gain in each, most first."""
        gains = []
        for parts in self.groups:
            here = tuple(
                mine if part in parts else own
                for part, (mine, own) in enumerate(zip(self.best, self.seed, strict=True))
            )
            gains.append(self.posterior.contrast(here, self.seed, self.shares)[0])
        return sorted(range(len(gains)), key=lambda group: -gains[group])

    def _explore(self, most: int) -> Generator[Step, Answers, None]:
        """Batches until that many calls are spent."""
        idle = 0
        while not self.account.stopped and idle <= _MOST_IDLE:
            yield from self._propose(most)
            self._believe()
            arms = self._choose_arms()
            n_cells = self._n_cells(len(arms), most)
            if self.account.stopped or len(arms) < 2 or not n_cells:
                return
            before = self.account.n_left
            yield from self._try(arms, n_cells)
            # Trials that are known cost nothing and say nothing: with few rows there is an end.
            idle = 0 if self.fresh or self.account.n_left < before else idle + 1

    def _propose(self, most: int) -> Generator[Step, Answers, None]:
        """New texts while they are due: many at the start, fewer as the calls are spent."""
        whole = max(2.0, self.settings.proposal_share * most)
        first = self.settings.proposals_first
        share = first + (1 - first) * min(1.0, self.account.spent / most)
        while not self.account.stopped:
            due = min(int(whole * share) - self.writers.n_asked, most - self.account.spent, 8)
            if due < 1:
                return
            parts = self.rng.choice(np.flatnonzero(self.shares), due).tolist()
            self.fresh += yield from self.writers.propose(
                parts, self.best, account=self.account, posterior=self.posterior,
                evidence=self.evidence, rng=self.rng,
            )  # fmt: skip
            if self.evidence.outcomes:
                return
            self.posterior = self.belief.update(self.pool.units)

    def _n_cells(self, n_arms: int, most: int) -> int:
        """Cells of a batch: about a twenty-fourth of the calls, as many as there are groups."""
        cost = n_arms * self.cost
        wanted = max(min(len(self.groups), 3), most // (24 * cost))
        # Trials may cost more than was planned: then nothing is left, and not less.
        return max(0, min(wanted, (most - self.account.spent) // cost))

    def _choose_arms(self) -> list[Program]:
        """The best so far, what was just proposed, and what may be better."""
        arms = dict.fromkeys([self.best])
        fresh = list(dict.fromkeys(self.fresh))
        worths = self.posterior.worths(fresh, self.shares)
        order = [fresh[i] for i in np.argsort(-worths, kind="stable")]
        arms.update(dict.fromkeys(order[: self.settings.n_fresh]))
        # Texts that nobody got round to are forgotten: their sentences are not.
        left = {*order[self.settings.n_fresh :]}
        self.fresh = [text for text in self.fresh if text in left][: self.settings.n_arms]
        wanted = self.settings.n_arms - len(arms)
        tried = self._tried(12)
        surprise = self.posterior.surprise()
        for place, values in enumerate(self.posterior.draw(self.rng, max(wanted, 0))):
            # One of them has the length that earned most, the others are as long as they like.
            most = self.settings.max_sentences
            most = most if place else self.sizes.draw(self.rng, self.posterior.noise)
            made = self._recombined(values, [self.best, self.seed], most)
            options = [made, *tried]
            worths = values.worths(options, self.shares)
            worths[0] += surprise * abs(self.rng.normal()) * (made not in tried)
            arms[options[int(worths.argmax())]] = None
        if len(arms) == 1:
            # Nothing seems to matter yet: sentences get a try as they come.
            for unit in self.rng.permutation(len(self.pool.units))[:wanted].tolist():
                arms[tuple(tuple(sorted({*units, unit})) for units in self.seed)] = None
            arms[self.seed] = None
        return [arm for arm in arms if arm == self.best or renders(self.pool, arm)]

    def _tried(self, n: int) -> list[Program]:
        """Whole texts that did best, each in every place it may stand in."""
        found = []
        for units in self.evidence.best_texts(n):
            heads = {part for i in units for part in self.pool.units[i].head_of}
            places = heads or (set(range(len(self.seed))) if len(self.groups) > 1 else None)
            if places is None:
                places = {part for part, known in self.evidence.outcomes if known == units}
            found.append(tuple(units if p in places else own for p, own in enumerate(self.best)))
        return found

    def _recombined(self, values: Values, starts: Sequence[Program], most: int) -> Program:
        """The best program by these values that is found near any of the starts."""
        return tuple(
            recombine(effects, dict.fromkeys(start[part] for start in starts), max_sentences=most)
            for part, effects in enumerate(values.effects(len(self.seed)))
        )

    def _believe(self) -> None:
        """Best is the program of the highest expected gain; the one in place on a tie."""
        self.posterior = self.belief.update(self.pool.units)
        tried = self._tried(6)
        starts = [self.best, self.seed, *tried]
        most = self.settings.max_sentences
        made = [self._recombined(kind, starts, most) for kind in self.posterior.likely_kinds()]
        programs = [self.best, *made, *tried]
        found = programs[int(self.posterior.worths(programs, self.shares).argmax())]
        if found != self.best and renders(self.pool, found):
            self.best = found
            mean, sd = self.posterior.contrast(found, self.seed, self.shares)
            self.account.lead = mean
            self._note(f"{_sizes(found)} sentences, expected {mean:+.3f} (sd {sd:.3f})")

    def _prune(self, level: float) -> None:
        """Leaves out what is not shown to help, as long as that is more likely to be proven.

        One sentence everywhere, one in one text, or all that is new in one text: whichever promises
        most, as gain times the chance that the test will see it.
        """

        def rank(program: Program) -> tuple[float, int]:
            return self._promise(program, level), -sum(map(len, program))

        while shorter := self._shorter(self.best):
            program = max(shorter, key=rank)
            if rank(program) <= rank(self.best):
                return
            self.best = program
            self._note(f"shortened to {_sizes(program)} sentences")

    def _shorter(self, program: Program) -> list[Program]:
        found: dict[Program, None] = {}
        for unit in {i for units in program for i in units}:
            less = tuple(tuple(i for i in units if i != unit) for units in program)
            found[less] = None
        for part, units in enumerate(program):
            options = [tuple(i for i in units if i != unit) for unit in units] + [self.seed[part]]
            for option in options:
                found[(*program[:part], option, *program[part + 1 :])] = None
        found.pop(program, None)
        return [p for p in found if sum(map(len, p)) < sum(map(len, program)) or p == self.seed]

    def _promise(self, program: Program, level: float) -> float:
        """Expected gain over the seed, times the chance that the test will see it."""
        mean, sd = self.posterior.contrast(program, self.seed, self.shares)
        changed = sum(
            share for share, mine, own in zip(self.shares, program, self.seed, strict=True)
            if mine != own
        )  # fmt: skip
        if not changed:
            return 0.0
        # Rows whose text stays need no call: all calls go where the two differ.
        n_pairs = max(
            1.0, min(self.account.n_left / (2 * self.cost), self.n_val * len(self.groups))
        )
        error = changed * math.sqrt(2 * self.posterior.noise / n_pairs)
        reach = NormalDist().inv_cdf(1 - level) * error
        return mean * _normal_cdf(mean - reach, math.hypot(sd, error))

    def _try(self, arms: Sequence[Program], n_cells: int) -> Generator[Step, Answers, None]:
        """Tries each arm on each of the next cells, and learns from it."""
        cells = [next(self.cells) for _ in range(n_cells)]
        texts = [self.pool.templates(arm) for arm in arms]
        trials: dict[Trial, None] = {}
        seen: list[dict[Trial, tuple[Piece, ...]]] = []
        for row, group in cells:
            cell = {}
            for arm, named in zip(arms, texts, strict=True):
                names = self.space.groups[group]
                shown = tuple((name, named[name]) for name in names)
                pieces = tuple((part, arm[part]) for part in self.groups[group])
                cell[Trial(texts=shown, split="train", row=row)] = pieces
            trials.update(dict.fromkeys(cell))
            seen.append(cell)
        answers = yield from self.account.ask(Evaluate(trials=tuple(trials)))
        outcomes = dict(zip(trials, _checked(answers, tuple(trials)), strict=True))
        for place, cell in zip(cells, seen, strict=True):
            self.belief.learn(place, [
                Observation(pieces=p, gain=outcomes[t].gain, original=outcomes[t].original)
                for t, p in cell.items()
            ])  # fmt: skip
            mean = fmean(outcomes[trial].gain for trial in cell)
            for trial, pieces in cell.items():
                self.evidence.add(pieces, outcomes[trial])
                size = max(len(units) for _, units in pieces)
                self.sizes.learn(size, outcomes[trial].gain - mean)

    def _note(self, fact: str) -> None:
        self.history.append(f"{self.account.spent} calls: {fact}")

    def _finding(
        self, best: Program, verdict: Verdict, gains: dict[str, Gain] | None = None
    ) -> Finding:
        self._note(verdict.reason)
        return Finding(
            seed=dict(self.space.templates), best=self.pool.templates(best), verdict=verdict,
            gains=gains or {}, history=tuple(self.history),
        )  # fmt: skip


class Sizes:
    """How many sentences a text may have: an arm of its own, whatever the sentences are.

    Long texts promise most where worths are added up; whether an LM follows them is seen only where
    short ones are tried beside them.

    Args:
        most: Sentences, at most.
    """

    def __init__(self, most: int) -> None:
        steps = 2 ** np.arange(1 + int(np.log2(max(most, 1))))
        self._limits = sorted({*(int(step) for step in steps), max(most, 1)})
        self._sums, self._counts = np.zeros((2, len(self._limits)))

    def learn(self, size: int, gain: float) -> None:
        """A text of so many sentences gained so much more than others on its row."""
        place = min(int(np.searchsorted(self._limits, size)), len(self._limits) - 1)
        self._sums[place] += gain
        self._counts[place] += 1

    def draw(self, rng: np.random.Generator, noise: float) -> int:
        """Most sentences of the next text, by what such texts may be worth (Thompson sampling)."""
        precision = self._counts + _SIZE_SD**-2
        spread = np.sqrt(noise / precision)
        drawn = self._sums / precision + spread * rng.normal(size=len(precision))
        return self._limits[int(drawn.argmax())]


def _checked(answers: Answers, trials: tuple[Trial, ...]) -> list[Outcome]:
    """The outcomes; a gain that is not a number is a failure and counts as the worst."""
    if len(answers.outcomes) != len(trials):
        found = f"{len(answers.outcomes)} (one for each of {len(trials)} trials is allowed)"
        raise InputError(f"outcomes: {found}", field="outcomes")
    worst = min((o.gain for o in answers.outcomes if math.isfinite(o.gain)), default=0.0)
    return [
        o if math.isfinite(o.gain)
        else replace(o, gain=min(worst, 0.0), failure=o.failure or "the gain is not a number")
        for o in answers.outcomes
    ]  # fmt: skip


def _cells(
    n_rows: int, groups: Sequence[int], rng: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Row and group, in random order; none comes again before all have come."""
    while True:
        for offset in rng.permutation(len(groups)).tolist():
            for row in rng.permutation(n_rows).tolist():
                # The group depends on the row and the offset alone: all cells come once.
                yield row, groups[(row + offset) % len(groups)]


def _normal_cdf(mean: float, sd: float) -> float:
    """Belief that a normal quantity is above zero."""
    return 0.5 * (1 + math.erf(mean / sd / math.sqrt(2))) if sd > 0 else float(mean > 0)


def _sizes(program: Program) -> str:
    return "/".join(str(len(units)) for units in program)
