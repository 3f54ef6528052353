"""Words and sentences of any script; knows nothing of tokens and prompts.

Words follow the idea of Unicode's text segmentation (UAX 29): runs of letters and digits, and each
sign of a script that is written without spaces by itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from unicodedata import category

__all__ = [
    "Span",
    "circling_from",
    "content_words",
    "first_words",
    "n_words",
    "repeated_from",
    "sentences",
    "whole_sentences",
]

Span = tuple[int, int]

_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\uaa60-\uaadf"
    "\u3005-\u3007\u3040-\u309f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, Tai, Hiragana, Han: every letter counts."""
_WITH_MARKS = (
    (0x300, 0x2100), (0x2C00, 0x3100), (0xA600, 0xAC00), (0xFB00, 0xFE30), (0x10000, 0x12000),
    (0x16A00, 0x17000), (0x1D000, 0x1D250), (0x1E000, 0x1F000), (0xE0100, 0xE01F0),
)  # fmt: skip


def _marks() -> str:
    """Vowel signs, accents and joiners: they belong to the letter before them."""
    found = ["\u00ad\u200c\u200d"]
    for span in _WITH_MARKS:
        for is_mark, places in groupby(range(*span), lambda i: category(chr(i))[0] == "M"):
            if is_mark:
                first, *_, last = (*places,) * 2
                found.append(f"{chr(first)}-{chr(last)}")
    return "".join(found)


_MARK = _marks()
_PART = rf"(?:[^\W{_ALONE}]+|[\d{_MARK}]+)+"
_WORD = re.compile(
    rf"(?=\w)(?:(?!\d)[{_ALONE}][{_MARK}]*|{_PART}(?:(?:['’.·׳״]|(?<=\d)[,٫٬](?=\d))(?=\w){_PART})*)"
)
# The end of a sentence, closing quotes and marks of Markdown included, before a space or a line's
# end; the signs of scripts without spaces need nothing behind them. A semicolon asks in Greek.
_SPACELESS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_END = re.compile(
    r"(?:(?:[.!?…‽⁇⁈⁉‼։።፧፨۔؟॥।။។៕។᠃᠉෴།༎\u037e]+|(?<=[\u0370-\u03ff\u1f00-\u1fff]);)"
    r"[\"'”’»›)\]*_]*(?=\s|$)"
    r"|[。！？｡．؟।॥။។៕።፧]+[」』”’）》】]*"
    rf"|(?<=[{_SPACELESS}])[!?]+(?=[{_SPACELESS}])"
    r"|[\n\r\v\f\x85\u2028\u2029])"
)
# A full stop that ends no sentence: of a number in a list, a title, an initial, a short form.
_NO_END = re.compile(
    r"(?:(?:^|[\n\r\u2028\u2029])[ \t>]*\(?\d{1,3}"
    r"|(?<!\w)(?:e\.g|i\.e|vs|cf|viz|approx|Dr|Mr|Mrs|Ms|Prof|St|No|Nr|Fig|Eq|Sra?|Dra|Mme|bzw|ca|z|d|т"
    r"|z\. ?B|d\. ?h|u\. ?a|т\. ?е|т\. ?к|см|напр|[A-HJ-ZÀ-ÖØ-ÞА-Я])"
    r")\.$"
)
# These may end one: what comes next decides.
_MAY_END = re.compile(r"(?<!\w)(?:etc|al|Inc|Ltd|Co|(?:\w\.)+\w|т\. ?[дп])\.$")
_LIST_MARK = re.compile(r"^(?:[-*+•]|\(?\w{1,3}[.)])\s+")
_FENCE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})", re.MULTILINE)
# What is shorter may be said twice: headings, "For example:", lines of a table.
_LEAST_WORDS = 4
# Items, sums, rows of tables and what announces something may be alike.
_NO_PROSE = re.compile(rf"{_LIST_MARK.pattern}|[\d=|]|[:：]\s*$")
_NEAR = 0.7
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
    for end in [*_ends(text), len(text)]:
        piece = text[start:end]
        if stripped := piece.strip():
            first = start + piece.index(stripped[0])
            spans.append((first, first + len(stripped)))
        start = end
    return spans


def _ends(text: str) -> Iterator[int]:
    """Behind every sentence, and every line."""
    for found in _END.finditer(text):
        before = text[max(0, found.start() - 12) : found.start() + 1]
        if found[0] == "." and (
            _NO_END.search(before if found.start() > 11 else f"\n{before}")
            or (_MAY_END.search(before) and text[found.end() :].lstrip()[:1].islower())
        ):
            continue
        yield found.end()


def whole_sentences(text: str) -> int:
    """Where the last whole sentence of a text ends; 0 where there is none."""
    ends = [end for end in _ends(text) if text[:end].strip()]
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
            # A row of like units at the end of what stands before came first.
            cycle = _cycle(text[:start], fenced)
            return start if cycle is None else cycle
        seen[folded] += 1
    return _cycle(text, fenced)


def circling_from(text: str, known: str = "") -> int | None:
    """Where a text begins to go round in circles, or ``None``.

    That is the start of the first sentence that says nearly what one before it says, where two or
    more do, and two fifths of all. Only prose counts: no lists, numbers, code, or short sentences.

    Args:
        text: The whole text.
        known: The text from which it is made: what circles there may circle.
    """
    again, n_prose = _near_repeats(text)
    if len(again) < 2 or 5 * len(again) < 2 * n_prose:
        return None
    return None if len(_near_repeats(known)[0]) >= 2 else again[0]


def _near_repeats(text: str) -> tuple[list[int], int]:
    """Starts of prose sentences that nearly repeat one before them; and how many there are."""
    fenced, seen, again = _fenced(text), list[frozenset[str]](), list[int]()
    for start, end in sentences(text):
        said = text[start:end]
        words = frozenset(content_words(said))
        if len(words) <= _LEAST_WORDS or _NO_PROSE.search(said):
            continue
        if any(first <= start < past for first, past in fenced):
            continue
        if any(len(words & other) >= _NEAR * len(words | other) for other in seen):
            again.append(start)
        seen.append(words)
    return again, len(seen)


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
