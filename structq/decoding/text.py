"""An answer of one text: what it must hold, how long it may be, where it ends; knows no prompts.

A grammar with the literals inside would say the same of them, but it is compiled for every row, and
one of a literal that overlaps itself (a line of 2,000 dashes) outgrows the limits of llguidance. A
text ends where its string is closed, or with the answer; so it is enough that no token may end it
as long as something is missing, and that nothing follows once it has enough.
"""

from __future__ import annotations

import re
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from structq.decoding.rules import Cut, Reason, TextRules, Wire, is_escaped
from structq.decoding.vocabulary import Vocabulary
from structq.errors import LMError
from structq.strays import lone_fence
from structq.texts import content_words, first_words, n_words, repeated_from, whole_sentences

__all__ = ["Enders", "TextMatcher"]

# A literal counts as begun when this many of its bytes are said.
_OPENER = 12
# Tokens after which a loop without sentences is looked for.
_LOOK_EVERY = 16
_MAY_END = re.compile(rb"[.!?\n\x80-\xbf]|\\n")


class Masks(Protocol):
    """What holds the text to its grammar: a `GrammarMatcher` of the answer that it stands in."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end of the answer can follow."""

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next: shape ``(n_vocab,)``."""

    def apply(self, logits: NDArray[np.float32]) -> None:
        """Writes ``-inf`` over the logits of every token that is not allowed."""

    def consume(self, token: int) -> None:
        """Takes note that this token was said."""

    def forced(self) -> list[int]:
        """Tokens that can only come next; not consumed."""


class Enders:
    """The tokens of a vocabulary that end a text on one kind of wire."""

    def __init__(self, vocabulary: Vocabulary, wire: Wire) -> None:
        pieces, end = vocabulary.tokens, vocabulary.eos_token_id
        self.after_character = _ids([i for i, p in enumerate(pieces) if wire.ends(p)], end)
        """Those that end it where a character was just finished; and the answer's end."""
        self.after_backslash = _ids(
            [i for i, p in enumerate(pieces) if p and wire.ends(p[1:])], end
        )
        """Those that end it where an escape was just begun."""
        self.wishes = _ids([i for i, p in enumerate(pieces) if wire.wishes(p)], end)
        """Those that end it with nothing behind: what a model says to end."""


class TextMatcher:
    """A matcher that holds one text to its rules, and helps a model to keep them.

    A literal is begun by its first 12 bytes (at the start of a line, if it has lines); the rest of
    it is then forced. Where a token that ends the text has the highest logit of all and literals
    are missing, the next one comes first, in a paragraph of its own; after the last one the text
    ends. Not to be shared between threads.

    Args:
        matcher: At the start of an answer that is the text.
        vocabulary: That of the matcher.
        rules: What the text must be.
        wire: How it stands in the answer.
        enders: Of the vocabulary, for the wire.

    Raises:
        SchemaError: A literal is not valid Unicode.
    """

    def __init__(
        self,
        matcher: Masks,
        vocabulary: Vocabulary,
        rules: TextRules,
        wire: Wire,
        enders: Enders,
    ) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._rules = rules
        self._wire = wire
        self._enders = enders
        self._literals = tuple(wire.spell(text) for text in rules.literals if text)
        self._said = bytearray()
        self._n_tokens = self._n_said = 0
        self._after_lines = self._ended = False
        self._words = _Words(wire, rules.known if rules.min_new_words else None)
        self._kept: str | None = None
        self._reason: Reason = "length"
        self._start = self._end = len(wire.start.encode())
        n_first = int(rules.anchored)
        first = "".join(self._literals[:n_first])
        lead = wire.spell(rules.lead) if first else ""
        self._queue = vocabulary.tokenize(wire.start + first + lead)
        later = (vocabulary.tokenize(text) for text in self._literals[n_first:])
        self.n_needed = len(self._queue) + sum(map(len, later)) + 1
        """Tokens of the shortest answer, about."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end of the answer can follow."""
        return not self._queue and (self._ended or self._matcher.is_complete)

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next: shape ``(n_vocab,)``."""
        allowed = self._matcher.allowed.copy()
        if self._queue:
            allowed[:] = False
            allowed[self._queue[0]] = True
        elif self._missing() or self._is_short():
            allowed[self._ending()] = False
        return allowed

    def apply(self, logits: NDArray[np.float32]) -> None:
        """Masks the logits; may decide that a literal comes now."""
        missing = self._missing()
        if not self._queue and (missing or self._after_lines):
            self._steer(logits, missing)
        if self._queue:
            logits.fill(-np.inf)
            logits[self._queue[0]] = 0.0
            return
        self._matcher.apply(logits)
        if missing or self._is_short():
            logits[self._ending()] = -np.inf

    def consume(self, token: int) -> None:
        """Takes note that this token was said."""
        if self._queue and token == self._queue[0]:
            self._queue.pop(0)
            self._take(token)
            return
        if self._queue or ((self._missing() or self._is_short()) and token in self._ending()):
            raise LMError(f"the rules of the text do not allow token {token} here")
        self._take(token)
        self._after_lines = False
        self._limit(token)
        if not self._ended and (missing := self._missing()):
            self._finish_begun(missing[0], len(self._vocabulary.tokens[token]))

    def forced(self) -> list[int]:
        """Tokens that can only come next, the rest of a literal included; not consumed."""
        if self._ended and not self._queue:
            return []
        return list(self._queue) or self._matcher.forced()

    def finish(self, text: str) -> tuple[str, Cut | None]:
        """The answer as it counts, and what was cut off its end.

        Args:
            text: The answer as it was said.
        """
        if self._kept is None:
            return text, None
        answer = self._wire.start + self._wire.spell(self._kept) + self._wire.end
        return answer, Cut(self._text()[len(self._kept) :].strip(), self._reason)

    def _take(self, token: int) -> None:
        self._matcher.consume(token)
        self._n_tokens += 1
        if token != self._vocabulary.eos_token_id:
            self._said += self._vocabulary.tokens[token]

    def _text(self) -> str:
        """The text so far."""
        return self._wire.read(bytes(self._said[self._start :]))

    def _missing(self) -> tuple[str, ...]:
        """The literals that are not said yet."""
        while self._n_said < len(self._literals):
            literal = self._literals[self._n_said].encode()
            at = self._find(literal, self._end)
            if at < 0:
                break
            self._n_said, self._end = self._n_said + 1, at + len(literal)
        return self._literals[self._n_said :]

    def _find(self, literal: bytes, start: int) -> int:
        """The first place of a literal that does not begin inside an escape, or -1."""
        at = self._said.find(literal, start)
        while at >= 0 and self._is_inside_escape(at):
            at = self._said.find(literal, at + 1)
        return at

    def _is_inside_escape(self, at: int) -> bool:
        return self._rules.field is not None and is_escaped(self._said, at)

    def _is_short(self) -> bool:
        rules = self._rules
        if rules.min_words and self._n_words() < rules.min_words:
            return True
        return bool(rules.min_new_words) and self._n_new_words() < rules.min_new_words

    def _n_words(self) -> int:
        return self._words.count(self._said, self._start)

    def _n_new_words(self) -> int:
        return self._words.count_new(self._said, self._start)

    def _ending(self) -> NDArray[np.intp]:
        """The tokens that would end the text here."""
        is_open = self._wire.is_open(self._said)
        return self._enders.after_backslash if is_open else self._enders.after_character

    def _limit(self, token: int) -> None:
        """Ends the text where it is too long, or begins to repeat itself."""
        if self._wire.is_open(self._said):
            return
        if self._is_too_long():
            self._stop(self._fitting(self._text()), "length")
        elif self._rules.guard and self._looks(token) and not self._is_short():
            text = self._text()
            at = repeated_from(text, self._rules.known)
            reason: Reason = "repetition"
            if at is None:
                at, reason = self._lone_fence(text), "fence"
            if at is not None and at > self._n_held(text):
                self._stop(text[:at].rstrip(), reason)

    def _lone_fence(self, text: str) -> int | None:
        """Where a fence has no partner, if what stands before it is enough."""
        rules, at = self._rules, lone_fence(text, self._rules.known)
        if at is None or n_words(text[:at]) < rules.min_words:
            return None
        new = {*content_words(text[:at])} - {*content_words(rules.known)}
        return at if len(new) >= rules.min_new_words else None

    def _is_too_long(self) -> bool:
        words, chars = self._rules.max_words, self._rules.max_chars
        if words is not None and self._n_words() > words:
            return True
        return chars is not None and len(self._said) > chars and len(self._text()) > chars

    def _looks(self, token: int) -> bool:
        """Whether it is time to look for repetitions."""
        if self._n_tokens % _LOOK_EVERY == 0:
            return True
        return _MAY_END.search(self._vocabulary.tokens[token]) is not None

    def _fitting(self, text: str) -> str:
        """The longest beginning of whole sentences that fits, else of whole words."""
        rules, held = self._rules, self._n_held(text)
        fits = text if rules.max_words is None else first_words(text, rules.max_words)
        fits = text[: max(held, len(fits[: rules.max_chars]))]
        whole = whole_sentences(fits)
        if whole > held and n_words(fits[:whole]) >= rules.min_words:
            return fits[:whole]
        return fits[:held] + fits[held:].rstrip()

    def _n_held(self, text: str) -> int:
        """Characters up to the end of the last literal that was said."""
        said = self._wire.read(bytes(self._said[self._start : self._end]))
        return min(len(said), len(text))

    def _stop(self, kept: str, reason: Reason) -> None:
        """The text ends here; literals that are missing come behind it, each in a paragraph."""
        parts = [kept, *self._rules.literals[len(self._rules.literals) - len(self._missing()) :]]
        self._kept = "\n\n".join(part for part in parts if part)
        self._ended, self._reason = True, reason

    def _steer(self, logits: NDArray[np.float32], missing: tuple[str, ...]) -> None:
        """Decides from the unmasked logits whether the next tokens are ours to say."""
        allowed, wishes = self._matcher.allowed, self._enders.wishes
        # Where the text could not be ended, no literal could begin either.
        if self._wire.is_open(self._said) or not allowed[wishes].any():
            return
        others = allowed.copy()
        others[self._enders.after_character] = False
        wants_end = logits[wishes].max() >= np.max(logits, where=others, initial=-np.inf)
        if missing and wants_end:
            is_last = len(missing) == 1 and not self._is_short()
            self._say(
                self._break() + missing[0] + (self._wire.end if is_last else self._wire.newline)
            )
            self._ended = is_last and not self._wire.end
        elif self._after_lines and not wants_end:
            self._say(self._wire.newline)
        self._after_lines = False

    def _finish_begun(self, literal: str, n_new: int) -> None:
        """Queues the rest of the literal, if the last ``n_new`` bytes have begun it."""
        said, whole, has_lines = self._said, literal.encode(), self._wire.newline in literal
        opener = whole[:_OPENER]
        at = said.rfind(opener, max(self._end, len(said) - len(opener) - n_new))
        if at < 0 or not whole.startswith(said[at:]) or self._is_inside_escape(at):
            return
        if has_lines and at > self._start and not said[:at].endswith(self._wire.newline.encode()):
            return
        rest = whole[len(said) - at :]
        if rest[0] & 0xC0 != 0x80:  # inside a character, the next token decides
            self._say(rest.decode())
            self._after_lines = has_lines

    def _say(self, text: str) -> None:
        self._queue = self._vocabulary.tokenize(text)

    def _break(self) -> str:
        """What parts a literal from the text before it, so that it has a paragraph of its own."""
        text, newline = self._said[self._start :], self._wire.newline.encode()
        if not text or text.endswith(newline * 2):
            return ""
        return self._wire.newline * (1 if text.endswith(newline) else 2)


class _Words:
    """Counts the words of a growing text without reading it anew.

    Args:
        wire: How the text stands in the answer.
        known: Whose words are not new; ``None`` where nobody asks for new ones.
    """

    def __init__(self, wire: Wire, known: str | None) -> None:
        self._wire = wire
        self._n = 0
        self._known = None if known is None else frozenset(content_words(known))
        self._new: set[str] = set()
        self._counted: int | None = None

    def count(self, said: bytearray, start: int) -> int:
        """Words of the text; ``said`` has only grown since the last call."""
        rest = self._rest(said, start)  # moves what is counted
        return self._n + n_words(rest)

    def count_new(self, said: bytearray, start: int) -> int:
        """Different words of the text that are not known."""
        rest = set(content_words(self._rest(said, start)))
        return len(self._new | (rest - (self._known or frozenset())))

    def _rest(self, said: bytearray, start: int) -> str:
        """The end of the text that is not counted yet: its last word may still grow."""
        first = start if self._counted is None else self._counted
        space = said.rfind(b" ", first)
        if space > first:
            whole = self._wire.read(bytes(said[first:space]))
            self._n += n_words(whole)
            if self._known is not None:
                self._new |= set(content_words(whole)) - self._known
            self._counted = first = space
        return self._wire.read(bytes(said[first:]))


def _ids(found: list[int], end: int) -> NDArray[np.intp]:
    return np.array(sorted({*found, end}), dtype=np.intp)
