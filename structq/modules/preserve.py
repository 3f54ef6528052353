"""What of a response must stay as it is; knows nothing of LMs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

__all__ = ["Preserve", "blocks_of", "literals_of", "missing_literal"]

Preserve = Literal["none", "blocks", "all"]

_LINE_END = re.compile(r"\r\n|\r|\n")
_BLOCKS = ("fence", "code_block", "table_open")
# Code in a line and what a backslash escapes open no formula; a blank line ends one.
_FORMULA = re.compile(
    r"(?P<code>(?<!`)(`+)(?!`)(?:(?!\n\s*\n).)+?(?<!`)\2(?!`))|(?P<escaped>\\[\\$`])"
    r"|\$\$(?:(?!\n[ \t>]*\r?\n|\$\$).)+?\$\$|\\\[(?:(?!\n[ \t>]*\r?\n).)+?\\\]",
    re.DOTALL,
)
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
    r"""Code, tables and display formulas of a Markdown text, in order, as they stand there.

    Code (fenced or indented) and tables are the whole lines that CommonMark, with the tables of
    GitHub, gives to them, inside of lists and quotations too. ``$$..$$`` and ``\[..\]`` outside of
    those are formulas, without a blank line in them.
    """
    blocks = _markdown_blocks(text)
    spans, start = list(blocks), 0
    for begin, end in [*blocks, (len(text), len(text))]:
        spans += [m.span() for m in _FORMULA.finditer(text, start, begin) if m[0][:2] in _OPENERS]
        start = end
    return tuple(text[first:last] for first, last in sorted(spans))


_OPENERS = ("$$", "\\[")


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


def _markdown_blocks(text: str) -> list[Span]:
    """Places of code and tables, in order."""
    lines = list(_lines(text))
    spans: list[Span] = []
    for token in _parser().parse(text):
        if token.type not in _BLOCKS or token.map is None:
            continue
        first, last = token.map[0], min(token.map[1], len(lines)) - 1
        while (
            last > first and token.type != "fence" and not text[slice(*lines[last])].strip(" \t>")
        ):
            last -= 1
        if not spans or lines[first][0] >= spans[-1][1]:
            spans.append((lines[first][0], lines[last][1]))
    return spans


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def _lines(text: str) -> Iterator[Span]:
    """Place of each line, without its end."""
    start = 0
    for found in _LINE_END.finditer(text):
        yield start, found.start()
        start = found.end()
    yield start, len(text)
