"""Templates taken apart into sentences and put together again; knows nothing of their worth.

A template's first sentence says what the mutation is for and stays. What follows can be left out,
and what others wrote can be added. Of a template that is a whole prompt, everything down to the
paragraph with its first field stays, and so does the rest: sentences go in between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Frame", "Pool", "Program", "frame_of", "normal_form", "split_sentences"]

_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_SHORT = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Dr|Mr|Mrs|Ms|St|No)|\b[A-Z])\.$")
_FIELD = re.compile(r"\{\{|<(?:PROMPT|RESPONSE)>")

Program = tuple[tuple[int, ...], ...]
"""For each mutation, the sentences of its template: numbers in the pool, ascending."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, without bullets; a line ends one too."""
    parts: list[str] = []
    for line in text.splitlines():
        body = _BULLET.sub("", line)
        start = 0
        for match in _END.finditer(body):
            if not _SHORT.search(body[start : match.start()]):
                parts.append(body[start : match.start()])
                start = match.end()
        parts.append(body[start:])
    return [part.strip() for part in parts if part.strip()]


def normal_form(sentence: str) -> str:
    """What two sentences that say the same by letter share."""
    return " ".join(re.findall(r"\w+", sentence.casefold()))


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
            return " ".join([self.head, *sentences]) + self.tail
        body = " ".join(sentences)
        return f"{body}\n{self.tail}" if body else self.tail


def frame_of(template: str) -> tuple[Frame, list[str]]:
    """What stays of a template, and its sentences that need not."""
    field = _FIELD.search(template)
    if field is None:
        first, *rest = split_sentences(template) or [template]
        # A text that would not come back letter by letter is kept as it is.
        if " ".join([first, *rest]) == template:
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
