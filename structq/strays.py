"""Where a text stops being an answer: a speaker's mark, a fence that closes nothing; and code."""

from __future__ import annotations

import re

__all__ = ["code_lines", "has_open_fence", "holds_code", "lone_fence", "speaker_from"]

# One line says so by its form alone: keywords with what belongs to them, signs that end no prose.
_CODE_LINE = re.compile(
    r"(?:(?:async |public |private |protected |static |export |pub )*"
    r"(?:def|class|function|fn|func|interface|struct) +\w+ *[(:{<].*"
    r"|(?:from +[\w.]+ +import\b|import +[\w.]+(?: +as +\w+)?;?$|#include\b|using +[\w.]+;).*"
    r"|(?:[\w.]+\(.*\)|return\b.*[\w\])\"']) *;?"
    r"|(?:const |let |var |int |float |double |bool |char |auto |String |string )?"
    r"(?P<set>[\w.\[\]]+ *[-+*/]?= *\S.*)(?<![.!?:])"
    r"|(?:for|while|if|elif|else|try|except|with)\b[^.!?]*[()=<>\[\]][^.!?]*:"
    r"|</?[a-zA-Z][\w-]*(?: [^>]*)?>.*"
    r"|(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE) .*"
    r"|(?=.*[(){}\[\]<>=\"']).*[;{}](?: *//.*)?"
    r"|#!/.*|(?:echo|export|mkdir|chmod|sudo|cd|mv|cp|rm|find|grep) (?:.* )?"
    r"(?:-\w|[\"'$/~]|\.[ /]).*(?<![.!?])"
    r"|[{}\])]+[;,]?)"
)
_LONGEST = 300
"""Characters of a line that is looked at: longer ones are no lines that people wrote."""
_FENCE_LINE = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
_BARE = re.compile(r"[ \t>]*(?:`{3,}|~{3,})\s*")
# What stands before a turn of a transcript, or before a part of a prompt.
_SPEAKER = re.compile(
    r"^(?:\*\*|#+ )?(user|human|assistant|instruction|response|rewritten response|"
    r"evolved response)(?: \w)?(?:\*\*)?[ ]?:(?:\*\*)?(?=\s|$)",
    re.IGNORECASE | re.MULTILINE,
)


def code_lines(text: str) -> list[str]:
    """The lines that are code by their form; none where all of them may be formulas."""
    found = [one for line in text.splitlines() if (one := _as_code(line))]
    return [one[0] for one in found] if any(one["set"] is None for one in found) else []


def holds_code(text: str) -> bool:
    """Whether any line is code by its form, or stands between fences."""
    return _FENCE_LINE.search(text) is not None or any(map(_as_code, text.splitlines()))


def _as_code(line: str) -> re.Match[str] | None:
    line = line.strip()
    return _CODE_LINE.fullmatch(line) if 0 < len(line) <= _LONGEST else None


def has_open_fence(text: str) -> bool:
    """Whether a code fence has no partner."""
    return len(_FENCE_LINE.findall(text)) % 2 == 1


def lone_fence(text: str, known: str = "") -> int | None:
    """Where a line closes a fence that nobody opened, with code right above it, or ``None``.

    Args:
        text: The text so far.
        known: What it was made from: if that has a lone fence, so may the text.
    """
    first = _FENCE_LINE.search(text)
    if first is None or _BARE.fullmatch(first[0]) is None or has_open_fence(known):
        return None
    above = text[: first.start()].rstrip().rsplit("\n", 1)[-1]
    return first.start() if _as_code(above) else None


def speaker_from(text: str, known: str) -> int | None:
    """Where a line says who speaks next, as ``User:`` does, or ``None``.

    Args:
        text: The text.
        known: Instruction and response: whom they name may speak.
    """
    theirs = {found[1].casefold() for found in _SPEAKER.finditer(known)}
    places = (one.start() for one in _SPEAKER.finditer(text) if one[1].casefold() not in theirs)
    return next(places, None)
