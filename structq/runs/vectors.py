"""Embeddings of rows as rows of length 1: those of a column, or a local LM's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError, LMError, PromptTooLongError
from structq.export.scored import DropError, Scored
from structq.runs.signatures import compared_text
from structq.runs.similarity import Matrix, distinct_rows

__all__ = ["ColumnVectors", "LMVectors"]

_BLOCK = 4_096

_APART = (
    "Water boils at a lower temperature on a mountain.",
    "def add(a, b):\n    return a + b",
    "Dear Ms Keller, thank you for your letter of 3 May.",
    "How many apples are left if 5 of 12 are eaten? 7.",
    "Il pleut depuis ce matin, et le train a du retard.",
    '{"name": "lamp", "price": 19.5}',
    "Once upon a time a fox lived at the edge of a wood.",
    "- flour\n- two eggs\n- a cup of milk",
)
"""Texts of no data, each unlike the others: with them there is a centre even where all rows are
near-copies, which else would lie around it on all sides."""


class ColumnVectors:
    """Embeddings of a column, as rows of length 1."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._blocks: list[Matrix] = []
        self._n = 0

    def add(self, row: Mapping[str, Any], scored: Scored) -> None:
        """Takes one row's embedding."""
        vector = self._vector(row, scored)
        if not self._blocks:
            self._n_numbers = len(vector)
        elif len(vector) != self._n_numbers:
            raise DropError("an embedding of another length than the first")
        if self._n % _BLOCK == 0:
            self._blocks.append(np.empty((_BLOCK, self._n_numbers), dtype=np.float32))
        self._blocks[-1][self._n % _BLOCK] = vector
        self._n += 1

    def distinct(self, order: NDArray[np.intp], max_similarity: float | None) -> Iterator[int]:
        """Places in the order of what is kept; the vectors are used up."""
        yield from distinct_rows(
            self.directions(order), 0.9 if max_similarity is None else max_similarity
        )

    def directions(self, order: NDArray[np.intp]) -> Matrix:
        """What is compared, of length 1 each, in the order; the vectors are used up."""
        ranks = np.empty(self._n, dtype=np.intp)
        ranks[order] = np.arange(self._n)
        vectors = np.empty((self._n, self._n_numbers), dtype=np.float32)
        while self._blocks:
            start = (len(self._blocks) - 1) * _BLOCK
            block = self._blocks.pop()[: self._n - start]
            vectors[ranks[start : start + len(block)]] = block
        return self._prepared(vectors)

    def _vector(self, row: Mapping[str, Any], scored: Scored) -> NDArray[Any]:
        """One row's embedding, of length 1."""
        return _unit(row.get(self._column))

    def _prepared(self, vectors: Matrix) -> Matrix:
        """The vectors, turned into what is compared."""
        return vectors


class LMVectors(ColumnVectors):
    """Mean last hidden states of a local LM over instruction and best response.

    Means of hidden states all lie to one side. So the mean of the rows, and of a few texts besides,
    is the centre from which directions are taken.

    Raises:
        InputError: The LM gives no embeddings.
    """

    def __init__(self, spec: str) -> None:
        from structq.engines.embedding import Embedder

        super().__init__("")
        self._embed = Embedder(spec)
        self._apart = np.stack([self._embed(text) for text in _APART])

    def _vector(self, row: Mapping[str, Any], scored: Scored) -> NDArray[Any]:
        try:
            return self._embed(compared_text(scored))
        except PromptTooLongError as error:
            raise DropError("a text longer than the LM's window") from error
        except InputError as error:
            raise DropError("a text that the LM cannot read") from error
        except LMError as error:
            raise DropError("a text on which the LM failed") from error

    def _prepared(self, vectors: Matrix) -> Matrix:
        total = vectors.sum(axis=0, dtype=np.float64) + self._apart.sum(axis=0)
        centre = (total / (len(vectors) + len(self._apart))).astype(np.float32)
        for start in range(0, len(vectors), _BLOCK):
            block = vectors[start : start + _BLOCK]
            block -= centre
            lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
            block /= np.maximum(lengths, np.finfo(np.float32).tiny)[:, None]
        return vectors


def _unit(value: Any) -> NDArray[np.float64]:
    try:
        vector = np.asarray(value)
    except ValueError:  # lists of different lengths
        vector = np.empty(0)
    if vector.ndim != 1 or not vector.size or vector.dtype.kind not in "iuf":
        raise DropError("no embedding: not a list of numbers")
    vector = vector.astype(np.float64)
    largest = np.abs(vector).max()
    if not np.isfinite(largest) or not largest:
        raise DropError("an embedding without a direction")
    vector /= largest  # so that no square overflows
    return np.asarray(vector / np.linalg.norm(vector))
