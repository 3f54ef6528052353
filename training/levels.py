"""What a response is made of, and the level that follows from it.

A response is a list of *pieces* (an answer, a reason, an example, ...), so its level is known by
construction:

=====  ==========================================================================================
level  response
=====  ==========================================================================================
1      empty, a refusal, or about something else
2      on topic but no answer (too short, rambling, another question's answer), or an answer that
       is cut off, taken back or repeated over and over
3      an answer, or no answer but two kinds of added part
4-6    an answer with one, two, three or more different kinds of added part
=====  ==========================================================================================

Praise of itself, rambling and length earn nothing. On a scale ``low..high`` a level stands at
``low + (level - 1) / 5 * (high - low)``; the label distribution splits between its two neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "KINDS",
    "KIND_OF",
    "N_LEVELS",
    "Piece",
    "Response",
    "joined",
    "label_distribution",
    "level_of",
    "position",
]

KINDS = ("reason", "example", "analogy", "action", "focus")
KIND_OF = {
    "helpfulness": "action",
    "relevance": "focus",
    "deepening": "reason",
    "creativity": "analogy",
    "details": "example",
}
N_LEVELS = 6
_FLAWS = frozenset({"contradiction", "cut", "repeat"})


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One part of a response."""

    text: str
    """The sentence or block."""
    role: str
    """A kind of :data:`KINDS`, or what else the piece is (``examples.ROLES`` names them all)."""
    block: bool = False
    """Whether it stands in lines of its own (a list, a table, code)."""
    topic: str = ""
    """What it speaks about, where it names it."""
    family: str = ""
    """Name of the family of questions that it answers, if it is an answer."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """A response with its known level."""

    text: str
    """What the LM sees."""
    pieces: tuple[Piece, ...]
    """In order; joined they are the text."""
    spans: tuple[tuple[int, int], ...]
    """Character range of each piece inside the text."""

    @property
    def level(self) -> int:
        """Quality from 1 to 6, as the table of the module says."""
        return level_of(self.pieces)


def level_of(pieces: tuple[Piece, ...]) -> int:
    """Level from 1 to 6 of a response made of these pieces."""
    roles = {piece.role for piece in pieces}
    kinds = len(roles & set(KINDS))
    if not pieces or "off" in roles or "refusal" in roles or roles <= {"praise"}:
        return 1
    if "answer" not in roles:
        return 3 if kinds >= 2 else 2
    if roles & _FLAWS:
        return 2
    return 3 + min(kinds, 3)


def position(level: int, low: int, high: int) -> float:
    """Where a level stands on the scale ``low..high``."""
    return low + (level - 1) / (N_LEVELS - 1) * (high - low)


def label_distribution(level: int, low: int, high: int) -> NDArray[np.float64]:
    """Target probabilities of the labels ``low..high`` for a level, of shape ``(high - low + 1,)``.

    Between two labels the nearer one gets more than its linear share, so that the most probable
    label is clear while the expectation still grows with the level.
    """
    place = position(level, low, high) - low
    below = int(np.floor(place + 1e-9))
    share = place - below
    target = np.zeros(high - low + 1)
    sharp = share**2 / (share**2 + (1 - share) ** 2)
    target[below] = 1 - sharp
    if sharp > 0:
        target[below + 1] = sharp
    return target


def joined(pieces: list[Piece]) -> Response:
    """The response made of the pieces, blocks in lines of their own."""
    text, spans, after_block = "", [], False
    for piece in pieces:
        if text:
            text += "\n\n" if piece.block or after_block else " "
        spans.append((len(text), len(text) + len(piece.text)))
        text += piece.text
        after_block = piece.block
    return Response(text=text, pieces=tuple(pieces), spans=tuple(spans))
