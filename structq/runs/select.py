"""The best rows that are unlike one another: DEITA's third step; knows no template and no LM."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError
from structq.export.rows import Drops
from structq.export.scored import DropError, Scored, best_of, read_scored
from structq.modules.derived import orders_rows
from structq.runs.select_settings import SelectSettings
from structq.runs.signatures import Signatures
from structq.runs.similarity import distinct_rows

__all__ = ["Selection", "choose_rows", "select_rows"]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which rows are kept, and where the others went."""

    n_rows: int
    """Rows read."""

    kept: list[int]
    """Rows that are kept, counted from 0, in the order of keeping: the best first."""

    n_looked_at: int
    """Rows that were compared; the search ends where enough are kept."""

    dropped: Drops = field(default_factory=Drops)
    """Rows without a score or without something to compare, by reason."""

    @property
    def n_similar(self) -> int:
        """Rows that were too similar to one that was kept."""
        return self.n_looked_at - len(self.kept)


def choose_rows(rows: Iterable[Mapping[str, Any]], settings: SelectSettings) -> Selection:
    """Which rows to keep: the best, each unlike all that were kept before it.

    Rows of equal score stay in their order. Memory holds numbers and no row: four bytes a number
    of an embedding, or at most 1 KB a row where words are compared.

    Args:
        rows: As ``structq run`` or ``structq score`` wrote them; read once.
        settings: How to choose.

    Raises:
        InputError: There were rows, and none of them could be used; says why.

    Source: "repr filter" of DEITA (arXiv 2312.15685, section 2.4).
    """
    features = Signatures() if settings.embeddings is None else _Vectors(settings.embeddings)
    numbers, scores, dropped, n_rows = array("q"), array("d"), Drops(), 0
    for n_rows, row in enumerate(rows, start=1):
        try:
            scored = read_scored(row)
            score = _score(row, scored, settings)
            features.add(row, scored)
        except DropError as reason:
            dropped.add(str(reason), n_rows)
            continue
        numbers.append(n_rows - 1)
        scores.append(score)
    if not numbers:
        found = f"none of {n_rows} rows can be selected ({dropped})" if n_rows else "there are none"
        raise InputError(f"rows: {found}")
    order = np.argsort(-np.frombuffer(scores), kind="stable")
    places = islice(features.distinct(order, settings.max_similarity), settings.n)
    kept = [int(place) for place in places]
    full = settings.n is not None and len(kept) == settings.n
    return Selection(
        n_rows=n_rows,
        kept=[numbers[order[place]] for place in kept],
        n_looked_at=kept[-1] + 1 if full else len(numbers),
        dropped=dropped,
    )


def select_rows(
    rows: Iterable[Mapping[str, Any]], selection: Selection
) -> Iterator[Mapping[str, Any]]:
    """The rows that are kept, untouched, in the order of the input.

    Args:
        rows: The rows that the choice was made from, read again.
        selection: The choice.

    Raises:
        InputError: There are not as many rows as there were.
    """
    kept, n_rows = set(selection.kept), 0
    for n_rows, row in enumerate(rows, start=1):
        if n_rows - 1 in kept:
            yield row
    if n_rows != selection.n_rows:
        found = f"{n_rows} at the second reading, {selection.n_rows} at the first"
        raise InputError(f"rows: {found} (the file must not change meanwhile)")


def _score(row: Mapping[str, Any], scored: Scored, settings: SelectSettings) -> float:
    if not orders_rows(row):
        raise DropError("scores that only compare the responses of their row (calibrate them)")
    first = scored.candidates[0]
    if settings.score == "best":
        score = best_of(scored.candidates).score
    elif first.place == 0:
        score = first.score
    else:
        raise DropError("no score of the first response")
    if settings.complexity is None:
        return score
    factor = row.get(settings.complexity)
    if not isinstance(factor, (int, float)) or isinstance(factor, bool):
        raise DropError("no complexity")
    product = score * factor
    if not math.isfinite(product):
        raise DropError("a complexity that is not finite")
    return product


class _Vectors:
    """Embeddings of a column, as rows of length 1."""

    _BLOCK = 4_096

    def __init__(self, column: str) -> None:
        self._column = column
        self._blocks: list[NDArray[np.float32]] = []
        self._n = 0

    def add(self, row: Mapping[str, Any], scored: Scored) -> None:
        """Takes one row's embedding."""
        vector = _unit(row.get(self._column))
        if not self._blocks:
            self._n_numbers = len(vector)
        elif len(vector) != self._n_numbers:
            raise DropError("an embedding of another length than the first")
        if self._n % self._BLOCK == 0:
            self._blocks.append(np.empty((self._BLOCK, self._n_numbers), dtype=np.float32))
        self._blocks[-1][self._n % self._BLOCK] = vector
        self._n += 1

    def distinct(self, order: NDArray[np.intp], max_similarity: float | None) -> Iterator[int]:
        """Places in the order of what is kept; the vectors are used up."""
        ranks = np.empty(self._n, dtype=np.intp)
        ranks[order] = np.arange(self._n)
        vectors = np.empty((self._n, self._n_numbers), dtype=np.float32)
        while self._blocks:
            start = (len(self._blocks) - 1) * self._BLOCK
            block = self._blocks.pop()[: self._n - start]
            vectors[ranks[start : start + len(block)]] = block
        yield from distinct_rows(vectors, 0.9 if max_similarity is None else max_similarity)


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
