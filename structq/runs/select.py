"""The best rows that are unlike one another: DEITA's third step; knows no template."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from structq.errors import InputError
from structq.export.rows import Drops
from structq.export.scored import DropError, Scored, best_of, read_scored
from structq.modules.derived import orders_rows
from structq.runs.select_settings import SelectSettings
from structq.runs.signatures import Signatures
from structq.runs.vectors import ColumnVectors, LMVectors

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
        InputError: There were rows, and none of them could be used; says why. Or the LM gives no
            embeddings, which is found out before a row is read.

    Source: "repr filter" of DEITA (arXiv 2312.15685, section 2.4).
    """
    features = _features(settings)
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


def _features(settings: SelectSettings) -> ColumnVectors | Signatures:
    if settings.embed is not None:
        return LMVectors(settings.embed)
    return Signatures() if settings.embeddings is None else ColumnVectors(settings.embeddings)


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
