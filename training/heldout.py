"""Held-out rows with known answers, and the rules that read what an evolution added.

Topics, clauses, frames and the wordings of instructions and mutations all come from the side of the
split that training never draws from.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .corpus import World
from .levels import KIND_OF, KINDS, Piece, Response, level_of
from .phrasings import MUTATIONS, PARTS
from .writer import Subject

__all__ = [
    "EvolveRow",
    "PairRow",
    "ScoreRow",
    "evolve_rows",
    "kinds_in",
    "level_after",
    "pair_rows",
    "score_rows",
]


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A list to score."""

    instruction: str
    responses: tuple[str, ...]
    levels: tuple[int, ...]
    """True level of each response, 1 to 6."""


@dataclass(frozen=True, kw_only=True)
class EvolveRow:
    """A response to evolve."""

    subject: Subject
    original: Response
    mutation: str
    """Name of the mutation that the method text stands for."""
    method: str
    """A wording of it that training never saw."""


PairRow = ScoreRow


def score_rows(
    n: int, *, seed: int, held_out: bool = True, ks: tuple[int, ...] = (1, 2, 3, 4, 5)
) -> list[ScoreRow]:
    """``n`` lists of 1 to 5 responses, sizes evenly spread."""
    world = World(np.random.default_rng(seed), held_out=held_out)
    rows = []
    for i in range(n):
        subject = world.subject()
        drawn = [world.response(subject) for _ in range(ks[i % len(ks)])]
        rows.append(_score_row(subject, drawn))
    return rows


def _score_row(subject: Subject, drawn: list[Response]) -> ScoreRow:
    return ScoreRow(
        instruction=subject.instruction,
        responses=tuple(r.text for r in drawn),
        levels=tuple(r.level for r in drawn),
    )


def pair_rows(n: int, *, seed: int, tolerance: float | None) -> list[PairRow]:
    """``n`` pairs of different level, their lengths apart by at most the share ``tolerance``."""
    world = World(np.random.default_rng(seed), held_out=True)
    rows: list[PairRow] = []
    while len(rows) < n:
        subject = world.subject()
        pool = [world.response(subject) for _ in range(12)]
        pairs = [
            [a, b]
            for i, a in enumerate(pool)
            for b in pool[i + 1 :]
            if a.level != b.level and _near(len(a.text), len(b.text), tolerance)
        ]
        if pairs:
            rows.append(_score_row(subject, pairs[int(world.rng.integers(len(pairs)))]))
    return rows


def _near(a: int, b: int, tolerance: float | None) -> bool:
    return tolerance is None or (min(a, b) > 0 and abs(a - b) <= tolerance * max(a, b))


def evolve_rows(n: int, *, seed: int) -> list[EvolveRow]:
    """``n`` responses, each with one held-out wording of one of the five mutations in turn."""
    world = World(np.random.default_rng(seed), held_out=True)
    rows = []
    for i in range(n):
        subject, mutation = world.subject(), list(KIND_OF)[i % len(KIND_OF)]
        rows.append(
            EvolveRow(
                subject=subject,
                original=world.original(subject),
                mutation=mutation,
                method=world.pick(MUTATIONS[mutation], 10),
            )
        )
    return rows


@lru_cache(maxsize=1)
def _patterns() -> dict[str, list[re.Pattern[str]]]:
    def pattern(frame: str) -> re.Pattern[str]:
        literal = [re.escape(part) for part in re.split(r"\{\w+\}", frame)]
        return re.compile(
            r"(?:^\s*|(?<=[.!?:]\s)|\n)" + r"[^\n]{2,160}?".join(literal) + r"(?=\s|$)", re.I
        )

    return {kind: [pattern(frame) for frame in PARTS[kind]] for kind in KINDS}


def kinds_in(text: str) -> frozenset[str]:
    """Kinds of part whose frames occur in a text that an evolution added."""
    return frozenset(
        kind for kind, patterns in _patterns().items() if any(p.search(text) for p in patterns)
    )


@lru_cache(maxsize=1)
def _answer_patterns() -> list[re.Pattern[str]]:
    from .families import FAMILIES

    def pattern(frame: str) -> re.Pattern[str]:
        literal = [re.escape(part) for part in re.split(r"\{\w+\}", frame)]
        return re.compile(r".{2,160}?".join(literal), re.I | re.S)

    return [pattern(answer) for family in FAMILIES for answer in family.answers]


def level_after(original: Response, added: str) -> int:
    """Rule level of the original with the added text: its parts, and an answer if one was added."""
    pieces = [*original.pieces, *(Piece(text="", role=kind) for kind in kinds_in(added))]
    if any(p.search(added) for p in _answer_patterns()):
        pieces.append(Piece(text="", role="answer"))
    return level_of(tuple(pieces))
