"""Rows in, records out, and what became of each; knows nothing of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from structq.errors import InputError
from structq.export.choose import choose_best, choose_labelled, choose_pairs
from structq.export.formats import Layout, layout_for
from structq.export.scored import DropError, read_scored
from structq.export.settings import ExportSettings

__all__ = ["Dropped", "Drops", "ExportTally", "export_rows"]

_MOST_NAMES = 50
"""Different names that a count keeps: rows come from anywhere."""
OTHERS = "others"


@dataclass(kw_only=True, slots=True)
class Dropped:
    """How many rows one reason cost."""

    n: int
    """Rows."""

    first: int
    """The first of them, counted from 1."""


class Drops(dict[str, Dropped]):
    """Rows that were dropped, by reason, in the order of finding."""

    def add(self, reason: str, row: int) -> None:
        """Counts one row by its number from 1."""
        if reason in self:
            self[reason].n += 1
        else:
            self[reason] = Dropped(n=1, first=row)

    @property
    def n_rows(self) -> int:
        """Rows of all reasons."""
        return sum(one.n for one in self.values())

    def __str__(self) -> str:
        """Each reason with its rows, in one line."""
        return "; ".join(f"{why}: {one.n}, first row {one.first}" for why, one in self.items())


@dataclass(kw_only=True)
class ExportTally:
    """Where the rows of an export went."""

    n_rows: int = 0
    """Rows read."""

    n_records: int = 0
    """Records written; a row may give several."""

    n_desirable: int = 0
    """Of them, completions labelled as desirable."""

    margins: float = 0.0
    """Sum of the margins of all pairs."""

    dropped: Drops = field(default_factory=Drops)
    """Rows that gave no record, by reason."""

    models: Counter[str] = field(default_factory=Counter)
    """Rows used, by ``model_name``."""

    mutations: Counter[str] = field(default_factory=Counter)
    """Steps of the rows used, by the mutation template's name."""

    @property
    def n_used(self) -> int:
        """Rows that gave a record."""
        return self.n_rows - self.dropped.n_rows


def export_rows(
    rows: Iterable[Mapping[str, Any]], settings: ExportSettings, tally: ExportTally
) -> Iterator[dict[str, Any]]:
    """Records in a trainer's columns, in the order of the rows.

    Args:
        rows: As ``structq run`` or ``structq score`` wrote them.
        settings: What to write, and for whom.
        tally: Counts each row as it passes.

    Raises:
        InputError: There were rows, and none of them could be used; says why.
    """
    layout = layout_for(settings)
    for row in rows:
        tally.n_rows += 1
        try:
            records = _records(row, settings, layout)
        except DropError as reason:
            tally.dropped.add(str(reason), tally.n_rows)
            continue
        _count(row, records, tally)
        yield from records
    if not tally.n_records:
        raise InputError(f"rows: {_why_none(tally)}")


def _why_none(tally: ExportTally) -> str:
    if not tally.n_rows:
        return "there are none"
    found = f"none of {tally.n_rows} can be used ({tally.dropped})"
    if any(reason.startswith("no ") for reason in tally.dropped):
        found += ": needs instruction or messages, responses and scores, as structq run writes them"
    return found


def _records(
    row: Mapping[str, Any], settings: ExportSettings, layout: Layout
) -> list[dict[str, Any]]:
    scored = read_scored(row, scores=settings.scores, system_prompt=settings.system_prompt)
    messages, candidates = scored.messages, scored.candidates
    if layout.shape.one_turn and sum(message["role"] == "user" for message in messages) > 1:
        raise DropError(f"several turns, where {settings.to} for {settings.trainer} holds one")
    if settings.to in ("dpo", "reward"):
        return [
            layout.shape.make(messages, pair) | ({"margin": pair.margin} if settings.margin else {})
            for pair in choose_pairs(candidates, settings)
        ]
    if settings.to == "kto":
        return [layout.shape.make(messages, one) for one in choose_labelled(candidates, settings)]
    return [layout.shape.make(messages, choose_best(candidates, settings))]


def _count(row: Mapping[str, Any], records: list[dict[str, Any]], tally: ExportTally) -> None:
    tally.n_records += len(records)
    for record in records:
        tally.margins += record.get("margin", 0.0)
        tally.n_desirable += record.get("label", False)
    _count_name(tally.models, row.get("model_name"))
    mutations = row.get("mutations")
    for name in mutations if isinstance(mutations, list) else ():
        _count_name(tally.mutations, name)


def _count_name(counts: Counter[str], name: Any) -> None:
    if isinstance(name, str):
        counts[name if name in counts or len(counts) < _MOST_NAMES else OTHERS] += 1
