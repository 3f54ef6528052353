"""A journal as it is at one moment, also while a run writes it: nothing is ever written to it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from structq.errors import InputError

from .store import Journal, is_open

__all__ = ["is_journal", "journal_as_it_is"]

_MAGIC = b"SQLite format 3\0"
_N_TRIES = 50


def is_journal(path: str | Path) -> bool:
    """Whether a file looks like a journal of a run; a running one may still be empty."""
    place = Path(path)
    if not place.is_file() or is_open(place):
        return place.is_file()
    with place.open("rb") as file:
        head = file.read(len(_MAGIC))
    return head == _MAGIC or (not head and _wal(place).exists())


@contextmanager
def journal_as_it_is(path: str | Path) -> Iterator[tuple[Journal, bool]]:
    """A copy of a journal, and whether its run has not ended (it goes on, or was killed).

    A run holds its journal's locks until it ends, so nobody can read the file itself. Its database
    is copied first and its log after it: what a checkpoint moves into the database meanwhile is in
    the log as well, until the log begins anew, which shows in its header.

    Raises:
        InputError: It is no journal, cannot be read, or this very process writes it (closing any
            handle of the file would drop the locks of its run).
    """
    place = Path(path).absolute().resolve()
    if is_open(place):
        message = f"{str(path)!r} is written by this process (read it when the run has ended)"
        raise InputError(message, field="journal")
    if not is_journal(place):
        raise InputError(f"{str(path)!r} is no journal of structq", field="journal")
    with tempfile.TemporaryDirectory(prefix="structq-") as folder:
        copy = Path(folder) / "journal"
        for _ in range(_N_TRIES):
            if (has_log := _copied(place, copy)) is not None:
                break
        else:
            raise InputError(f"{str(path)!r} changes too fast to be read", field="journal")
        with Journal(copy, None) as journal:
            yield journal, has_log


def _copied(place: Path, copy: Path) -> bool | None:
    """Copies both files: whether there is a log; ``None`` where it began anew meanwhile."""
    log = _wal(place)
    before = _head(log)
    shutil.copyfile(place, copy)
    if before:
        try:
            shutil.copyfile(log, _wal(copy))
        except FileNotFoundError:
            return None
    return bool(before) if _head(log) == before else None


def _head(log: Path) -> bytes:
    """The header, with the number of this log; nothing where there is none."""
    try:
        with log.open("rb") as file:
            return file.read(32)
    except FileNotFoundError:
        return b""


def _wal(place: Path) -> Path:
    return place.with_name(f"{place.name}-wal")
