"""An answer of one text: what it must hold, and how it stands in the answer; knows no tokens.

A text stands by itself, or as the only value of a JSON object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from structq.errors import SchemaError, shorten

__all__ = ["Cut", "JsonWire", "PlainWire", "Reason", "TextRules", "Wire", "is_escaped"]

Reason = Literal["length", "repetition", "fence"]
"""Why a text ends before its LM would have ended it."""

# Characters whose escapes grammars of free text leave out, and that free text leaves out too.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_INSIDE = re.compile(rb'(?:[^"\\]|\\.)*', re.DOTALL)
_QUOTE = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)
_CLOSING = re.compile(rb'(?:[^"\\]|\\.)*"\s*\}?', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class TextRules:
    """What one text must be."""

    field: str | None = None
    """The property whose value is the text; ``None`` where the answer is the text itself."""
    literals: tuple[str, ...] = ()
    """Stand in the text in this order, verbatim, none over another."""
    anchored: bool = False
    """The text begins with the first of them."""
    lead: str = ""
    """What stands behind an anchored literal."""
    min_words: int = 0
    """Fewest words of the text."""
    min_new_words: int = 0
    """Fewest different words that ``known`` does not have."""
    max_words: int | None = None
    """Most words. A text that would be longer ends with the last whole sentence that fits."""
    max_chars: int | None = None
    """Most characters; as with words."""
    guard: bool = False
    """The text ends before it begins to repeat itself."""
    known: str = ""
    """The text that it is made from; it may repeat this."""

    def __post_init__(self) -> None:
        texts = ((self.field, str | None), (self.lead, str), (self.known, str))
        counts = ((self.min_words, int), (self.min_new_words, int))
        bounds = ((self.max_words, int | None), (self.max_chars, int | None))
        flags = ((self.anchored, bool), (self.guard, bool))
        literals = [(self.literals, tuple), *((text, str) for text in self.literals)]
        for value, kind in (*texts, *counts, *bounds, *flags, *literals):
            if not isinstance(value, kind):
                raise TypeError(f"rules for a text: {shorten(value)} is no {kind}")

    @property
    def schema(self) -> dict[str, Any] | None:
        """The schema of an answer that is this text and nothing else; ``None`` without a field."""
        if self.field is None:
            return None
        return {
            "type": "object",
            "properties": {self.field: {"type": "string"}},
            "required": [self.field],
            "additionalProperties": False,
        }

    def check(self, schema: Mapping[str, Any] | None) -> None:
        """Checks that answers of the schema are this text and nothing else.

        Raises:
            SchemaError: They are not.
        """
        if schema != self.schema:
            raise SchemaError(
                f"rules for a text need a closed object of one text, {self.field!r}: "
                f"found {shorten(schema, 200)}",
                keyword="text",
            )

    @property
    def has_controls(self) -> bool:
        """Whether a literal has control characters that free text has not."""
        return any(_CONTROLS.search(text) for text in self.literals)

    def wire(self, *, spaced: bool) -> Wire:
        """How the text stands in the answer."""
        return PlainWire() if self.field is None else JsonWire(self.field, spaced=spaced)


class Cut(NamedTuple):
    """What was said behind the end of a text."""

    text: str
    """The text that was cut off; it may be empty, where the next word would have been too many."""
    reason: Reason
    """More than the text may hold, the beginning of a loop, or a fence that closes nothing."""


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
