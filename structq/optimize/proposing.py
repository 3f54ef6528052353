"""Rounds of proposals: who is asked, what they are told, and which texts may be tried."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .belief import Posterior
from .columns import Piece
from .gate import check_proposal, check_template
from .proposers import Brief, Case, Proposals, Proposer, Whole, Worth
from .sentences import Frame, Pool, Program, Units
from .trials import Answers, Ask, Outcome, Step

__all__ = ["Account", "Evidence", "Writers", "renders"]

_N_CASES = 4


@dataclass(kw_only=True)
class Account:
    """What is left of the budget, as the driver says after each step."""

    n_left: int
    """LM calls."""
    most: int
    """LM calls at the start."""
    stopped: bool = False
    """Whether the time is up."""
    lead: float = 0.0
    """How much better the best looks than the seed, for whoever watches."""

    @property
    def spent(self) -> int:
        """LM calls so far."""
        return self.most - self.n_left

    def ask(self, step: Step) -> Generator[Step, Answers, Answers]:
        """The answers to a step, entered here."""
        answers = yield replace(step, lead=self.lead)
        self.n_left, self.stopped = answers.n_left, self.stopped or answers.stop
        return answers


@dataclass(kw_only=True)
class Evidence:
    """What was seen of every text."""

    rows: Sequence[tuple[str, str]]
    """Training rows, as proposers may see them; none: no cases are shown."""
    outcomes: dict[Piece, list[Outcome]] = field(default_factory=dict)
    """Of each text."""

    def add(self, pieces: Sequence[Piece], outcome: Outcome) -> None:
        """Takes down one outcome."""
        for piece in pieces:
            self.outcomes.setdefault(piece, []).append(outcome)

    def best_texts(self, n: int, *, caution: float = 1.0) -> list[Units]:
        """Texts by the lower end of their mean gain, best first."""
        gains: dict[Units, list[float]] = {}
        for (_, units), outcomes in self.outcomes.items():
            gains.setdefault(units, []).extend(outcome.gain for outcome in outcomes)
        pooled = [gain for found in gains.values() for gain in found]
        spread = float(np.std(pooled)) if pooled else 0.0
        low = {s: float(np.mean(g)) - caution * spread / len(g) ** 0.5 for s, g in gains.items()}
        return sorted(low, key=lambda s: (-low[s], s))[:n]

    def cases(self, piece: Piece) -> list[Case]:
        """Rows of a text, best first."""
        found = [
            Case(
                instruction=self.rows[o.trial.row][0], response=self.rows[o.trial.row][1],
                evolved=o.evolved, gain=o.gain, feedback=o.feedback,
            )
            for o in self.outcomes.get(piece, ())
            if o.evolved is not None and o.trial.row < len(self.rows)
        ]  # fmt: skip
        return sorted(found, key=lambda case: -case.gain)


class Writers:
    """Everyone who writes texts; who earned more is asked more often.

    Args:
        proposers: Them.
        pool: Gets every sentence that may be tried.
        frames: Of each text of the space.
        shared: Whether a new text is tried in every place at once.
        most: Most sentences of a text; what is longer is cut.
        history: Gets a line for each text that is refused.
        task: What the LM does whose instructions are written.

    Attributes:
        n_asked: Texts that were asked for.
    """

    def __init__(
        self,
        proposers: Sequence[Proposer],
        pool: Pool,
        frames: Mapping[str, Frame],
        *,
        shared: bool,
        most: int,
        history: list[str],
        task: str,
    ) -> None:
        self.n_asked = 0
        self._proposers, self._pool, self._frames = proposers, pool, frames
        self._shared, self._most, self._history, self._task = shared, most, history, task
        self._asked = np.zeros(len(proposers))
        self._admitted = np.zeros(len(proposers))
        self._seen: set[tuple[tuple[int, ...], Units]] = set()

    def propose(
        self,
        parts: Sequence[int],
        best: Program,
        *,
        account: Account,
        posterior: Posterior,
        evidence: Evidence,
        rng: np.random.Generator,
    ) -> Generator[Step, Answers, list[Program]]:
        """New programs, one brief for each of the parts."""
        texts: list[tuple[int, int, str]] = []
        jobs: list[tuple[int, int, Proposals, str]] = []
        for part in parts:
            brief = self._brief(part, best, posterior, evidence, int(rng.integers(2**31)))
            who = self._choose(posterior, rng)
            self.n_asked += 1
            self._asked[who] += 1
            job = self._proposers[who].propose(brief)
            if (prompt := _advance(job, None, (who, part), texts)) is not None:
                jobs.append((who, part, job, prompt))
        while jobs and (fit := jobs[: max(0, account.n_left)]):
            prompts = tuple(prompt for *_, prompt in fit)
            answers = yield from account.ask(Ask(prompts=prompts))
            jobs = []
            for (who, part, job, _), reply in zip(fit, answers.replies, strict=False):
                if (prompt := _advance(job, reply, (who, part), texts)) is not None:
                    jobs.append((who, part, job, prompt))
        found = (self._admit(who, part, text, best, account) for who, part, text in texts)
        return [program for program in found if program is not None]

    def _choose(self, posterior: Posterior, rng: np.random.Generator) -> int:
        """By what the sentences of each are worth as a rule, and how often they may be tried."""
        if len(self._proposers) == 1:
            return 0
        if self._asked.min() < 2:
            return int(self._asked.argmin())
        worth, sd = posterior.authors()
        drawn = worth[1:] + sd[1:] * rng.normal(size=len(self._proposers))
        # A text that cannot be tried, or is not new, earns nothing.
        misses = 1 - (self._admitted + 1) / (self._asked + 1)
        return int((drawn - misses * float(np.sqrt(posterior.noise)) * 0.3).argmax())

    def _admit(
        self, who: int, part: int, text: str, best: Program, account: Account
    ) -> Program | None:
        proposal = check_proposal(text)
        if proposal.refusal is not None:
            self._history.append(f"{account.spent} calls: refused a text that {proposal.refusal}")
            return None
        if isinstance(text, Whole):
            # What several purposes begin with can stand for each of them.
            parts = sorted({part, *(self._pool.begun_by(text) if self._shared else ())})
            units = self._pool.add([text], who + 1, head_of=parts)
        else:
            parts = list(range(len(best))) if self._shared else [part]
            units = self._pool.add(proposal.sentences, who + 1)[: self._most]
        key = tuple(parts), units
        if not units or key in self._seen:
            self._history.append(f"{account.spent} calls: a text is not new")
            return None
        self._seen.add(key)
        program = tuple(units if p in parts else own for p, own in enumerate(best))
        if not renders(self._pool, program):
            return None
        self._admitted[who] += 1
        return program

    def _brief(
        self, part: int, best: Program, posterior: Posterior, evidence: Evidence, seed: int
    ) -> Brief:
        """What is known of a part."""
        effects, pool = posterior.likely.effects(len(best))[part], self._pool
        worths = (
            Worth(text=unit.text, gain=effects.worth([number]))
            for number, unit in enumerate(pool.units)
            if not unit.head_of
        )
        ranked = sorted(worths, key=lambda worth: -worth.gain)
        cases = evidence.cases((part, best[part]))
        name = pool.names[part]
        return Brief(
            mutation=name,
            purpose=self._frames[name].head,
            sentences=tuple(pool.units[i].text for i in best[part] if not _is_head(pool, i)),
            helped=tuple(worth for worth in ranked if worth.gain > 0),
            harmed=tuple(worth for worth in reversed(ranked) if worth.gain <= 0),
            won=tuple(cases[:_N_CASES]),
            lost=tuple(reversed(cases[_N_CASES:][-_N_CASES:])),
            task=self._task,
            seed=seed,
        )


def renders(pool: Pool, program: Program) -> bool:
    """Whether every template of a program can be rendered."""
    texts = pool.templates(program)
    return all(check_template(text, name) is None for name, text in texts.items())


def _is_head(pool: Pool, number: int) -> bool:
    return bool(pool.units[number].head_of)


def _advance(
    job: Proposals, reply: str | None, who: tuple[int, int], texts: list[tuple[int, int, str]]
) -> str | None:
    """The job's next prompt; its texts are taken down when it ends."""
    try:
        return job.send(reply)
    except StopIteration as stop:
        texts.extend((*who, text) for text in stop.value)
        return None
