"""The rows that a search may see and the rows that it may not; knows nothing of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import dspy

from structq.errors import InputError, shorten
from structq.modules.rows import check_instruction
from structq.templates import check_text

__all__ = ["MIN_ROWS", "TuningRows", "tuning_rows"]

MIN_ROWS = 4
"""Fewest rows of a split: with fewer there is nothing to compare."""

Row = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TuningRows:
    """Two sets of rows that have no row in common."""

    train: tuple[Row, ...]
    """To search with."""
    val: tuple[Row, ...]
    """For the verdict."""
    notes: tuple[str, ...] = field(default=())
    """What was done to the caller's rows, in sentences."""

    def digest(self, split: str) -> str:
        """A short text that other rows do not have."""
        rows = self.train if split == "train" else self.val
        return blake2b(b"".join(map(_key, rows)), digest_size=8).hexdigest()


def tuning_rows(trainset: object, valset: object = None, *, seed: int = 0) -> TuningRows:
    """The rows of both sets, each once.

    Args:
        trainset: Mappings or ``dspy.Example``s with ``instruction`` and ``response``.
        valset: The same. Without it, half of the trainset is set aside: the half whose content,
            with the seed, hashes lower, so that the order of the rows changes nothing.
        seed: Fixes which half.

    Raises:
        InputError: A row lacks a text, or there are too few of them; names the argument.
    """
    train, notes = _unique(_check_rows(trainset, "trainset"), "trainset")
    if valset is None:
        ranked = sorted(train, key=lambda row: blake2b(_key(row), key=b"%d" % seed).digest())
        held = {_key(row) for row in ranked[: len(ranked) // 2]}
        val = [row for row in train if _key(row) in held]
        notes.append(
            f"no valset: {len(val)} of the {len(train)} rows were set aside for the verdict"
        )
    else:
        val, more = _unique(_check_rows(valset, "valset"), "valset")
        notes += more
        held = {_key(row) for row in val}
    kept = [row for row in train if _key(row) not in held]
    if valset is not None and len(kept) < len(train):
        n_shared = len(train) - len(kept)
        notes.append(f"{n_shared} rows are in both sets: they are kept for the verdict")
    for name, rows in (("trainset", kept), ("valset", val)):
        _check_number(name, len(rows), given=valset is not None)
    return TuningRows(train=tuple(kept), val=tuple(val), notes=tuple(notes))


def _check_rows(rows: object, name: str) -> list[Row]:
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise InputError(f"{name}: must be rows, found {shorten(rows)}", field=name)
    return [_check_row(row, f"{name}[{i}]", name) for i, row in enumerate(rows)]


def _check_row(row: Any, place: str, name: str) -> Row:
    if not isinstance(row, Mapping | dspy.Example):
        raise InputError(
            f"{place}: must be a mapping or a dspy.Example, found {shorten(row)}", field=name
        )
    try:
        return {
            "instruction": check_instruction(row.get("instruction")),
            "response": check_text(row.get("response"), "response"),
        }
    except InputError as error:
        raise InputError(f"{place}: {error}", field=name) from error


def _check_number(name: str, n_rows: int, *, given: bool) -> None:
    if n_rows >= MIN_ROWS:
        return
    where = "that are not in the other set" if given else "after the split"
    raise InputError(
        f"{name}: {n_rows} different rows {where} (at least {MIN_ROWS} are needed; the verdict "
        "needs rows that the search never saw)",
        field=name,
    )


def _unique(rows: list[Row], name: str) -> tuple[list[Row], list[str]]:
    kept = list({_key(row): row for row in rows}.values())
    n_twice = len(rows) - len(kept)
    return kept, [f"{n_twice} repeated rows of the {name} count once"] if n_twice else []


def _key(row: Row) -> bytes:
    instruction, response = row["instruction"].encode(), row["response"].encode()
    return b"%d:%s%d:%s" % (len(instruction), instruction, len(response), response)
