"""How alike the words of two texts are, by MinHash; the only file that knows datasketch."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError
from structq.export.scored import DropError, Scored, best_of
from structq.texts import content_words

if TYPE_CHECKING:
    from datasketch import MinHash

__all__ = ["Signatures"]

_N = 128
"""Hashes a signature: the standard error of a similarity of .7 is .04."""
_RUN = 3
"""Words in a row that are compared."""


class Signatures:
    """Signatures of the rows' texts: instruction and best response.

    Similarity is the share of runs of three words that two texts have in common, as 128 hashes
    estimate it. Rows are compared where locality-sensitive hashing finds them near each other,
    which near-copies are almost surely.

    Raises:
        InputError: datasketch is not installed.
    """

    def __init__(self) -> None:
        try:
            from datasketch import MinHash
        except ImportError as error:
            hint = "pip install 'structq[select]', or name a column with embeddings"
            raise InputError(f"embeddings: words are compared by datasketch ({hint})") from error
        self._first = MinHash(num_perm=_N, seed=1, hashfunc=zlib.crc32)
        self._rows: list[NDArray[np.uint32]] = []

    def add(self, row: Mapping[str, Any], scored: Scored) -> None:
        """Takes the text of one row."""
        asked = scored.messages[-1]["content"]
        words = list(content_words(f"{asked}\n{best_of(scored.candidates).text}"))
        if not words:
            raise DropError("no words to compare")
        runs = {
            " ".join(words[place : place + _RUN]).encode()
            for place in range(max(1, len(words) - _RUN + 1))
        }
        made = self._made(self._first.hashvalues)
        made.clear()
        made.update_batch(list(runs))
        self._rows.append(made.hashvalues.astype(np.uint32))

    def distinct(self, order: NDArray[np.intp], max_similarity: float | None) -> Iterator[int]:
        """Places in the order of what is kept."""
        from datasketch import MinHashLSH

        bound = 0.7 if max_similarity is None else max_similarity
        # The index looks further than the bound, so as to miss little; the estimate decides.
        near = min(max(bound - 0.1, 0.1), 0.9)
        index = MinHashLSH(threshold=near, num_perm=_N, weights=(0.1, 0.9))
        for place, number in enumerate(order):
            hashes = self._rows[number]
            made = self._made(hashes)
            alike = (self._rows[order[other]] == hashes for other in index.query(made))
            if all(np.mean(one) <= bound for one in alike):
                index.insert(place, made)
                yield place

    def _made(self, hashes: NDArray[np.uint32]) -> MinHash:
        from datasketch import MinHash

        first = self._first
        return MinHash(
            num_perm=_N,
            seed=1,
            hashfunc=zlib.crc32,
            hashvalues=hashes,
            permutations=first.permutations,
            scheme=first.scheme,
        )
