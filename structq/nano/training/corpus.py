"""Responses of known quality, and the examples that nano is trained and evaluated on.

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

Topics, clauses, frames and phrasings are split once: what :class:`World` ``held_out=True`` draws
was never drawn by ``held_out=False``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .families import FAMILIES, Family
from .noise import random_text, random_topic, scrambled
from .phrasings import (
    COMBINED,
    CONTRADICTIONS,
    MUTATIONS,
    PARTS,
    PRAISE,
    RAMBLING,
    REFUSALS,
    VAGUE,
)
from .requests import drop_words, made_request
from .sentences import lead_in, made_empty, made_frame
from .topics import CLAUSES, TOPICS

__all__ = [
    "KINDS",
    "KIND_OF",
    "N_LEVELS",
    "Piece",
    "Response",
    "Subject",
    "World",
    "compact",
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
T = TypeVar("T")
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


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]


class World:
    """Draws subjects, responses and mutation texts from one side of the split.

    Args:
        rng: Source of every choice.
        held_out: Which side of the split.
        random_topics: Share of subjects whose topic is made of random words.
        text_scale: Factor on the length of arbitrary texts.
        variety: Whether mutation texts, and the parts of what is read, are also put together from
            pieces and disturbed.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        held_out: bool = False,
        random_topics: float = 0.0,
        text_scale: int = 1,
        variety: bool = False,
    ) -> None:
        self.rng = rng
        self.held_out = held_out
        self.random_topics = random_topics
        self.text_scale = text_scale
        self.variety = variety

    def pick(self, items: tuple[T, ...], n_held_out: int) -> T:
        """One of the items of this side; the last ``n_held_out`` belong to the held-out side."""
        part = items[-n_held_out:] if self.held_out else items[:-n_held_out]
        return part[int(self.rng.integers(len(part)))]

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return bool(self.rng.random() < p)

    # subjects ---------------------------------------------------------------------------------

    def _topic(self) -> tuple[str, str]:
        category = list(TOPICS)[int(self.rng.integers(len(TOPICS)))]
        if self.chance(self.random_topics):
            return random_topic(self.rng), category
        return self.pick(TOPICS[category], 6), category

    def subject(self, family: Family | None = None) -> Subject:
        """A family, a topic and an instruction about it."""
        family = family or FAMILIES[int(self.rng.integers(len(FAMILIES)))]
        topic, category = self._topic()
        other = self._topic()[0]
        fields = {"topic": topic, "Topic": _capitalise(topic), "other": other}
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
            fields |= {"topic": topic, "Topic": _capitalise(topic)}
        clauses = CLAUSES[subject.category]
        for kind in ("fact", "reason", "example", "analogy", "action"):
            if "{" + kind + "}" in frame:
                clause = self.pick(clauses[kind], 4)
                if read and self.variety and self.chance(0.4):
                    clause = self._other_words(clause, "{topic}", 0.4)
                fields[kind] = clause.format(topic=fields["topic"])
        text = frame.format(**fields)
        return _capitalise(text) if frame.startswith("{") else text

    # pieces -----------------------------------------------------------------------------------

    def part(self, kind: str, subject: Subject) -> Piece:
        """One added part of a kind, by the frames that nano is to write."""
        text = self.fill(self.pick(PARTS[kind], 6), subject)
        return Piece(text=text, role=kind, topic=subject.topic)

    def read_part(self, kind: str, subject: Subject) -> Piece:
        """One part of a kind as others may have written it."""
        known = not self.variety or self.chance(0.4)
        frame = self.pick(PARTS[kind], 6) if known else made_frame(self.rng, kind)
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
        text = self.fill(self.pick(subject.family.answers, 2), subject, topic, read=read)
        named = subject.topic if topic is None else topic
        if read and self.variety and self.chance(0.3):
            text = self._other_words(text, named, float(self.rng.choice([0.08, 0.2])))
        piece = Piece(text=text, role=role, block="\n" in text, topic=named)
        return self._led(piece) if read else piece

    def simple(self, items: tuple[str, ...], n_held_out: int, role: str, subject: Subject) -> Piece:
        """One ready sentence, or in training often one put together."""
        made = self.variety and self.chance(0.6)
        frame = made_empty(self.rng, role) if made else self.pick(items, n_held_out)
        return Piece(text=self.fill(frame, subject), role=role)

    def filler(self, subject: Subject) -> Piece:
        """A sentence that adds nothing."""
        return self._led(self.simple(RAMBLING, 10, "filler", subject))

    def bare(self, subject: Subject) -> Piece:
        """A reply too short to be an answer."""
        return self.simple(subject.family.bare, 1, "bare", subject)

    # responses --------------------------------------------------------------------------------

    def join(self, pieces: list[Piece]) -> Response:
        """The response made of the pieces, blocks in lines of their own."""
        text, spans, after_block = "", [], False
        for piece in pieces:
            if text:
                text += "\n\n" if piece.block or after_block else " "
            spans.append((len(text), len(text) + len(piece.text)))
            text += piece.text
            after_block = piece.block
        return Response(text=text, pieces=tuple(pieces), spans=tuple(spans))

    def good(self, subject: Subject, n_kinds: int, *, noise: float = 0.3) -> Response:
        """An answer with parts of ``n_kinds`` different kinds, in random order, some padded."""
        kinds = [KINDS[i] for i in self.rng.permutation(len(KINDS))[:n_kinds]]
        parts = [self.read_part(kind, subject) for kind in kinds]
        if kinds and self.chance(0.08):  # a second part of a kind earns nothing
            parts.append(self.read_part(kinds[0], subject))
        while self.chance(noise):
            parts.append(self.filler(subject))
        if self.chance(noise / 3):
            parts.append(self.simple(PRAISE, 4, "praise", subject))
        parts = [parts[i] for i in self.rng.permutation(len(parts))]
        if kinds and self.chance(0.12):
            return self.join([parts[0], self.answer(subject), *parts[1:]])
        return self.join([self.answer(subject), *parts])

    def poor(self, subject: Subject) -> Response:
        """A response of level 1 to 3 with no plain answer, or a spoilt one."""
        makers = (
            self._empty,
            self._refusal,
            self._off_topic,
            self._off_topic,
            self._bare,
            self._bare,
            self._rambling,
            self._other_question,
            self._taken_back,
            self._cut,
            self._repeated,
        )
        return makers[int(self.rng.integers(len(makers)))](subject)

    def _some_parts(self, subject: Subject, p: float) -> list[Piece]:
        kinds = [k for k in KINDS if self.chance(p)]
        return [self.read_part(k, subject) for k in kinds]

    def _empty(self, subject: Subject) -> Response:
        return self.join([])

    def _refusal(self, subject: Subject) -> Response:
        return self.join([self.simple(REFUSALS, 3, "refusal", subject)])

    def _off_topic(self, subject: Subject) -> Response:
        other, other_category = self._topic()
        far = Subject(
            family=subject.family if self.chance(0.5) else self.subject().family,
            topic=other,
            category=other_category,
            other=subject.topic if self.chance(0.05) else self._topic()[0],
            instruction=subject.instruction,
            ask=subject.ask,
            fields=subject.fields
            | {"topic": other, "Topic": _capitalise(other), "other": self._topic()[0]},
        )
        pieces = [self.answer(far, role="off")]
        pieces += [replace(p, role="off") for p in self._some_parts(far, 0.3)]
        return self.join(pieces)

    def _bare(self, subject: Subject) -> Response:
        pieces = [self.bare(subject)]
        if self.chance(0.3):
            pieces += self._some_parts(subject, 0.25)
        if self.chance(0.3):
            pieces.append(self.filler(subject))
        return self.join(pieces)

    def _rambling(self, subject: Subject) -> Response:
        return self.join([self.filler(subject) for _ in range(int(self.rng.integers(1, 7)))])

    def _other_question(self, subject: Subject) -> Response:
        families = [f for f in FAMILIES if f.name != subject.family.name]
        other = families[int(self.rng.integers(len(families)))]
        text = self.fill(self.pick(other.answers, 2), subject, read=True)
        piece = Piece(text=text, role="filler", block="\n" in text, topic=subject.topic)
        return self.join([piece])

    def _taken_back(self, subject: Subject) -> Response:
        good = list(self.good(subject, int(self.rng.integers(0, 3))).pieces)
        return self.join([*good, self.simple(CONTRADICTIONS, 4, "contradiction", subject)])

    def _repeated(self, subject: Subject) -> Response:
        answer = self.answer(subject)
        again = replace(answer, role="repeat")
        times = int(self.rng.integers(2, 4))
        return self.join([answer, *[again] * times, *self._some_parts(subject, 0.15)])

    def _cut(self, subject: Subject) -> Response:
        good = list(self.good(subject, int(self.rng.integers(0, 3))).pieces)
        last = good[-1]
        words = last.text.split(" ")
        if len(words) < 4:
            return self.join(good)
        keep = int(self.rng.integers(2, len(words) - 1))
        text = " ".join(words[:keep]).rstrip(".,:;!?")
        cut = Piece(text=text, role="cut", block=last.block)
        if last.role == "answer":  # half an answer is none
            cut = Piece(text=text, role="filler")
        return self.join([*good[:-1], cut])

    def response(self, subject: Subject) -> Response:
        """A response whose level is spread over 1 to 6."""
        if self.chance(0.38):
            return self.poor(subject)
        return self.good(subject, int(self.rng.choice(5, p=[0.28, 0.28, 0.24, 0.15, 0.05])))

    # mutations --------------------------------------------------------------------------------

    def mutation(self) -> tuple[str, tuple[str, ...]]:
        """A mutation text and the kinds of part that it asks for, in the order of KINDS."""
        draw = self.rng.random()
        if self.variety and draw < 0.45:
            n = int(self.rng.choice([1, 2, 3], p=[0.7, 0.22, 0.08]))
            chosen = self.rng.permutation(len(KINDS))[:n]
            kinds = tuple(kind for i, kind in enumerate(KINDS) if i in chosen)
            return self._disturbed(made_request(self.rng, kinds)), kinds
        text, kinds = self._fixed_mutation()
        return (self._disturbed(text) if self.variety and kinds else text), kinds

    def _disturbed(self, text: str) -> str:
        """The text between sentences that ask for nothing, or with some words left out."""
        if self.chance(0.35):
            text = drop_words(self.rng, text, float(self.rng.choice([0.1, 0.25])))
        if self.chance(0.12):
            text = f"{self.pick(VAGUE, 10)} {text}"
        if self.chance(0.12):
            text = f"{text} {self.pick(VAGUE, 10)}"
        return text

    def _fixed_mutation(self) -> tuple[str, tuple[str, ...]]:
        draw = self.rng.random()
        if draw < 0.72:
            name = list(MUTATIONS)[int(self.rng.integers(len(MUTATIONS)))]
            return self.pick(MUTATIONS[name], 10), (KIND_OF[name],)
        if draw < 0.92:
            kinds, text = self.pick(COMBINED, 15)
            return text, tuple(k for k in KINDS if k in kinds)
        return self.pick(VAGUE, 10), ()

    def evolved(self, subject: Subject, original: Response, kinds: tuple[str, ...]) -> Response:
        """The original, the answer where it lacks one, and a part of each kind asked for."""
        pieces = list(original.pieces)
        roles = {p.role for p in pieces}
        if kinds and "answer" not in roles and "text" not in roles:
            pieces.append(self.answer(subject, read=False))
        pieces += [self.part(kind, subject) for kind in kinds] or [self.filler(subject)]
        return self.join(pieces)

    def original(self, subject: Subject) -> Response:
        """A response worth evolving, or (one in three) arbitrary text to copy."""
        draw = self.rng.random()
        if draw < 0.34 and not self.held_out:
            text = random_text(self.rng, self.text_scale)
            return self.join([Piece(text=text, role="text", block="\n" in text)])
        if draw < 0.36:
            return self.join([])
        if draw < 0.54:
            return self._unforeseen(self.join([self.bare(subject)]))
        n_kinds = int(self.rng.choice(3, p=[0.55, 0.3, 0.15]))
        return self._unforeseen(self.good(subject, n_kinds, noise=0.15))

    def _unforeseen(self, response: Response) -> Response:
        """The response, in training often with other words: it is to be copied, not continued."""
        if not self.variety or self.chance(0.35):
            return response
        share = float(self.rng.choice([0.1, 0.25, 0.5]))
        return self.join(
            [replace(p, text=scrambled(self.rng, p.text, share)) for p in response.pieces]
        )


def compact(value: object) -> str:
    """Compact JSON, the form that the schemas of structq allow."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
