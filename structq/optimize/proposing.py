"""Rounds of proposals: briefs go out, texts come back, and the gate decides which may be tried."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence

import numpy as np

from .briefs import Evidence, make_brief
from .gate import check_proposal, check_template
from .ledger import Ledger
from .posterior import Posterior
from .proposers import Proposals, Proposer
from .sentences import Frame, Pool, Program
from .trials import Answers, Step
from .votes import Votes

__all__ = ["Writers", "renders"]


class Writers:
    """Everyone who writes texts, in turns.

    Args:
        proposers: Them.
        pool: Gets every sentence that may be tried.
        frames: Of each mutation.
        known: Texts that are not new.
        most: Most sentences of a text; what is longer is cut.
        history: Gets a line for each text that is refused.

    Attributes:
        votes: What they stand behind.
        n_asked: Rounds so far.
    """

    def __init__(
        self,
        proposers: Sequence[Proposer],
        pool: Pool,
        frames: Mapping[str, Frame],
        *,
        known: Sequence[tuple[int, ...]],
        most: int,
        history: list[str],
    ) -> None:
        self.votes = Votes()
        self.n_asked = 0
        self._history = history
        self._proposers = proposers
        self._pool = pool
        self._frames = frames
        self._seen = set(known)
        self._most = most

    def propose(
        self,
        mutations: Sequence[int],
        best: Program,
        *,
        ledger: Ledger,
        posterior: Posterior,
        evidence: Evidence,
        rng: np.random.Generator,
    ) -> Generator[Step, Answers, list[Program]]:
        """New programs, one brief for each of the mutations; a new text is for all mutations."""
        texts: list[tuple[int, str]] = []
        waiting: list[tuple[int, Proposals, str]] = []
        for mutation in mutations:
            brief = make_brief(
                self._pool, self._frames, posterior, evidence, mutation,
                best[mutation], int(rng.integers(2**31)),
            )  # fmt: skip
            job = self._proposers[self.n_asked % len(self._proposers)].propose(brief)
            self.n_asked += 1
            if (prompt := _advance(job, None, mutation, texts)) is not None:
                waiting.append((mutation, job, prompt))
        while waiting:
            replies = yield from ledger.ask([prompt for _, _, prompt in waiting])
            still = []
            for (mutation, job, _), reply in zip(waiting, replies, strict=True):
                if (prompt := _advance(job, reply, mutation, texts)) is not None:
                    still.append((mutation, job, prompt))
            waiting = still
        admitted = (self._admit(text, best[mutation], ledger) for mutation, text in texts)
        return [program for program in admitted if program is not None]

    def _admit(self, text: str, shown: tuple[int, ...], ledger: Ledger) -> Program | None:
        proposal = check_proposal(text)
        if proposal.refusal is not None:
            self._history.append(f"{ledger.n_spent} calls: refused a text that {proposal.refusal}")
            return None
        sentences = self._pool.add(proposal.sentences)[: self._most]
        self.votes.add(sentences, shown)
        if not sentences or sentences in self._seen:
            self._history.append(f"{ledger.n_spent} calls: a text is not new")
            return None
        self._seen.add(sentences)
        program = (sentences,) * len(self._pool.names)
        return program if renders(self._pool, program) else None


def renders(pool: Pool, program: Program) -> bool:
    """Whether every template of a program can be rendered."""
    texts = pool.templates(program)
    return all(check_template(text, name) is None for name, text in texts.items())


def _advance(
    job: Proposals, reply: str | None, mutation: int, texts: list[tuple[int, str]]
) -> str | None:
    """The job's next prompt; its texts are taken down when it ends."""
    try:
        return job.send(reply)
    except StopIteration as stop:
        texts.extend((mutation, text) for text in stop.value)
        return None
