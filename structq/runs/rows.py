"""Rows as a run leaves them: done, or failed with the reason and the place; knows no LM."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from structq.data import Row
from structq.errors import RowError
from structq.modules.derived import facts_of
from structq.modules.rows import merge_metadata

__all__ = ["Finished", "Values", "finished_row", "refused_row"]

Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """One row of the output."""

    number: int
    """Place in the input, from 0."""

    line: int
    """Line of the input that it comes from."""

    values: Values
    """Input columns, then output columns; the outputs of a failed row are null."""

    calls: list[Values]
    """What the LM was asked for this row in this run: the last part of ``metadata["calls"]``."""

    error: RowError | None
    """Why the row failed, with its place; ``None`` where it did not."""

    cause: str | None
    """The kind of failure in a few words, the same for all rows that share it."""


def refused_row(row: Row, error: RowError, columns: Iterable[str], number: int) -> Finished:
    """A row that no module could take, in the form of one that failed there."""
    facts = {"type": "RowError", "message": str(error), "field": error.field}
    metadata = merge_metadata(row.values.get("metadata"), {"calls": [], "error": facts})
    known = dict.fromkeys(row.values.keys() & {"best_response"})  # no scores, no best of them
    values = row.values | known | dict.fromkeys(columns) | {"metadata": metadata}
    cause = _cause("RowError", error.field, error.reason)
    return Finished(number=number, line=row.line, values=values, calls=[], error=error, cause=cause)


def finished_row(row: Row, values: Values, path: str, number: int) -> Finished:
    """A row as its module left it."""
    calls = _calls(values)[len(_calls(row.values)) :]
    error, cause = None, None
    if facts := values["metadata"]["error"]:
        field, message = facts["field"], facts["message"]
        reason = message.removeprefix(f"{field}: ") if field else f"{facts['type']}: {message}"
        error = RowError(path=path, line=row.line, field=field, reason=reason)
        cause = _cause(facts["type"], field, message)
    return Finished(
        number=number, line=row.line, values=values, calls=calls, error=error, cause=cause
    )


_OWN = re.compile(r"'(?:[^'\\]|\\.)*'?|\"(?:[^\"\\]|\\.)*\"?|\d[\d,.]*")


def _cause(kind: str, field: str | None, message: str) -> str:
    """The kind of a failure: what is in quotes, and numbers, are a row's own."""
    head = message.removeprefix(f"{field}: ").split("; the answer was", 1)[0]
    general = " ".join(_OWN.sub("…", head[:400]).split())
    return f"{kind}: {f'{field}: ' if field else ''}{general}"[:120]


def _calls(values: Mapping[str, Any]) -> list[Values]:
    """The calls in a row's ``metadata``, where that is as structq writes it."""
    calls = facts_of(values).get("calls")
    return calls if isinstance(calls, list) else []
