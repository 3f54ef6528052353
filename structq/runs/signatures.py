"""How many runs of words two texts share; the only file that knows datasketch, which finds them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError
from structq.export.scored import DropError, Scored, best_of
from structq.texts import content_words

__all__ = ["Signatures", "compared_text"]

Runs = NDArray[np.uint32]
"""Hashes of a text's runs of words, ascending: all of them, or the smallest."""

_RUN = 3
"""Words in a row that are compared."""
_MOST = 256
"""Hashes that are kept of a text, at most."""
_N_PERMUTATIONS = 128


def compared_text(scored: Scored) -> str:
    """What of a row is compared where texts are: the last question and the best response."""
    return f"{scored.messages[-1]['content']}\n{best_of(scored.candidates).text}"


class Signatures:
    """Runs of three words of the rows' texts: instruction and best response.

    Similarity is the share of runs that two texts have in common (Jaccard's), exact for texts of
    up to 258 words and estimated from the 256 smallest hashes above that (standard error .03).
    Rows are compared where locality-sensitive hashing finds them near each other, which near-copies
    are almost surely.

    Raises:
        InputError: datasketch is not installed.
    """

    def __init__(self) -> None:
        try:
            import datasketch
        except ImportError as error:
            hint = "pip install 'structq[select]', or name a column with embeddings"
            raise InputError(f"embeddings: words are compared by datasketch ({hint})") from error
        self._library: Any = datasketch
        self._rows: list[Runs] = []

    def add(self, row: Mapping[str, Any], scored: Scored) -> None:
        """Takes the text of one row."""
        words = list(content_words(compared_text(scored)))
        if not words:
            raise DropError("no words to compare")
        places = range(max(1, len(words) - _RUN + 1))
        runs = (" ".join(words[place : place + _RUN]).encode() for place in places)
        hashes = np.fromiter(map(zlib.crc32, runs), dtype=np.uint32, count=len(places))
        # The product mixes the order, so that the smallest are a sample of all.
        self._rows.append(np.unique(hashes * np.uint32(2_654_435_761))[:_MOST].copy())

    def distinct(self, order: NDArray[np.intp], max_similarity: float | None) -> Iterator[int]:
        """Places in the order of what is kept."""
        bound = 0.7 if max_similarity is None else max_similarity
        # The index looks further than the bound, so as to miss little; the runs decide.
        near = min(max(bound - 0.1, 0.1), 0.9)
        index = self._library.MinHashLSH(
            threshold=near, num_perm=_N_PERMUTATIONS, weights=(0.1, 0.9)
        )
        first = self._library.MinHash(num_perm=_N_PERMUTATIONS, seed=1, hashfunc=int)
        for place, number in enumerate(order):
            runs = self._rows[number]
            signature = first.copy()
            signature.update_batch(runs.tolist())
            others = (self._rows[order[other]] for other in index.query(signature))
            if all(_shared(runs, other) <= bound for other in others):
                index.insert(place, signature)
                yield place


def _shared(one: Runs, other: Runs) -> float:
    """The share of runs that two texts have in common."""
    union = np.union1d(one, other)
    if _MOST in (len(one), len(other)):
        union = union[:_MOST]  # beyond, one of the two may have runs that were not kept
    both = np.isin(union, one, assume_unique=True) & np.isin(union, other, assume_unique=True)
    return float(both.mean())
