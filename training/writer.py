"""Subjects and the pieces that speak about them, drawn from one side of the split.

Topics, clauses, frames and phrasings are split once: what a :class:`Writer` with ``held_out=True``
draws was never drawn by one with ``held_out=False``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from .families import FAMILIES, Family
from .levels import Piece
from .noise import random_topic, scrambled
from .phrasings import PARTS, RAMBLING
from .sentences import lead_in, made_empty, made_frame
from .topics import CLAUSES, TOPICS
from .wordings import wordings

__all__ = ["Subject", "Writer", "capitalised", "unnamed"]

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What one row is about."""

    family: Family
    topic: str
    category: str
    other: str
    instruction: str
    ask: str
    fields: dict[str, str] = field(default_factory=dict)
    """Values of the placeholders that stay the same over the row."""


def capitalised(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def unnamed(subject: Subject) -> Subject:
    """The subject where its instruction names no topic: what nano adds must not hang on one."""
    name = "this matter"
    names = {"topic": name, "Topic": capitalised(name), "ask": name}
    return replace(subject, topic=name, ask=name, fields=subject.fields | names)


class Writer:
    """Draws subjects and pieces from one side of the split.

    Args:
        rng: Source of every choice.
        held_out: Which side of the split.
        random_topics: Share of subjects whose topic is made of random words.
        text_scale: Factor on the length of arbitrary texts.
        variety: Whether mutation texts, and the parts of what is read, are also put together from
            pieces and disturbed.
        fragments: Parts of words that the invented words of arbitrary texts are made of.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        held_out: bool = False,
        random_topics: float = 0.0,
        text_scale: int = 1,
        variety: bool = False,
        fragments: tuple[str, ...] = (),
    ) -> None:
        self.rng = rng
        self.held_out = held_out
        self.random_topics = random_topics
        self.text_scale = text_scale
        self.variety = variety
        self.fragments = fragments

    def pick(self, items: tuple[T, ...], n_held_out: int, more: tuple[T, ...] = ()) -> T:
        """One of the items of this side; the last ``n_held_out`` belong to the held-out side.

        With ``variety`` the training side holds ``more`` too.
        """
        if self.held_out:
            part = items[-n_held_out:]
        else:
            part = items[:-n_held_out] + (more if self.variety else ())
        return part[int(self.rng.integers(len(part)))]

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return bool(self.rng.random() < p)

    # subjects ---------------------------------------------------------------------------------

    def _topic(self) -> tuple[str, str]:
        category = list(TOPICS)[int(self.rng.integers(len(TOPICS)))]
        if self.chance(self.random_topics):
            return random_topic(self.rng), category
        return self.pick(TOPICS[category], 6, wordings("topics")[category]), category

    def subject(self, family: Family | None = None) -> Subject:
        """A family, a topic and an instruction about it."""
        family = family or FAMILIES[int(self.rng.integers(len(FAMILIES)))]
        topic, category = self._topic()
        other = self._topic()[0]
        fields = {"topic": topic, "Topic": capitalised(topic), "other": other}
        ask = self.pick(family.ask, 1).format(**fields)
        return Subject(
            family=family,
            topic=topic,
            category=category,
            other=other,
            instruction=self.pick(family.instructions, 4).format(**fields),
            ask=ask,
            fields=fields | {"ask": ask},
        )

    def fill(
        self, frame: str, subject: Subject, topic: str | None = None, *, read: bool = False
    ) -> str:
        """The frame with its placeholders filled; every clause is drawn anew.

        What is only ``read`` may have clauses that make no sense: the part is the same part.
        """
        fields = dict(subject.fields)
        if topic is not None:
            fields |= {"topic": topic, "Topic": capitalised(topic)}
        clauses = CLAUSES[subject.category]
        for kind in ("fact", "reason", "example", "analogy", "action"):
            if "{" + kind + "}" in frame:
                more = wordings("clauses")[f"{subject.category} {kind}"] if read else ()
                clause = self.pick(clauses[kind], 4, more)
                if read and self.variety and self.chance(0.4):
                    clause = self._other_words(clause, "{topic}", 0.4)
                fields[kind] = clause.format(topic=fields["topic"])
        text = frame.format(**fields)
        return capitalised(text) if frame.startswith("{") else text

    # pieces -----------------------------------------------------------------------------------

    def part(self, kind: str, subject: Subject) -> Piece:
        """One added part of a kind, by the frames that nano is to write."""
        text = self.fill(self.pick(PARTS[kind], 6), subject)
        return Piece(text=text, role=kind, topic=subject.topic)

    def read_part(self, kind: str, subject: Subject) -> Piece:
        """One part of a kind as others may have written it."""
        made = self.variety and self.chance(0.4)
        more = wordings("parts")[kind]
        frame = made_frame(self.rng, kind) if made else self.pick(PARTS[kind], 6, more)
        text = self.fill(frame, subject, read=True)
        return self._led(Piece(text=text, role=kind, topic=subject.topic))

    def _other_words(self, text: str, kept: str, share: float) -> str:
        """The text with some words replaced, but for those of ``kept``."""
        pieces = re.split(f"({re.escape(kept)})", text, flags=re.IGNORECASE) if kept else [text]
        return "".join(
            piece if i % 2 else scrambled(self.rng, piece, share) for i, piece in enumerate(pieces)
        )

    def _led(self, piece: Piece) -> Piece:
        if not self.variety or piece.block or not self.chance(0.15):
            return piece
        return replace(piece, text=lead_in(self.rng, piece.text))

    def answer(
        self, subject: Subject, topic: str | None = None, role: str = "answer", *, read: bool = True
    ) -> Piece:
        """An answer of the subject's family, or the same about another topic."""
        name = subject.family.name
        frames = subject.family.answers
        # Many answers are read, but where one is missing nano writes the same one to a family.
        frame = self.pick(frames, 2, wordings("answers")[name]) if read else frames[0]
        text = self.fill(frame, subject, topic, read=read)
        named = subject.topic if topic is None else topic
        if read and self.variety and self.chance(0.3):
            text = self._other_words(text, named, float(self.rng.choice([0.08, 0.2])))
        piece = Piece(text=text, role=role, block="\n" in text, topic=named, family=name)
        return self._led(piece) if read else piece

    def simple(
        self,
        items: tuple[str, ...],
        n_held_out: int,
        role: str,
        subject: Subject,
        more: tuple[str, ...] = (),
    ) -> Piece:
        """One ready sentence, or in training sometimes one put together or with other words."""
        made = self.variety and self.chance(0.25)
        frame = made_empty(self.rng, role) if made else self.pick(items, n_held_out, more)
        text = self.fill(frame, subject)
        if self.variety and self.chance(0.15):
            text = self._other_words(text, subject.topic, 0.15)
        return Piece(text=text, role=role)

    def filler(self, subject: Subject) -> Piece:
        """A sentence that adds nothing."""
        return self._led(
            self.simple(RAMBLING, 10, "filler", subject, wordings("fillers")["filler"])
        )

    def fault(self, items: tuple[str, ...], n_held_out: int, role: str, subject: Subject) -> Piece:
        """A refusal, a retraction or praise of oneself."""
        return self.simple(items, n_held_out, role, subject, wordings("faults")[role])

    def bare(self, subject: Subject) -> Piece:
        """A reply too short to be an answer."""
        more = wordings("bare")[subject.family.name]
        return self.simple(subject.family.bare, 1, "bare", subject, more)
