"""Words and sentences of any script; knows nothing of tokens and prompts.

Words follow the idea of Unicode's text segmentation (UAX 29): runs of letters and digits, and each
sign of a script that is written without spaces by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

__all__ = [
    "Span",
    "content_words",
    "first_words",
    "n_words",
    "repeated_from",
    "sentences",
    "whole_sentences",
]

Span = tuple[int, int]

_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u309f\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Hiragana, Han: every sign counts."""
_WORD = re.compile(rf"[{_ALONE}]|(?:(?![{_ALONE}])\w)+(?:['’.,](?:(?![{_ALONE}])\w)+)*")
# The end of a sentence, closing quotes and marks of Markdown included, before a space or a line's
# end; the signs of scripts without spaces need nothing behind them.
_END = re.compile(r"(?:[.!?…]+[\"'”’)\]*_]*(?=\s|$)|[。！？｡؟।]+[」』”’）]*)|\n")
_LIST_MARK = re.compile(r"^(?:[-*+•]|\(?\w{1,3}[.)])\s+")
_FENCE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})", re.MULTILINE)
# What is shorter may be said twice: headings, "For example:", lines of a table.
_LEAST_WORDS = 4
# The last signs of a text in which a unit of up to 80 comes four times in a row.
_TAIL = 480
_CYCLE = re.compile(r"(\S.{0,79}?)\1{3,}\Z", re.DOTALL)
_LEAST_CYCLE = 24


def n_words(text: str) -> int:
    """Words of a text."""
    return sum(1 for _ in _WORD.finditer(text))


def first_words(text: str, n: int) -> str:
    """The beginning of a text that has so many words, or all of it."""
    for place, found in enumerate(_WORD.finditer(text)):
        if place == n:
            return text[: found.start()].rstrip()
    return text


def content_words(text: str) -> Iterator[str]:
    """The words of a text, in order, without case."""
    return (found[0].casefold() for found in _WORD.finditer(text))


def sentences(text: str) -> list[Span]:
    """Places of the sentences, in order, without the white space around them.

    A line's end ends a sentence too. What stands behind the last end is a sentence of its own,
    whether or not it is whole.
    """
    spans, start = [], 0
    for end in [*(found.end() for found in _END.finditer(text)), len(text)]:
        piece = text[start:end]
        if stripped := piece.strip():
            first = start + piece.index(stripped[0])
            spans.append((first, first + len(stripped)))
        start = end
    return spans


def whole_sentences(text: str) -> int:
    """Where the last whole sentence of a text ends; 0 where there is none."""
    ends = [found.end() for found in _END.finditer(text) if text[: found.end()].strip()]
    return len(text[: ends[-1]].rstrip()) if ends else 0


def repeated_from(text: str, known: str = "") -> int | None:
    """Where a text begins to say again what it has said, or ``None``.

    That is the start of a whole sentence of four words or more that came before in it, or of the
    second of four like units without end. Code between fences may repeat itself, and a sentence
    may come as often as in ``known``.

    Args:
        text: The text so far.
        known: What it may repeat: the text from which it is made.
    """
    left = Counter(_sentences_folded(known)) if known else Counter[str]()
    seen: Counter[str] = Counter()
    fenced = _fenced(text)
    whole = whole_sentences(text)
    for start, end in sentences(text):
        if end > whole or any(first <= start < past for first, past in fenced):
            continue
        folded = _folded(text[start:end])
        if not folded:
            continue
        if seen[folded] and seen[folded] >= left[folded]:
            return start
        seen[folded] += 1
    return _cycle(text, fenced)


def _sentences_folded(text: str) -> Iterator[str]:
    return (folded for start, end in sentences(text) if (folded := _folded(text[start:end])))


def _folded(sentence: str) -> str:
    """A sentence's words alone; nothing where there are too few to tell."""
    words = list(content_words(_LIST_MARK.sub("", sentence)))
    return " ".join(words) if len(words) >= _LEAST_WORDS else ""


def _fenced(text: str) -> list[Span]:
    """Places between code fences; the last may be open."""
    marks = [found.start() for found in _FENCE.finditer(text)]
    return [(a, b) for a, b in zip(marks[::2], [*marks[1::2], len(text) + 1], strict=False)]


def _cycle(text: str, fenced: list[Span]) -> int | None:
    if fenced and fenced[-1][1] > len(text):
        return None
    found = _CYCLE.search(text[-_TAIL:])
    if found is None or len(found[0]) < _LEAST_CYCLE or not n_words(found[1]):
        return None
    return len(text) - len(found[0]) + len(found[1])
