"""Templates taken apart into sentences and put together again; knows nothing of their worth.

A template's first sentence says what the mutation is for and stays. What follows can be left out,
and what others wrote can be added. Of a template that is a whole prompt, everything down to the
paragraph with its first field stays, and so does the rest: sentences go in between. A text that is
more than its sentences (a list, a paragraph with lines of its own) is one unit and is not split.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from structq.texts import content_words, n_words, sentences

__all__ = [
    "Frame", "Pool", "Program", "Unit", "Units", "frame_of", "join_sentences", "split_sentences",
    "units_of",
]  # fmt: skip

_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_CLOSE = re.compile(r"[。！？｡．」』”）》】]\Z")
_FIELD = re.compile(r"\{\{|<(?:PROMPT|RESPONSE)>")
# A sentence that leans on the one before it says something else when it stands alone.
_LEANS = re.compile(
    r"^(?:then|next|also|otherwise|if so|if not|this|these|that|those|it|finally|after that|"
    r"for (?:example|instance)|in that case|(?:second|third)ly?)\b",
    re.IGNORECASE,
)
_ALIKE, _RESTATES = 0.8, 0.6

Units = tuple[int, ...]
"""Of one text: numbers in the pool, ascending."""
Program = tuple[Units, ...]
"""Of each text of the space."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a text in any script, without bullets; a line ends one too."""
    parts = (_BULLET.sub("", text[start:end]).strip() for start, end in sentences(text))
    return [part for part in parts if part]


def units_of(text: str) -> list[str]:
    """What of a proposed text can stand alone: its sentences, each with those that lean on it."""
    units: list[str] = []
    for sentence in split_sentences(text):
        if units and _LEANS.match(sentence):
            units[-1] = join_sentences([units[-1], sentence])
        else:
            units.append(sentence)
    return units


def join_sentences(parts: Iterable[str]) -> str:
    """One text of them; no space stands behind the full stops of scripts without spaces."""
    text = ""
    for part in parts:
        text += part if not text or _CLOSE.search(text) else f" {part}"
    return text


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What of a template stays."""

    head: str
    """The purpose; of a whole prompt, all before the sentences."""
    tail: str = ""
    """Of a whole prompt, all behind them."""

    def render(self, sentences: Iterable[str], head: str | None = None) -> str:
        """The template with these sentences, and perhaps with another head."""
        if self.head:
            return join_sentences([head or self.head, *sentences]) + self.tail
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


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What is added to a text or left out as a whole."""

    text: str
    """One sentence as a rule."""
    author: int
    """Number of who proposed it first; 0 for the seed."""
    n_words: int
    """By how much it lengthens a text; 0 where it takes the place of something longer."""
    head_of: frozenset[int] = frozenset()
    """Numbers of the texts whose purpose sentence it may replace; none for what follows one."""


class Pool:
    """Every unit that was proposed, numbered in the order in which they came.

    Two that are the same but for a few words have one number: the wording that came first.

    Args:
        frames: Of each text, by its name.
    """

    def __init__(self, frames: Mapping[str, Frame]) -> None:
        self.names = tuple(frames)
        self.units: list[Unit] = []
        self._frames = [frames[name] for name in self.names]
        self._words: list[frozenset[str]] = []
        self._purposes = {frozenset(content_words(frame.head)) for frame in self._frames}

    def add(self, sentences: Iterable[str], author: int = 0, head_of: Iterable[int] = ()) -> Units:
        """Numbers of the sentences, ascending; those that state a purpose are left out."""
        heads = frozenset(head_of)
        numbers = set()
        for sentence in sentences:
            words = frozenset(content_words(sentence))
            restates = not heads and any(
                _share(words, head) >= _RESTATES for head in self._purposes
            )
            if not words or restates or words in self._purposes:
                continue
            number = self._alike(words, heads)
            if number is None:
                number = len(self.units)
                self._words.append(words)
                old = min((n_words(self._frames[part].head) for part in heads), default=0)
                longer = max(0, n_words(sentence) - old)
                self.units.append(Unit(text=sentence, author=author, n_words=longer, head_of=heads))
            numbers.add(number)
        return tuple(sorted(numbers))

    def _alike(self, words: frozenset[str], heads: frozenset[int]) -> int | None:
        for number, (known, unit) in enumerate(zip(self._words, self.units, strict=True)):
            same_place = heads <= unit.head_of and bool(heads) == bool(unit.head_of)
            if same_place and _share(words, known) >= _ALIKE:
                return number
        return None

    def begun_by(self, text: str) -> list[int]:
        """Numbers of the texts whose purpose sentence begins with these words."""
        start = re.compile(re.escape(text.rstrip(" .。")) + r"(?!\w)")
        return [i for i, frame in enumerate(self._frames) if start.match(frame.head)]

    def render(self, part: int, numbers: Iterable[int]) -> str:
        """A text with these units."""
        units = [self.units[i] for i in numbers]
        head = next((unit.text for unit in units if unit.head_of), None)
        return self._frames[part].render((u.text for u in units if not u.head_of), head)

    def templates(self, program: Program) -> dict[str, str]:
        """Name to text."""
        return {name: self.render(part, program[part]) for part, name in enumerate(self.names)}


def _share(words: frozenset[str], others: frozenset[str]) -> float:
    """Of all words, those that both have."""
    return len(words & others) / len(words | others)
