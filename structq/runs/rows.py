"""Rows of a file through a module and out again, in order, good and bad alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol

from structq.data import Row
from structq.errors import LMError, RowError
from structq.modules.derived import facts_of
from structq.modules.rows import merge_metadata

__all__ = ["Finished", "Task", "finish_rows"]

Values = dict[str, Any]


class Task(Protocol):
    """A module over many rows."""

    @property
    def output_columns(self) -> tuple[str, ...]:
        """The columns that a row gets, ``metadata`` apart."""

    def stream(self, rows: Iterable[Values]) -> Generator[Values, None, None]:
        """Each row with its output columns and ``metadata``, in order.

        Reads a bounded number of rows ahead. A row that failed comes too, with the reason in
        ``metadata["error"]``: ``type``, ``message`` and ``field``. Closing the iterator gives up
        what is in flight.
        """


_MAX_WAITING = 1000
"""Bad rows that may wait behind one row in flight, so that a file of bad rows fills no memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """One row of the output."""

    line: int
    """Line of the input that it comes from."""

    values: Values
    """Input columns, then output columns; the outputs of a failed row are null."""

    calls: list[Values]
    """What the LM was asked for this row in this run: the last part of ``metadata["calls"]``."""

    error: RowError | None
    """Why the row failed, with its place; ``None`` where it did not."""


def finish_rows(rows: Iterable[Row], task: Task, *, path: str) -> Generator[Finished, None, None]:
    """Every row, as the module left it or with the reason why it could not have it.

    Args:
        rows: What was read; bad rows never reach the module.
        task: The module.
        path: Name of the input in errors.

    Yields:
        As many rows as came in, in their order.

    Raises:
        LMError: A row met what every other row will meet, such as a wrong key: what is in flight is
            given up, and nothing more is asked.
    """
    feed = _Feed(rows)
    empty = dict.fromkeys(task.output_columns)
    while not feed.is_empty:
        with closing(task.stream(feed.good_rows())) as results:
            for values in results:
                yield from (_refused(row, error, empty) for row, error in feed.next_bad_rows())
                _check_fatal(values)
                yield _finished(feed.next_row(), values, path)
        yield from (_refused(row, error, empty) for row, error in feed.next_bad_rows())


class _Feed:
    """Hands the good rows to a module and remembers the order of all."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.is_empty = False
        self._rows = iter(rows)
        self._waiting: deque[Row] = deque()

    def good_rows(self) -> Iterator[Values]:
        """Good rows up to the end, or until too many bad ones wait for their turn."""
        n_bad = 0
        for row in self._rows:
            self._waiting.append(row)
            if row.error is None:
                yield row.values
                continue
            n_bad += 1
            if n_bad == _MAX_WAITING:
                return
        self.is_empty = True

    def next_row(self) -> Row:
        """The row that is next in line."""
        return self._waiting.popleft()

    def next_bad_rows(self) -> Iterator[tuple[Row, RowError]]:
        """The bad rows that are next in line, with their reasons."""
        while self._waiting and (error := self._waiting[0].error):
            yield self._waiting.popleft(), error


def _check_fatal(values: Values) -> None:
    error = values["metadata"]["error"]
    if error and error.get("fatal"):
        raise LMError(f"every row would fail: {error['message']}")


def _refused(row: Row, error: RowError, empty: Values) -> Finished:
    """A row that no module could take, in the form of one that failed there."""
    facts = {"type": "RowError", "message": str(error), "field": error.field}
    metadata = merge_metadata(row.values.get("metadata"), {"calls": [], "error": facts})
    known = dict.fromkeys(row.values.keys() & {"best_response"})  # no scores, no best of them
    values = row.values | known | empty | {"metadata": metadata}
    return Finished(line=row.line, values=values, calls=[], error=error)


def _finished(row: Row, values: Values, path: str) -> Finished:
    """A row as its module left it."""
    calls = _calls(values)[len(_calls(row.values)) :]
    error = None
    if facts := values["metadata"]["error"]:
        field, message = facts["field"], facts["message"]
        reason = message.removeprefix(f"{field}: ") if field else f"{facts['type']}: {message}"
        error = RowError(path=path, line=row.line, field=field, reason=reason)
    return Finished(line=row.line, values=values, calls=calls, error=error)


def _calls(values: Mapping[str, Any]) -> list[Values]:
    """The calls in a row's ``metadata``, where that is as structq writes it."""
    calls = facts_of(values).get("calls")
    return calls if isinstance(calls, list) else []
