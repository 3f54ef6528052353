"""Section marks: what keeps the text of a row from passing for the structure of a prompt.

A prompt puts each text under a heading (``Response 2:``), or, in the compact form, into tags
(``[2]`` .. ``[/2]``). Where a text holds such a heading or tag itself, those of the prompt all get
a mark (``Response 2 a:``, ``[2a]``) that no text holds. Row text is never changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import count, product
from string import ascii_lowercase

from structq.errors import InputError

__all__ = ["check_text", "choose_heading_mark", "choose_mark"]

_SECTIONS = (r"instruction|response|\d+",)


def choose_heading_mark(texts: Iterable[str], names: Iterable[str]) -> str:
    """The first of ``""``, ``" a"``, ``" b"``, .. that no text uses in a heading.

    Args:
        texts: Every text of the prompt that an author of rows controls.
        names: What stands in the headings, before the mark and a colon; numbers may follow it.
    """
    heading = _heading(tuple(names))
    used = {found.casefold() for text in texts for found in heading.findall(text)}
    return "" if not used else " " + next(mark for mark in _marks() if mark and mark not in used)


def choose_mark(texts: Iterable[str], sections: tuple[str, ...] = _SECTIONS) -> str:
    """The first of ``""``, ``"a"``, .., ``"z"``, ``"aa"``, .. that no text uses in a section tag.

    Args:
        texts: Every text of the prompt that an author of rows controls.
        sections: Regular expressions of section names, such that none can end inside another's
            mark.
    """
    used: set[str] = set()
    for pattern in _tags(sections):
        for text in texts:
            if "[" in text:
                used.update(pattern.findall(text))
    return "" if not used else next(mark for mark in _marks() if mark not in used)


def check_text(value: object, field: str) -> str:
    """The value, if it is text that can be sent to an LM.

    Raises:
        InputError: It is not text, or holds half of a surrogate pair, which UTF-8 cannot carry.
    """
    if not isinstance(value, str):
        kind = "nothing" if value is None else f"{type(value).__name__} {value!r:.60}"
        raise InputError(f"{field}: must be text, found {kind}", field=field)
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            found = f"U+{ord(value[error.start]):04X} at character {error.start}"
            raise InputError(
                f"{field}: a lone surrogate, {found} (not valid Unicode)", field=field
            ) from None
    return value


@lru_cache(maxsize=256)
def _tags(sections: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"\[/?(?:{name})([a-z]*)\]") for name in sections)


@lru_cache(maxsize=256)
def _heading(names: tuple[str, ...]) -> re.Pattern[str]:
    named = "|".join(re.escape(name) for name in names)
    return re.compile(rf"^[ \t]*(?:{named})(?:[ \t]+\d+)?(?:[ \t]+([a-z]*))?[ \t]*:", re.M | re.I)


def _marks() -> Iterator[str]:
    for length in count():
        yield from ("".join(letters) for letters in product(ascii_lowercase, repeat=length))
