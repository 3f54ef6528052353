"""The bytes of every token, and text to tokens without special ones; knows no grammars."""

from __future__ import annotations

from functools import lru_cache

import llguidance
import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from structq.errors import InputError

__all__ = ["Vocabulary"]

# Stands before a text that goes on from another one, so that a tokenizer does not treat it as the
# start of a text.
_MARKER = "\x02"


class Vocabulary:
    """Tokens as bytes, for one tokenizer and one model.

    Bytes and not text: a token may be a part of a character, and only bytes tell which.

    Args:
        tokenizer: Any byte-level or byte-fallback tokenizer; it is never changed.
        eos_token_id: The token that ends an answer.
        n_vocab: Columns of the model's logits; ids past the tokenizer's own are never allowed.

    Raises:
        InputError: The tokenizer has no byte form, has more tokens than ``n_vocab``, or lacks
            ``eos_token_id``.
    """

    def __init__(self, tokenizer: Tokenizer, *, eos_token_id: int, n_vocab: int) -> None:
        known = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if known > n_vocab:
            raise InputError(
                f"n_vocab is too small: {n_vocab} (the tokenizer has {known})", field="n_vocab"
            )
        if not 0 <= eos_token_id < known:
            raise InputError(
                f"eos_token_id is no token: {eos_token_id} (0 to {known - 1})", field="eos_token_id"
            )
        self.eos_token_id = eos_token_id
        self.n_vocab = n_vocab
        self._plain = _plain(tokenizer)
        self._bytewise = _bytewise(self._plain, eos_token_id, n_vocab)
        self.tokens: tuple[bytes, ...] = tuple(
            self._bytewise.decode_bytes([token]) for token in range(n_vocab)
        )
        self.special_token_ids: tuple[int, ...] = tuple(
            token for token in range(n_vocab) if self._bytewise.is_special_token(token)
        )
        self._offset = self._prefix_length()
        self.starting_with = lru_cache(maxsize=64)(self._starting_with)

    def tokenize(self, text: str) -> list[int]:
        """Canonical tokens of a text that goes on from another one.

        No prefix space is added and no part of the text becomes a special token. The bytes of the
        tokens are exactly those of the text, even where the tokenizer would normalise it.
        """
        ids = self._encode(text)
        if b"".join(self.tokens[token] for token in ids) == text.encode():
            return ids
        return list(self._bytewise.greedy_tokenize(text))

    def decode(self, tokens: list[int]) -> bytes:
        """The bytes of the tokens, one after the other; specials give nothing."""
        specials = set(self.special_token_ids)
        return b"".join(self.tokens[token] for token in tokens if token not in specials)

    def _encode(self, text: str) -> list[int]:
        if not self._offset:
            return list(self._plain.encode(text, add_special_tokens=False).ids)
        return list(self._plain.encode(_MARKER + text, add_special_tokens=False).ids)[
            self._offset :
        ]

    def _prefix_length(self) -> int:
        """Tokens that stand for the marker, or 0 where the tokenizer adds nothing before a text."""
        probe = self._plain.encode("a", add_special_tokens=False).ids
        if b"".join(self.tokens[token] for token in probe) == b"a":
            return 0
        return len(self._plain.encode(_MARKER, add_special_tokens=False).ids)

    def _starting_with(self, prefix: bytes) -> NDArray[np.intp]:
        """Ids, ascending, of the plain tokens whose bytes start with ``prefix``."""
        specials = set(self.special_token_ids)
        found = [
            token
            for token, piece in enumerate(self.tokens)
            if piece.startswith(prefix) and token not in specials
        ]
        ids = np.array(found, dtype=np.intp)
        ids.setflags(write=False)  # it is cached, and callers share it
        return ids


def _plain(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer without padding or truncation, in which markers inside a text stay text."""
    settings = tokenizer.truncation, tokenizer.padding
    if tokenizer.encode_special_tokens and settings == (None, None):
        return tokenizer  # a copy of a large vocabulary takes time and tens of megabytes
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.no_padding()
    copy.no_truncation()
    copy.encode_special_tokens = True
    return copy


def _bytewise(tokenizer: Tokenizer, eos_token_id: int, n_vocab: int) -> llguidance.LLTokenizer:
    try:
        return llguidance.LLTokenizer(tokenizer.to_str(), n_vocab=n_vocab, eos_token=eos_token_id)
    except Exception as error:  # llguidance raises whatever its Rust side reports
        raise InputError(f"the tokenizer has no byte form: {error}", field="tokenizer") from error
