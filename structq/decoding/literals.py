"""An answer of one text that holds given literals; knows nothing of what they are.

A grammar with the literals inside would say the same, but it is compiled for every row, and one of
a literal that overlaps itself (a line of 2,000 dashes) outgrows the limits of llguidance. The text
of an answer ends where its string is closed; so it is enough that no token may close it as long as
a literal is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from structq.decoding.vocabulary import Vocabulary
from structq.errors import LMError, SchemaError, shorten

if TYPE_CHECKING:
    from structq.decoding.grammar import RowMatcher

__all__ = ["Enders", "LiteralMatcher", "Literals"]

# A literal counts as begun when this many of its bytes are said.
_OPENER = 12
_NEWLINE = "\\n"
_QUOTE = re.compile(rb'(?:[^"\\]|\\.)*"', re.DOTALL)
_CLOSING = re.compile(rb'(?:[^"\\]|\\.)*"\}?', re.DOTALL)
# Characters whose escapes grammars of free text leave out.
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, kw_only=True)
class Literals:
    """What the text of an answer must hold."""

    field: str
    """The property whose value is the text."""
    texts: tuple[str, ...]
    """Stand in the text in this order, verbatim, none over another."""
    anchored: bool = False
    """The text begins with the first of them."""

    @property
    def has_controls(self) -> bool:
        """Whether a literal has control characters that free text has not."""
        return any(_CONTROLS.search(text) for text in self.texts)

    def escaped(self) -> tuple[str, ...]:
        """Each literal as it stands inside a JSON string, in the one spelling that is taken.

        Raises:
            SchemaError: A literal holds half of a surrogate pair, which UTF-8 cannot carry.
        """
        return tuple(_escape(text) for text in self.texts if text)

    def check(self, schema: Mapping[str, Any]) -> None:
        """Checks that answers of the schema have one free text, ``field``, and nothing else.

        Raises:
            SchemaError: They have not.
        """
        wanted = {
            "type": "object",
            "properties": {self.field: {"type": "string"}},
            "required": [self.field],
            "additionalProperties": False,
        }
        if dict(schema) != wanted:
            raise SchemaError(
                f"literals need a closed object of one text, {self.field!r}: "
                f"found {shorten(schema, 200)}",
                keyword="literals",
            )


class Enders:
    """The tokens of a vocabulary that end a text."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        pieces, end = vocabulary.tokens, vocabulary.eos_token_id
        self.after_character = _ids([i for i, p in enumerate(pieces) if _QUOTE.match(p)], end)
        """Those that close a string in which a character was just finished; and the answer's."""
        self.after_backslash = _ids(
            [i for i, p in enumerate(pieces) if p and _QUOTE.match(p[1:])], end
        )
        """Those that close a string in which an escape was just begun."""
        self.wishes = _ids([i for i, p in enumerate(pieces) if _CLOSING.fullmatch(p)], end)
        """Those that close string and answer with nothing behind: what a model says to end."""


class LiteralMatcher:
    """A matcher that lets no text end before its literals are said, and helps a model to say them.

    A literal is begun by its first 12 bytes (at the start of a line, if it has lines); the rest of
    it is then forced. Where a token that ends the text has the highest logit of all and literals
    are missing, the next one comes first, in a paragraph of its own; after the last one the answer
    ends. Not to be shared between threads.

    Args:
        matcher: At the start of an answer that ``literals.check`` allows.
        vocabulary: That of the matcher.
        literals: What the text must hold.
        enders: Of the vocabulary.

    Raises:
        SchemaError: A literal is not valid Unicode.
    """

    def __init__(
        self, matcher: RowMatcher, vocabulary: Vocabulary, literals: Literals, enders: Enders
    ) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._literals = literals.escaped()
        self._enders = enders
        self._said = bytearray()
        self._n_said = 0
        self._after_lines = False
        start = "{" + json.dumps(literals.field, ensure_ascii=False) + ':"'
        self._start = self._end = len(start.encode())
        n_first = int(literals.anchored)
        self._queue = vocabulary.tokenize(start + "".join(self._literals[:n_first]))
        later = (vocabulary.tokenize(text) for text in self._literals[n_first:])
        self.n_needed = len(self._queue) + sum(map(len, later)) + 1
        """Tokens of the shortest answer, about."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end of the answer can follow."""
        return not self._queue and self._matcher.is_complete

    def apply(self, logits: NDArray[np.float32]) -> None:
        """As `RowMatcher.apply`; may decide that a literal comes now."""
        missing = self._missing()
        if not self._queue and (missing or self._after_lines):
            self._steer(logits, missing)
        if self._queue:
            logits.fill(-np.inf)
            logits[self._queue[0]] = 0.0
            return
        self._matcher.apply(logits)
        if missing:
            logits[self._ending()] = -np.inf

    def consume(self, token: int) -> None:
        """As `RowMatcher.consume`."""
        if self._queue and token == self._queue[0]:
            self._queue.pop(0)
            self._take(token)
            return
        if self._queue or (self._missing() and token in self._ending()):
            raise LMError(f"the literals do not allow token {token} here")
        self._take(token)
        self._after_lines = False
        if missing := self._missing():
            self._finish_begun(missing[0], len(self._vocabulary.tokens[token]))

    def forced(self) -> list[int]:
        """Tokens that can only come next, the rest of a literal included; not consumed."""
        return list(self._queue) or self._matcher.forced()

    def _take(self, token: int) -> None:
        self._matcher.consume(token)
        if token != self._vocabulary.eos_token_id:
            self._said += self._vocabulary.tokens[token]

    def _missing(self) -> tuple[str, ...]:
        """The literals that are not said yet."""
        while self._n_said < len(self._literals):
            literal = self._literals[self._n_said].encode()
            at = _find(self._said, literal, self._end)
            if at < 0:
                break
            self._n_said, self._end = self._n_said + 1, at + len(literal)
        return self._literals[self._n_said :]

    def _ending(self) -> NDArray[np.intp]:
        """The tokens that would end the text here."""
        escaped = _is_escaped(self._said, len(self._said))
        return self._enders.after_backslash if escaped else self._enders.after_character

    def _steer(self, logits: NDArray[np.float32], missing: tuple[str, ...]) -> None:
        """Decides from the unmasked logits whether the next tokens are ours to say."""
        allowed, wishes = self._matcher.allowed, self._enders.wishes
        # Where the string could not be closed, no literal could begin either.
        if _is_escaped(self._said, len(self._said)) or not allowed[wishes].any():
            return
        others = allowed.copy()
        others[self._enders.after_character] = False
        wants_end = logits[wishes].max() >= np.max(logits, where=others, initial=-np.inf)
        if missing and wants_end:
            ends = '"}' if len(missing) == 1 else _NEWLINE
            self._say(self._break() + missing[0] + ends)
        elif self._after_lines and not wants_end:
            self._say(_NEWLINE)
        self._after_lines = False

    def _finish_begun(self, literal: str, n_new: int) -> None:
        """Queues the rest of the literal, if the last ``n_new`` bytes have begun it."""
        said, whole, has_lines = self._said, literal.encode(), _NEWLINE in literal
        opener = whole[:_OPENER]
        at = said.rfind(opener, max(self._end, len(said) - len(opener) - n_new))
        if at < 0 or not whole.startswith(said[at:]) or _is_escaped(said, at):
            return
        if has_lines and at > self._start and not said[:at].endswith(_NEWLINE.encode()):
            return
        rest = whole[len(said) - at :]
        if rest[0] & 0xC0 != 0x80:  # inside a character, the next token decides
            self._say(rest.decode())
            self._after_lines = has_lines

    def _say(self, text: str) -> None:
        self._queue = self._vocabulary.tokenize(text)

    def _break(self) -> str:
        """What parts a literal from the text before it, so that it has a paragraph of its own."""
        text, newline = self._said[self._start :], _NEWLINE.encode()
        if not text or text.endswith(newline * 2):
            return ""
        return _NEWLINE if text.endswith(newline) else _NEWLINE * 2


def _ids(found: list[int], end: int) -> NDArray[np.intp]:
    return np.array(sorted({*found, end}), dtype=np.intp)


def _escape(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SchemaError(
            f"a literal holds a lone surrogate: found {shorten(text)}", keyword="literals"
        ) from error
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("\x7f", "\\u007f")


def _is_escaped(text: bytes | bytearray, at: int) -> bool:
    """Whether the byte at this place belongs to an escape that began before it."""
    before = text[:at]
    return (len(before) - len(before.rstrip(b"\\"))) % 2 == 1


def _find(text: bytearray, literal: bytes, start: int) -> int:
    """The first place of a literal that does not begin inside an escape, or -1."""
    at = text.find(literal, start)
    while at >= 0 and _is_escaped(text, at):
        at = text.find(literal, at + 1)
    return at
