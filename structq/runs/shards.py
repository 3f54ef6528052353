"""Runs in parts: which rows are a part's, and the parts put together again."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from structq.errors import InputError
from structq.journal import Journal

__all__ = ["Shard", "merged_outputs"]

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Every n-th row: parts of the same size, whatever the order of the rows."""

    index: int = 0
    """Which part, from 0."""
    n_shards: int = 1
    """How many there are."""

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From ``2/8``, the second of eight.

        Raises:
            InputError: It is something else.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if match and 1 <= int(match[1]) <= int(match[2]):
            return cls(index=int(match[1]) - 1, n_shards=int(match[2]))
        raise InputError(
            f"shard: {text!r} (must be I/N, such as 2/8, with I from 1 to N)", field="shard"
        )

    def of(self, rows: Iterable[Item]) -> Iterator[tuple[int, Item]]:
        """The rows of this part, with their numbers in the whole."""
        for number, row in enumerate(rows):
            if number % self.n_shards == self.index:
                yield number, row


def merged_outputs(journals: Sequence[Journal]) -> Iterator[str]:
    """The outputs of all parts of a run, in the order of its rows.

    Raises:
        InputError: The parts are of different runs, overlap, or leave rows out.
    """
    first = journals[0]
    for other in journals[1:]:
        differs = sorted(
            n
            for n in first.facts().keys() | other.facts().keys()
            if first.facts().get(n) != other.facts().get(n)
        )
        if differs:
            raise InputError(
                f"{other.path!r} is of another run than {first.path!r}: "
                f"{', '.join(differs)} differ",
                field="shards",
            )
    rows = heapq.merge(*(journal.outputs() for journal in journals))
    for following, (number, output) in enumerate(rows):
        if number != following:
            wrong = "stands in two parts" if number < following else "and maybe more are missing"
            row = min(number, following)
            raise InputError(f"row {row + 1:,} {wrong} (all parts, and each once)", field="shards")
        yield output
