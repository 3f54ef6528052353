"""The journal: answers and finished rows in one SQLite file, with one writer.

An answer is committed before it is handed on. A process that is killed at any moment loses what was
in flight and nothing else; after a loss of power the file is whole, and may miss the last seconds.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from structq.errors import InputError, ResumeError

__all__ = ["Journal", "RowState", "is_open"]

_VERSION = 1
_MAGIC = b"SQLite format 3\0"
_OPEN: set[Path] = set()
"""Of this process, whose locks would be gone with the first of two files that it closes."""
_EMPTY = (
    "DROP TABLE IF EXISTS facts",
    "DROP TABLE IF EXISTS answers",
    "DROP TABLE IF EXISTS rows",
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE answers (row INTEGER, key BLOB, value TEXT NOT NULL, PRIMARY KEY (row, key)) "
    "WITHOUT ROWID",
    "CREATE TABLE rows (row INTEGER PRIMARY KEY, digest BLOB NOT NULL, shape TEXT NOT NULL, "
    "cause TEXT, output TEXT NOT NULL)",
)
_FINISH = "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)"
_NOTHING: tuple[str, tuple[Any, ...]] = ("SELECT 1", ())
_MOST_PENDING = 100
_HOW_TO_GO_ON = "--restart begins anew, and another output or journal leaves this one as it is"


@dataclass(frozen=True, kw_only=True)
class RowState:
    """What a journal knows of a row that was finished."""

    digest: bytes
    """Of the row as it was read."""
    shape: str
    """What the output was made with, beyond the facts of the journal."""
    cause: str | None
    """Why the row failed, in a few words; ``None`` where it did not."""


def is_open(path: str | Path) -> bool:
    """Whether this process has a journal open, whose locks any other handle of it would drop."""
    return Path(path).absolute().resolve() in _OPEN


class Journal:
    """One run's answers and finished rows.

    Args:
        path: The file; made, with its folder, where it does not exist.
        facts: What the answers depend on, as JSON values, by name; ``None`` to read what is there.
        restart: Whether what the file holds is thrown away.

    Attributes:
        resumed: Whether an earlier run left something.

    Raises:
        ResumeError: The file belongs to other facts; ``differs`` names them.
        InputError: Another process has the file open, its file system has no locks, it is no
            journal, or it cannot be written.
    """

    def __init__(
        self, path: str | Path, facts: Mapping[str, Any] | None, *, restart: bool = False
    ) -> None:
        self.path = str(path)
        self._lock = threading.Lock()
        self._rows: list[tuple[Any, ...]] = []
        self._place = Path(path).absolute().resolve()
        if self._place in _OPEN:
            raise _in_use(self.path)
        if facts is None and not self._place.is_file():
            raise InputError(f"there is no journal {self.path!r}", field="journal")
        self._db = _open(self.path)
        _OPEN.add(self._place)
        try:
            self.resumed = self._take_over(_as_json(facts), restart=restart)
        except BaseException:
            self.close()
            raise

    def answers(self, row: int) -> dict[bytes, Any]:
        """What the LM has answered for a row, by the key of the question."""
        if not self.resumed:
            return {}
        found = self._all("SELECT key, value FROM answers WHERE row = ?", row)
        return {key: json.loads(value) for key, value in found}

    def keep_answer(self, row: int, key: bytes, value: Any) -> None:
        """Commits one answer; a later one of the same key takes its place."""
        self._write(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)",
            (row, key, json.dumps(value, ensure_ascii=False, allow_nan=False)),
        )

    def state(self, row: int) -> RowState | None:
        """How a row was finished; ``None`` where it was not."""
        if not self.resumed:
            return None
        found = self._all("SELECT digest, shape, cause FROM rows WHERE row = ?", row)
        return RowState(digest=found[0][0], shape=found[0][1], cause=found[0][2]) if found else None

    def finish_row(self, row: int, state: RowState, output: str) -> None:
        """Keeps a finished row; commits it, at the latest with the next answer.

        A row that is lost before is made again from its answers, which are committed.
        """
        self._rows.append((row, state.digest, state.shape, state.cause, output))
        if state.cause is not None or len(self._rows) >= _MOST_PENDING:
            self._flush()

    def output(self, row: int) -> str:
        """The output of a finished row."""
        found: str = self._all("SELECT output FROM rows WHERE row = ?", row)[0][0]
        return found

    def outputs(self, first: int = 0) -> Iterator[tuple[int, str]]:
        """Number and output of every finished row, in order, from one row on."""
        while page := self._all(
            "SELECT row, output FROM rows WHERE row >= ? ORDER BY row LIMIT 256", first
        ):
            yield from page
            first = page[-1][0] + 1

    def causes(self) -> dict[str, int]:
        """How many finished rows failed for each cause, the most frequent first."""
        return dict(
            self._all(
                "SELECT cause, COUNT(*) AS n FROM rows WHERE cause IS NOT NULL "
                "GROUP BY cause ORDER BY n DESC, cause"
            )
        )

    def n_finished(self) -> int:
        """Rows that are finished, failed ones included."""
        count: int = self._all("SELECT COUNT(*) FROM rows")[0][0]
        return count

    def note(self, name: str, value: Any) -> None:
        """Keeps a fact that no answer depends on, such as a summary; it is never compared."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (f"note:{name}", _dump(value)))

    def notes(self) -> dict[str, Any]:
        """What was noted, by name."""
        found = self._all("SELECT name, value FROM facts WHERE name LIKE 'note:%'")
        return {name.removeprefix("note:"): json.loads(value) for name, value in found}

    def absorb(self, path: str | Path) -> None:
        """Takes over the answers and rows of another journal that this one has not.

        Raises:
            ResumeError: It belongs to other facts.
            InputError: It is in use, or cannot be read.
        """
        with Journal(path, self.facts()) as other, self._lock:
            try:
                self._db.execute("BEGIN")
                for table, n in (("answers", 3), ("rows", 5)):
                    found = other._db.execute(f"SELECT * FROM {table}")
                    places = ", ".join("?" * n)
                    self._db.executemany(f"INSERT OR IGNORE INTO {table} VALUES ({places})", found)
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                self._db.execute("ROLLBACK")
                _fail(self.path, error)
        self.resumed = True

    def close(self) -> None:
        """Closes the file; may be called twice."""
        try:
            self._flush()
        finally:
            with self._lock:
                self._db.close()
                _OPEN.discard(self._place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take_over(self, facts: dict[str, str] | None, *, restart: bool) -> bool:
        if not self._is_empty():
            self._check_kind()
            if not restart:
                if facts is not None:
                    self._compare(facts)
                return True
        self._begin(facts or {})
        return False

    def _begin(self, facts: dict[str, str]) -> None:
        """An empty journal of these facts, in one transaction."""
        with self._lock:
            try:
                self._db.execute("BEGIN")
                for statement in _EMPTY:
                    self._db.execute(statement)
                self._db.executemany("INSERT INTO facts VALUES (?, ?)", facts.items())
                self._db.execute(f"PRAGMA user_version = {_VERSION}")
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                _fail(self.path, error)

    def _is_empty(self) -> bool:
        return not self._all("SELECT name FROM sqlite_master LIMIT 1")

    def _check_kind(self) -> None:
        tables = {name for (name,) in self._all("SELECT name FROM sqlite_master")}
        version = self._all("PRAGMA user_version")[0][0]
        if not {"facts", "answers", "rows"} <= tables or version != _VERSION:
            raise InputError(
                f"{self.path!r} is no journal of this version of structq (name another file)",
                field="journal",
            )

    def facts(self) -> dict[str, Any]:
        """What the answers depend on, by name."""
        return {name: json.loads(value) for name, value in self._facts().items()}

    def _facts(self) -> dict[str, str]:
        return dict(self._all("SELECT name, value FROM facts WHERE name NOT LIKE 'note:%'"))

    def _compare(self, facts: dict[str, str]) -> None:
        old = self._facts()
        differs = sorted(n for n in old.keys() | facts.keys() if old.get(n) != facts.get(n))
        if differs:
            pairs = [(n, old.get(n, "nothing"), facts.get(n, "nothing")) for n in differs[:5]]
            changes = "; ".join(
                f"{n} was {_head(was)} and is {_head(now)}" for n, was, now in pairs
            )
            more = f"; and {len(differs) - 5} more" if len(differs) > 5 else ""
            raise ResumeError(
                f"{self.path}: belongs to another run: {changes}{more} ({_HOW_TO_GO_ON})",
                differs=tuple(differs),
            )

    def _flush(self) -> None:
        if self._rows:
            self._write(*_NOTHING)

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        self._flush()
        with self._lock:
            try:
                return self._db.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                _fail(self.path, error)

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock:
            try:
                if rows := self._rows:
                    self._db.execute("BEGIN")
                    self._db.executemany(_FINISH, rows)
                self._db.execute(statement, values)
                if rows:
                    self._db.execute("COMMIT")
                    self._rows = []
            except sqlite3.Error as error:
                if self._db.in_transaction:
                    self._db.rollback()
                _fail(self.path, error)


def _open(path: str) -> sqlite3.Connection:
    """A connection that nobody shares: each statement is a transaction of its own."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        _check_magic(path)
    except OSError as error:
        raise InputError(
            f"cannot write {path!r}: {error.strerror or error}", field="journal"
        ) from error
    try:
        db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        _fail(path, error)
    try:
        # Held until the file is closed, by whatever ends the process: no second writer, and no
        # shared memory, which network drives do not have.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL").fetchone()
        # A commit reaches the system at once, and the disk at each checkpoint: a process that is
        # killed loses nothing, and a loss of power costs calls, never the file.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("COMMIT")
    except sqlite3.Error as error:
        db.close()
        _fail(path, error)
    return db


def _check_magic(path: str) -> None:
    """SQLite itself takes a very short file for an empty database, and would write over it."""
    if not Path(path).is_file():
        return
    with Path(path).open("rb") as file:
        head = file.read(len(_MAGIC))
    if head and head != _MAGIC:
        message = f"{path!r} is no journal of structq: it begins with {head!r} (name another file)"
        raise InputError(message, field="journal")


def _in_use(path: str) -> InputError:
    message = f"{path!r} is in use by another process (wait for it, or name another output)"
    return InputError(message, field="journal")


_LOCK_FAILURES = ("SQLITE_PROTOCOL", "SQLITE_NOLFS", "SQLITE_IOERR_LOCK", "SQLITE_IOERR_RDLOCK")


def _fail(path: str, error: sqlite3.Error) -> NoReturn:
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        raise _in_use(path) from error
    if name.startswith(_LOCK_FAILURES):
        message = (
            f"{path!r} lies on a file system without locks: {error} "
            "(put the journal on a local disk with --journal)"
        )
        raise InputError(message, field="journal") from error
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        message = f"{path!r} is no journal of structq: {error} (name another file)"
        raise InputError(message, field="journal") from error
    raise InputError(f"cannot write {path!r}: {error}", field="journal") from error


def _head(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:60]}..."


def _as_json(facts: Mapping[str, Any] | None) -> dict[str, str] | None:
    return None if facts is None else {name: _dump(value) for name, value in facts.items()}


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
