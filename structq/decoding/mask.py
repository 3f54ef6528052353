"""A set of tokens as the bits that llguidance writes; knows nothing of what the tokens are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TokenMask"]

_BITS = np.arange(32, dtype=np.uint32)
# With at most one word in this many not zero, naming the tokens is faster than spreading the bits.
_SPARSE = 16


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
