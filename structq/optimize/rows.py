"""The rows that a search may see and the rows that it may not; knows nothing of files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import dspy

from structq.errors import InputError, shorten

__all__ = ["FEWEST_ROWS", "TuningRows", "row_key", "tuning_rows"]

FEWEST_ROWS = 4
"""Fewest rows of a split: with fewer there is nothing to compare."""

Check = Callable[[Any], dspy.Example]


@dataclass(frozen=True, kw_only=True)
class TuningRows:
    """Two sets of rows that have no row in common."""

    train: tuple[dspy.Example, ...]
    """To search with."""
    val: tuple[dspy.Example, ...]
    """For the verdict."""
    notes: tuple[str, ...] = field(default=())
    """What was done to the caller's rows, in sentences."""

    def digest(self, split: str) -> str:
        """A short text that other rows do not have."""
        rows = self.train if split == "train" else self.val
        return blake2b(b"".join(_dump(row.toDict()) for row in rows), digest_size=8).hexdigest()


def tuning_rows(trainset: object, valset: object, check: Check, *, seed: int = 0) -> TuningRows:
    """The rows of both sets, each once.

    Args:
        trainset: Mappings or ``dspy.Example``s.
        valset: The same. Without it, half of the trainset is set aside: the half whose content,
            with the seed, hashes lower, so that the order of the rows changes nothing.
        check: Makes an example of a row, or raises ``InputError``.
        seed: Fixes which half.

    Raises:
        InputError: A row lacks something, or there are too few of them; names the argument.
    """
    train, notes = _unique(_checked(trainset, "trainset", check), "trainset")
    if valset is None:
        ranked = sorted(train, key=lambda row: blake2b(row_key(row), key=b"%d" % seed).digest())
        held = {row_key(row) for row in ranked[: len(ranked) // 2]}
        val = [row for row in train if row_key(row) in held]
        notes.append(
            f"no valset: {len(val)} of the {len(train)} rows were set aside for the verdict"
        )
    else:
        val, more = _unique(_checked(valset, "valset", check), "valset")
        notes += more
        held = {row_key(row) for row in val}
    kept = [row for row in train if row_key(row) not in held]
    if valset is not None and len(kept) < len(train):
        n_shared = len(train) - len(kept)
        notes.append(f"{n_shared} rows are in both sets: they are kept for the verdict")
    for name, rows in (("trainset", kept), ("valset", val)):
        if len(rows) < FEWEST_ROWS:
            where = "after the split" if valset is None else "that are not in the other set"
            raise InputError(
                f"{name}: {len(rows)} different rows {where} (at least {FEWEST_ROWS} are needed; "
                "the verdict needs rows that the search never saw)",
                field=name,
            )
    return TuningRows(train=tuple(kept), val=tuple(val), notes=tuple(notes))


def row_key(row: dspy.Example) -> bytes:
    """What is asked of the program: the row by its inputs."""
    return _dump(row.inputs().toDict())


def _dump(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, default=str).encode()


def _checked(rows: object, name: str, check: Check) -> list[dspy.Example]:
    if isinstance(rows, str | bytes | Mapping | dspy.Example) or not isinstance(rows, Iterable):
        raise InputError(f"{name}: must be rows, found {shorten(rows)}", field=name)
    checked = []
    for number, row in enumerate(rows):
        try:
            checked.append(check(row))
        except InputError as error:
            raise InputError(f"{name}[{number}]: {error}", field=name) from error
    return checked


def _unique(rows: list[dspy.Example], name: str) -> tuple[list[dspy.Example], list[str]]:
    kept = list({row_key(row): row for row in rows}.values())
    n_twice = len(rows) - len(kept)
    return kept, [f"{n_twice} repeated rows of the {name} count once"] if n_twice else []
