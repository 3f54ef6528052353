"""Texts as numbers: which columns the regression of ``belief`` has, and what stands in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .sentences import Unit, Units

__all__ = ["GROUPS", "Columns", "Piece", "choose_columns"]

Floats = NDArray[np.float64]
Piece = tuple[int, Units]
"""A text: the number of what it is the text of, and its units."""

GROUPS = ("author", "sentence", "pair", "text")
USUAL = 30.0
"""Words of a text in which a sentence counts once, however little patience there is."""
_MOST = {"sentence": 80, "pair": 200, "text": 40}
_FEWEST_SEEN = 3
_FEWEST_FOR_PAIRS = 300
"""Below so many trials, pairs explain noise alone."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """What the columns stand for: authors, then the tuples below."""

    n_authors: int
    """How many wrote sentences."""
    units: tuple[Unit, ...]
    """Every unit there is."""
    sentences: tuple[int, ...]
    """Units with a column."""
    pairs: tuple[tuple[int, int], ...]
    """Two units each."""
    texts: tuple[Units, ...]
    """Whole texts."""

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Columns of each group."""
        counts = self.n_authors, len(self.sentences), len(self.pairs), len(self.texts)
        return dict(zip(GROUPS, counts, strict=True))

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Number of its group for each column."""
        return np.repeat(np.arange(len(GROUPS)), list(self.sizes.values()))

    def part(self, group: str) -> slice:
        """Where the columns of a group are."""
        start = int(np.searchsorted(self.groups, GROUPS.index(group)))
        return slice(start, start + self.sizes[group])

    @cached_property
    def authors(self) -> Floats:
        """Who wrote each unit, as ones; shape (units, authors)."""
        known = np.array([unit.author for unit in self.units], dtype=np.int64)
        return np.asarray(known[:, None] == np.arange(self.n_authors), dtype=np.float64)

    @cached_property
    def lengths(self) -> Floats:
        """Words of each unit."""
        return np.array([float(unit.n_words) for unit in self.units])

    def rows(self, texts: Sequence[Units], patience: float) -> Floats:
        """One row for each text; what it says is heeded the less the longer it is."""
        inside = np.zeros((len(texts), len(self.units)))
        whole = np.zeros((len(texts), len(self.texts)))
        numbers = {text: i for i, text in enumerate(self.texts)}
        for row, units in enumerate(texts):
            inside[row, list(units)] = 1.0
            if (number := numbers.get(units)) is not None:
                whole[row, number] = 1.0
        words = (inside @ self.lengths).reshape(-1, 1)
        ends = np.array(self.pairs, dtype=np.int64).reshape(-1, 2)
        heeded = (1.0 + USUAL / patience) / (1.0 + words / patience)
        return np.hstack([
            heeded * (inside @ self.authors),
            heeded * inside[:, list(self.sentences)],
            heeded * inside[:, ends[:, 0]] * inside[:, ends[:, 1]],
            whole,
        ])  # fmt: skip


def choose_columns(
    units: Sequence[Unit],
    seen: Mapping[Units, int],
    promise: Floats,
    *,
    n_authors: int,
) -> Columns:
    """The columns that are worth having: at most some hundred.

    Args:
        units: Every unit there is.
        seen: How often each text was tried.
        promise: What was believed of each unit before; the least promising get no column.
        n_authors: How many wrote sentences.
    """
    kept = np.argsort(-promise, kind="stable")[: _MOST["sentence"]]
    sentences = tuple(sorted(int(i) for i in kept))
    pairs: Counter[tuple[int, int]] = Counter()
    for text, n in seen.items():
        inside = [i for i in text if i in set(sentences)]
        pairs.update({(i, j): n for k, i in enumerate(inside) for j in inside[k + 1 :]})
    texts = Counter({text: n for text, n in seen.items() if text})
    return Columns(
        n_authors=n_authors,
        units=tuple(units),
        sentences=sentences,
        pairs=tuple(sorted(_often(pairs, _MOST["pair"])))
        if sum(seen.values()) >= _FEWEST_FOR_PAIRS
        else (),
        texts=_often(texts, _MOST["text"]),
    )


def _often(counts: Counter[Any], most: int) -> tuple[Any, ...]:
    return tuple(key for key, n in counts.most_common(most) if n >= _FEWEST_SEEN)
