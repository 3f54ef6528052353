"""What of a response must stay as it is; knows nothing of LMs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

__all__ = ["Preserve", "blocks_of", "literals_of", "missing_literal"]

Preserve = Literal["none", "blocks", "all"]

_FENCE = re.compile(r"[ \t>]*(?P<run>`{3,}|~{3,})(?P<info>.*)")
_ITEM = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)])[ \t]+(?=`{3}|~{3})")
_RULE = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_FORMULA = re.compile(r"\$\$.+?\$\$|\\\[.+?\\\]", re.DOTALL)
Span = tuple[int, int]


def literals_of(response: str, preserve: Preserve) -> tuple[str, ...]:
    """The texts that every evolution of a response must hold verbatim and in this order.

    Args:
        response: The original.
        preserve: ``none`` of it, its ``blocks``, or ``all`` of it.
    """
    if preserve == "blocks":
        return blocks_of(response)
    return (response,) if preserve == "all" and response else ()


def blocks_of(text: str) -> tuple[str, ...]:
    r"""Code fences, tables and display formulas of a Markdown text, in order.

    A fence runs to its closing line, or to the end of the text as in CommonMark. A table has a
    header, a line of dashes and at least one bar. ``$$..$$`` and ``\[..\]`` are formulas. Of two
    that overlap, the one that begins first counts: what stands inside a fence is code.
    """
    ends = 0
    blocks = []
    for start, end in sorted([*_whole_lines(text), *(m.span() for m in _formulas(text))]):
        if start >= ends:
            blocks.append(text[start:end])
            ends = end
    return tuple(blocks)


def missing_literal(text: str, literals: Sequence[str], *, anchored: bool) -> str | None:
    """The first literal that the text does not hold in its place, or ``None``.

    Args:
        text: An evolved response.
        literals: In the order in which they must stand, none over another.
        anchored: The text must begin with the first.
    """
    end = 0
    for i, literal in enumerate(literals):
        at = text.find(literal, end)
        if at < 0 or (anchored and i == 0 and at > 0):
            return literal
        end = at + len(literal)
    return None


def _formulas(text: str) -> Iterator[re.Match[str]]:
    """Formulas outside of fences and tables: dollars in code open none."""
    start = 0
    for begin, end in [*_whole_lines(text), (len(text), len(text))]:
        yield from _FORMULA.finditer(text, start, begin)
        start = end


def _whole_lines(text: str) -> list[Span]:
    """Places of fences and tables, in order."""
    lines = list(_lines(text))
    spans, i = [], 0
    while i < len(lines):
        end = _fence_end(text, lines, i) or _table_end(text, lines, i)
        if end:
            spans.append((lines[i][0], lines[end - 1][1]))
        i = end or i + 1
    return spans


def _lines(text: str) -> Iterator[Span]:
    """Place of each line, without its end."""
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line.rstrip("\r"))
        start += len(line) + 1


def _fence_end(text: str, lines: Sequence[Span], first: int) -> int:
    """The line after the fence that this line opens, or 0."""
    start, end = lines[first]
    if item := _ITEM.match(text, start, end):
        start = item.end()
    opened = _FENCE.fullmatch(text, start, end)
    if opened is None or (opened["run"][0] == "`" and "`" in opened["info"]):
        return 0
    for i in range(first + 1, len(lines)):
        closed = _FENCE.fullmatch(text, *lines[i])
        if closed and closed["run"].startswith(opened["run"]) and not closed["info"].strip():
            return i + 1
    return len(lines)


def _table_end(text: str, lines: Sequence[Span], first: int) -> int:
    """The line after the table that this line heads, or 0."""
    if first + 1 >= len(lines) or "|" not in text[slice(*lines[first])]:
        return 0
    rule = text[slice(*lines[first + 1])]
    if "|" not in rule or not _RULE.fullmatch(rule):
        return 0
    end = first + 2
    while end < len(lines) and "|" in text[slice(*lines[end])]:
        end += 1
    return end
