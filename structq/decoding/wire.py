"""How one text stands in an answer: by itself, or as the only value of a JSON object."""

from __future__ import annotations

import json
import re
from typing import Protocol

from structq.errors import SchemaError, shorten

__all__ = ["JsonWire", "PlainWire", "Wire", "is_escaped"]

_INSIDE = re.compile(rb'(?:[^"\\]|\\.)*', re.DOTALL)
_QUOTE = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)
_CLOSING = re.compile(rb'(?:[^"\\]|\\.)*"\s*\}?', re.DOTALL)


class Wire(Protocol):
    """The spelling of one text in the bytes of an answer."""

    start: str
    """What stands before the text."""
    end: str
    """What stands behind it."""
    newline: str
    """How the text spells the end of a line."""

    def spell(self, text: str) -> str:
        """A piece of text as it stands in the answer.

        Raises:
            SchemaError: It holds half of a surrogate pair, which UTF-8 cannot carry.
        """
        ...

    def read(self, said: bytes) -> str:
        """The text of bytes behind the start; what is not a whole character yet is left out."""
        ...

    def is_open(self, said: bytes | bytearray) -> bool:
        """Whether an escape was begun and not finished."""
        ...

    def ends(self, piece: bytes) -> bool:
        """Whether a token of these bytes ends the text (an escape apart)."""
        ...

    def wishes(self, piece: bytes) -> bool:
        """Whether a token of these bytes ends the text and says nothing behind it."""
        ...


class PlainWire:
    """The answer is the text; only the end-of-answer token ends it."""

    start = end = ""
    newline = "\n"

    def spell(self, text: str) -> str:
        """See `Wire.spell`."""
        return _utf8(text)

    def read(self, said: bytes) -> str:
        """See `Wire.read`."""
        return said.decode("utf-8", "ignore")

    def is_open(self, said: bytes | bytearray) -> bool:
        """Never: plain text has no escapes."""
        return False

    def ends(self, piece: bytes) -> bool:
        """Never: see the class."""
        return False

    wishes = ends


class JsonWire:
    """The text is the only property of an object.

    Args:
        field: The name of the property.
        spaced: With a space behind the colon, as ``json.dumps`` writes it.
    """

    end = '"}'
    newline = "\\n"

    def __init__(self, field: str, *, spaced: bool) -> None:
        self.start = "{" + json.dumps(field, ensure_ascii=False) + (': "' if spaced else ':"')

    def spell(self, text: str) -> str:
        """The text inside a JSON string, in the one spelling that is taken; see `Wire.spell`."""
        return json.dumps(_utf8(text), ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")

    def read(self, said: bytes) -> str:
        """See `Wire.read`; what stands behind a closing quote is none of the text."""
        found = _INSIDE.match(said)
        text = said[: found.end() if found else 0].decode("utf-8", "ignore")
        for n_cut in range(min(len(text), 6)):  # what an escape that is not whole can have
            try:
                return str(json.loads(f'"{text[: len(text) - n_cut]}"', strict=False))
            except ValueError:
                continue
        return ""

    def is_open(self, said: bytes | bytearray) -> bool:
        """See `Wire.is_open`."""
        return is_escaped(said, len(said))

    def ends(self, piece: bytes) -> bool:
        """See `Wire.ends`."""
        return _QUOTE.match(piece) is not None

    def wishes(self, piece: bytes) -> bool:
        """See `Wire.wishes`."""
        return _CLOSING.fullmatch(piece) is not None


def is_escaped(text: bytes | bytearray, at: int) -> bool:
    """Whether the byte at this place belongs to a JSON escape that began before it."""
    before = text[:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SchemaError(
            f"a literal holds a lone surrogate: found {shorten(text)}", keyword="literals"
        ) from error
    return text
