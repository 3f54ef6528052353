"""Templates taken apart into sentences and put together again; knows nothing of their worth.

A template's first sentence says what the mutation is for and stays. What follows can be left out,
and what others wrote can be added. Of a template that is a whole prompt, everything down to the
paragraph with its first field stays, and so does the rest: sentences go in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from structq.texts import content_words, sentences

__all__ = [
    "Frame", "Pool", "Program", "frame_of", "join_sentences", "normal_form", "split_sentences",
]  # fmt: skip

_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_CLOSE = re.compile(r"[。！？｡．」』”）》】]\Z")
_FIELD = re.compile(r"\{\{|<(?:PROMPT|RESPONSE)>")

Program = tuple[tuple[int, ...], ...]
"""For each mutation, the sentences of its template: numbers in the pool, ascending."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a text in any script, without bullets; a line ends one too."""
    parts = (_BULLET.sub("", text[start:end]).strip() for start, end in sentences(text))
    return [part for part in parts if part]


def join_sentences(parts: Iterable[str]) -> str:
    """One text of them; no space stands behind the full stops of scripts without spaces."""
    text = ""
    for part in parts:
        text += part if not text or _CLOSE.search(text) else f" {part}"
    return text


def normal_form(sentence: str) -> str:
    """What two sentences that say the same by letter share."""
    return " ".join(content_words(sentence))


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What of a template stays."""

    head: str
    """The purpose; of a whole prompt, all before the sentences."""
    tail: str = ""
    """Of a whole prompt, all behind them."""

    def render(self, sentences: Iterable[str]) -> str:
        """The template with these sentences."""
        if self.head:
            return join_sentences([self.head, *sentences]) + self.tail
        body = join_sentences(sentences)
        return f"{body}\n{self.tail}" if body else self.tail


def frame_of(template: str) -> tuple[Frame, list[str]]:
    """What stays of a template, and its sentences that need not."""
    field = _FIELD.search(template)
    if field is None:
        first, *rest = split_sentences(template) or [template]
        # A text that would not come back letter by letter is kept as it is.
        if join_sentences([first, *rest]) == template:
            return Frame(head=first), rest
        return Frame(head=template), []
    cut = max(template.rfind("\n", 0, field.start()), 0)
    head = template[:cut].rstrip()
    return Frame(head=head, tail=template[len(head) :]), []


class Pool:
    """Every sentence that was proposed, numbered in the order in which they came."""

    def __init__(self, frames: Mapping[str, Frame]) -> None:
        self.names = tuple(frames)
        self.sentences: list[str] = []
        self._frames = [frames[name] for name in self.names]
        self._numbers: dict[str, int] = {}
        self._purposes = {normal_form(frame.head) for frame in self._frames}

    def add(self, sentences: Iterable[str]) -> tuple[int, ...]:
        """Numbers of the sentences, ascending; those that state a purpose are left out."""
        numbers = set()
        for sentence in sentences:
            form = normal_form(sentence)
            if not form or form in self._purposes:
                continue
            if form not in self._numbers:
                self._numbers[form] = len(self.sentences)
                self.sentences.append(sentence)
            numbers.add(self._numbers[form])
        return tuple(sorted(numbers))

    def render(self, mutation: int, numbers: Iterable[int]) -> str:
        """The template of a mutation with these sentences."""
        return self._frames[mutation].render(self.sentences[i] for i in numbers)

    def templates(self, program: Program) -> dict[str, str]:
        """Name of the mutation to template."""
        return {name: self.render(m, program[m]) for m, name in enumerate(self.names)}
