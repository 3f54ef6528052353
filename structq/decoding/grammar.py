"""A JSON Schema as a mask over tokens, with a matcher for every row; knows nothing of models."""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import llguidance
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from structq.decoding.rules import Cut, TextRules
from structq.decoding.schema_grammar import json_grammar, text_grammar
from structq.decoding.text import Enders, TextMatcher
from structq.decoding.vocabulary import Vocabulary
from structq.errors import LMError, SchemaError, shorten

__all__ = ["GrammarMatcher", "Grammars", "TokenMask", "schema_text"]

# A schema that itself names a control character, or has a pattern, needs all of them.
_NAMES_CONTROLS = re.compile(r'(?<!\\)(?:\\\\)*\\(?:b|f|u00[01]|u007f)|"pattern":')
_BITS = np.arange(32, dtype=np.uint32)
# With at most one word in this many not zero, naming the tokens is faster than spreading the bits.
_SPARSE = 16


class Grammars:
    """Every schema compiled once for one tokenizer; a matcher for each row.

    The text of a row is JSON, valid under the schema, keys in its order, strict UTF-8 without
    lone surrogates: spaced as ``json.dumps`` does it, or compact (separators ``,`` and ``:``). May
    be called from several threads.

    Args:
        tokenizer: The model's tokenizer.
        eos_token_id: The token that ends an answer.
        n_vocab: Columns of the model's logits.
        max_schemas: Compiled schemas kept; the one not used for longest goes first.

    Raises:
        InputError: The tokenizer cannot serve: see :class:`Vocabulary`.
    """

    def __init__(
        self, tokenizer: Tokenizer, *, eos_token_id: int, n_vocab: int, max_schemas: int = 256
    ) -> None:
        self.vocabulary = Vocabulary(tokenizer, eos_token_id=eos_token_id, n_vocab=n_vocab)
        wrapper = llguidance.TokenizerWrapper(_Tokens(self.vocabulary))
        self._tokenizer = llguidance.LLTokenizer(wrapper, n_vocab=n_vocab, eos_token=eos_token_id)
        self._max_schemas = max_schemas
        self._compiled: OrderedDict[tuple[str, bool, bool], llguidance.LLMatcher] = OrderedDict()
        self._lock = threading.Lock()
        self._enders: dict[bool, Enders] = {}

    def matcher(self, schema: Mapping[str, Any], *, spaced: bool = True) -> GrammarMatcher:
        """A fresh matcher, at the start of an answer that obeys ``schema``.

        Raises:
            SchemaError: A keyword that cannot be guaranteed, or a schema that nothing satisfies.
        """
        return self._fresh(schema, spaced=spaced, all_controls=False)

    def regex_matcher(self, regex: str) -> GrammarMatcher:
        """A fresh matcher of texts that a regular expression matches as a whole.

        Raises:
            SchemaError: The expression needs what llguidance lacks.
        """
        try:
            grammar = llguidance.LLMatcher.grammar_from_regex(regex)
            return GrammarMatcher(self._matcher(grammar, "regex"), self.vocabulary)
        except ValueError as error:
            raise SchemaError(
                f"the regex cannot be guaranteed: {error}", keyword="regex"
            ) from error

    def lark_matcher(self, lark: str) -> GrammarMatcher:
        """A fresh matcher of the texts of a context-free grammar, in Lark's notation.

        Raises:
            SchemaError: It is no grammar that llguidance reads.
        """
        try:
            grammar = llguidance.LLMatcher.grammar_from_lark(lark)
            return GrammarMatcher(self._matcher(grammar, "grammar"), self.vocabulary)
        except ValueError as error:
            raise SchemaError(f"the grammar cannot be read: {error}", keyword="grammar") from error

    def text_matcher(self, rules: TextRules, *, spaced: bool = True) -> TextMatcher:
        """A fresh matcher, at the start of an answer that is one text and keeps its rules.

        Raises:
            SchemaError: A literal is not valid Unicode.
        """
        wire = rules.wire(spaced=spaced)
        row = self._fresh(rules.schema, spaced=spaced, all_controls=rules.has_controls)
        kind = rules.field is None
        with self._lock:
            if kind not in self._enders:
                self._enders[kind] = Enders(self.vocabulary, wire)
        return TextMatcher(row, self.vocabulary, rules, wire, self._enders[kind])

    def _fresh(
        self, schema: Mapping[str, Any] | None, *, spaced: bool, all_controls: bool
    ) -> GrammarMatcher:
        # Keys keep their order: it is the order in which the answer has them.
        text = "" if schema is None else schema_text(schema)
        all_controls = all_controls or _NAMES_CONTROLS.search(text) is not None
        key = text, spaced, all_controls
        with self._lock:
            prototype = self._compiled.get(key)
            if prototype is None:
                prototype = self._compile(schema, spaced=spaced, all_controls=all_controls)
                self._compiled[key] = prototype
                if len(self._compiled) > self._max_schemas:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(key)
            return GrammarMatcher(prototype.deep_copy(), self.vocabulary)

    def _compile(
        self, schema: Mapping[str, Any] | None, *, spaced: bool, all_controls: bool
    ) -> llguidance.LLMatcher:
        grammar = (
            text_grammar(all_controls)
            if schema is None
            else json_grammar(schema, spaced, all_controls)
        )
        return self._matcher(str(grammar), "schema")

    def _matcher(self, grammar: str, keyword: str) -> llguidance.LLMatcher:
        matcher = llguidance.LLMatcher(self._tokenizer, grammar, log_level=0)
        if matcher.is_error():
            reason = matcher.get_error().partition("\n<state>")[0]
            raise SchemaError(f"the {keyword} cannot be compiled: {reason}", keyword=keyword)
        return matcher


class GrammarMatcher:
    """What one row may say next. Not to be shared between threads.

    The order of calls is: ``apply`` to the logits, choose a token, ``consume`` it; ``forced``
    tokens are consumed in the same way, without logits.
    """

    def __init__(self, matcher: llguidance.LLMatcher, vocabulary: Vocabulary) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._mask = TokenMask(vocabulary.n_vocab)
        self._is_current = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end of the answer can follow."""
        if not self._matcher.is_accepting():
            return False
        return bool(self._matcher.is_stopped()) or self._current_mask().is_single

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """Which tokens may come next: shape ``(n_vocab,)``.

        The end of the answer is among them only when the text is complete.

        Raises:
            LMError: The grammar gave up (a limit on its size); without it the row has no guarantee.
        """
        return self._current_mask().spread()

    def apply(self, logits: NDArray[np.float32]) -> None:
        """Set the logits of the tokens that may not come next to minus infinity, in place.

        Args:
            logits: Shape ``(n_vocab,)``.

        Raises:
            LMError: See :attr:`allowed`.
        """
        self._current_mask().apply(logits)

    def consume(self, token: int) -> None:
        """Take note that the row took this token, the end of the answer included.

        Raises:
            LMError: The token may not come here. The matcher is of no use afterwards.
        """
        self._is_current = False
        if not self._matcher.consume_token(token):
            piece = shorten(self._vocabulary.tokens[token]) if self._is_token(token) else "no token"
            raise LMError(f"the grammar does not allow token {token} here: {piece}")

    def forced(self) -> list[int]:
        """Tokens that can only come next, split as the tokenizer splits them; not consumed.

        A token at the end of the run that a longer allowed token covers is left out, so that the
        model chooses between the two. The end of the answer is not among them.

        Raises:
            LMError: See :attr:`allowed`.
        """
        tokens = list(self._matcher.compute_ff_tokens())
        self._check()
        return tokens

    def finish(self, text: str) -> tuple[str, Cut | None]:
        """The answer as it counts, and what was cut off: nothing of it."""
        return text, None

    def _current_mask(self) -> TokenMask:
        if not self._is_current:
            words = self._mask.words
            self._matcher.unsafe_compute_mask_ptr(words.ctypes.data, words.nbytes)
            self._check()
            self._is_current = True
        return self._mask

    def _is_token(self, token: int) -> bool:
        return 0 <= token < self._vocabulary.n_vocab

    def _check(self) -> None:
        # In its error state llguidance allows the end of the answer, which would pass for a
        # complete one.
        if self._matcher.is_error():
            reason = self._matcher.get_error().partition("\n<state>")[0]
            raise LMError(f"the grammar gave up: {reason}")


class TokenMask:
    """Which of ``n_vocab`` tokens are allowed. Its methods are valid until the words change.

    Args:
        n_vocab: Tokens; bits past them are ignored.
    """

    def __init__(self, n_vocab: int) -> None:
        self.words: NDArray[np.uint32] = np.zeros((n_vocab + 31) // 32, dtype=np.uint32)
        """Shape ``(ceil(n_vocab / 32),)``; the lowest bit of the first word is token 0."""
        self._n_vocab = n_vocab

    def tokens(self) -> NDArray[np.intp]:
        """Ids of the allowed tokens, ascending."""
        used = np.flatnonzero(self.words)
        if not self._is_sparse(used):
            return np.flatnonzero(self.spread())
        at, bit = np.nonzero(self.words[used][:, None] >> _BITS & 1)
        found: NDArray[np.intp] = 32 * used[at] + bit
        return found[found < self._n_vocab]

    @property
    def is_single(self) -> bool:
        """Whether one token alone is allowed."""
        used = self.words[np.flatnonzero(self.words)]
        return len(used) == 1 and int(used[0]).bit_count() == 1

    def spread(self) -> NDArray[np.bool_]:
        """Shape ``(n_vocab,)``: true where the token is allowed."""
        return _spread(self.words, self._n_vocab)

    def apply(self, logits: NDArray[np.floating]) -> None:
        """Set the logits of all other tokens to minus infinity, in place.

        Args:
            logits: Shape ``(n_vocab,)``.
        """
        if self._is_sparse(np.flatnonzero(self.words)):
            allowed = self.tokens()
            kept = logits[allowed]
            logits.fill(-np.inf)
            logits[allowed] = kept
        else:
            np.copyto(logits, -np.inf, where=_spread(~self.words, self._n_vocab))

    def _is_sparse(self, used: NDArray[np.intp]) -> bool:
        return _SPARSE * len(used) <= len(self.words)


def _spread(words: NDArray[np.uint32], n_vocab: int) -> NDArray[np.bool_]:
    little = words.astype("<u4", copy=False).view(np.uint8)
    return np.unpackbits(little, count=n_vocab, bitorder="little").view(np.bool_)


class _Tokens:
    """A vocabulary in the form that ``llguidance.TokenizerWrapper`` reads."""

    bos_token_id = None

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.eos_token_id = vocabulary.eos_token_id
        self.tokens = vocabulary.tokens
        self.special_token_ids = vocabulary.special_token_ids
        self._tokenize = vocabulary.tokenize

    def __call__(self, text: bytes | str) -> list[int]:
        return self._tokenize(text.decode() if isinstance(text, bytes) else text)


def schema_text(schema: Mapping[str, Any]) -> str:
    """A schema as JSON in one line: the same text for the same schema.

    Raises:
        SchemaError: It is not JSON.
    """
    try:
        text = json.dumps(schema, separators=(",", ":"), allow_nan=False)
        # The escapes of a lone surrogate pass for JSON until something reads them.
        json.dumps(schema, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise SchemaError(f"the schema is not JSON: {error}", keyword="schema") from error
    return text
