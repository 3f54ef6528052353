"""Responses of known quality and mutation texts that nano is trained and evaluated on.

A response is put together from pieces, so its level is known by construction (`levels`).
"""

from __future__ import annotations

import json
import re
from dataclasses import replace

from .families import FAMILIES
from .levels import KIND_OF, KINDS, Piece, Response, joined
from .noise import random_text, scrambled
from .phrasings import COMBINED, CONTRADICTIONS, MUTATIONS, PRAISE, REFUSALS, VAGUE
from .requests import drop_words, made_request
from .wordings import wordings
from .writer import Subject, Writer, capitalised

__all__ = ["World", "compact"]

_MARKS = re.compile(r"\[/?(instruction|response|[1-9]\d*)[abc]?\]", re.IGNORECASE)


class World(Writer):
    """Draws responses and mutation texts, beside what a :class:`Writer` draws."""

    # responses --------------------------------------------------------------------------------

    def good(self, subject: Subject, n_kinds: int, *, noise: float = 0.3) -> Response:
        """An answer with parts of ``n_kinds`` different kinds, in random order, some padded."""
        kinds = [KINDS[i] for i in self.rng.permutation(len(KINDS))[:n_kinds]]
        parts = [self.read_part(kind, subject) for kind in kinds]
        if kinds and self.chance(0.08):  # a second part of a kind earns nothing
            parts.append(self.read_part(kinds[0], subject))
        while self.chance(noise):
            parts.append(self.filler(subject))
        if self.chance(noise / 3):
            parts.append(self.fault(PRAISE, 4, "praise", subject))
        parts = [parts[i] for i in self.rng.permutation(len(parts))]
        if kinds and self.chance(0.12):
            return joined([parts[0], self.answer(subject), *parts[1:]])
        return joined([self.answer(subject), *parts])

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
            *([self._other_question] * (2 if self.variety else 1)),
            self._taken_back,
            self._cut,
            self._repeated,
        )
        return makers[int(self.rng.integers(len(makers)))](subject)

    def misplaced(self, subject: Subject) -> Response:
        """A good answer to something else: it takes a look at the question to tell."""
        return self._off_topic(subject) if self.chance(0.5) else self._other_question(subject)

    def _some_parts(self, subject: Subject, p: float) -> list[Piece]:
        kinds = [k for k in KINDS if self.chance(p)]
        return [self.read_part(k, subject) for k in kinds]

    def _empty(self, subject: Subject) -> Response:
        return joined([])

    def _refusal(self, subject: Subject) -> Response:
        return joined([self.fault(REFUSALS, 3, "refusal", subject)])

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
            | {"topic": other, "Topic": capitalised(other), "other": self._topic()[0]},
        )
        pieces = [self.answer(far, role="off")]
        pieces += [replace(p, role="off") for p in self._some_parts(far, 0.3)]
        return joined(pieces)

    def _bare(self, subject: Subject) -> Response:
        pieces = [self.bare(subject)]
        if self.chance(0.3):
            pieces += self._some_parts(subject, 0.25)
        if self.chance(0.3):
            pieces.append(self.filler(subject))
        return joined(pieces)

    def _rambling(self, subject: Subject) -> Response:
        return joined([self.filler(subject) for _ in range(int(self.rng.integers(1, 7)))])

    def _other_question(self, subject: Subject) -> Response:
        families = [f for f in FAMILIES if f.name != subject.family.name]
        other = families[int(self.rng.integers(len(families)))]
        return joined([self.answer(replace(subject, family=other), role="other")])

    def _taken_back(self, subject: Subject) -> Response:
        good = list(self.good(subject, int(self.rng.integers(0, 3))).pieces)
        return joined([*good, self.fault(CONTRADICTIONS, 4, "contradiction", subject)])

    def _repeated(self, subject: Subject) -> Response:
        answer = self.answer(subject)
        again = replace(answer, role="repeat")
        times = int(self.rng.integers(2, 4))
        return joined([answer, *[again] * times, *self._some_parts(subject, 0.15)])

    def _cut(self, subject: Subject) -> Response:
        good = list(self.good(subject, int(self.rng.integers(0, 3))).pieces)
        last = good[-1]
        words = last.text.split(" ")
        if len(words) < 4:
            return joined(good)
        keep = int(self.rng.integers(2, len(words) - 1))
        text = " ".join(words[:keep]).rstrip(".,:;!?")
        cut = Piece(text=text, role="cut", block=last.block)
        if last.role == "answer":  # half an answer is none
            cut = Piece(text=text, role="filler")
        return joined([*good[:-1], cut])

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
            text = f"{self._vague()} {text}"
        if self.chance(0.12):
            text = f"{text} {self._vague()}"
        return text

    def _vague(self) -> str:
        return self.pick(VAGUE, 10, wordings("mutations")["vague"])

    def _fixed_mutation(self) -> tuple[str, tuple[str, ...]]:
        draw = self.rng.random()
        if draw < 0.72:
            name = list(MUTATIONS)[int(self.rng.integers(len(MUTATIONS)))]
            return self.pick(MUTATIONS[name], 10, wordings("mutations")[name]), (KIND_OF[name],)
        if draw < 0.92:
            kinds, text = self.pick(COMBINED, 15)
            return text, tuple(k for k in KINDS if k in kinds)
        return self._vague(), ()

    def evolved(self, subject: Subject, original: Response, kinds: tuple[str, ...]) -> Response:
        """The original, the answer where it lacks one, and a part of each kind asked for."""
        pieces = list(original.pieces)
        roles = {p.role for p in pieces}
        if kinds and "answer" not in roles and "text" not in roles:
            pieces.append(self.answer(subject, read=False))
        pieces += [self.part(kind, subject) for kind in kinds] or [self.filler(subject)]
        return joined(pieces)

    def original(self, subject: Subject) -> Response:
        """A response worth evolving, or in training often arbitrary text to copy."""
        if not self.held_out and self.chance(0.42):
            text = self.arbitrary()
            return joined([Piece(text=text, role="text", block="\n" in text)])
        # What nano has to write itself takes more practice than what it copies.
        empty, bare = (0.06, 0.44) if self.variety else (0.03, 0.3)
        draw = self.rng.random()
        if draw < empty:
            return joined([])
        if draw < bare:
            return self._unforeseen(joined([self.bare(subject)]))
        n_kinds = int(self.rng.choice(3, p=[0.55, 0.3, 0.15]))
        return self._unforeseen(self.good(subject, n_kinds, noise=0.15))

    def arbitrary(self) -> str:
        """Text about nothing, to be copied; without the marks by which a prompt is taken apart."""
        while True:
            text = random_text(self.rng, self.text_scale, self.fragments)
            if not _MARKS.search(text):
                return text

    def _unforeseen(self, response: Response) -> Response:
        """The response, in training often with other words: it is to be copied, not continued."""
        if not self.variety or self.chance(0.35):
            return response
        share = float(self.rng.choice([0.1, 0.25, 0.5]))
        return joined(
            [
                replace(p, text=scrambled(self.rng, p.text, share, self.fragments))
                for p in response.pieces
            ]
        )


def compact(value: object) -> str:
    """Compact JSON, the form that the schemas of structq allow."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
