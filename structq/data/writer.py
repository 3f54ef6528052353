"""JSON Lines out, one row at a time: what is written stays, whatever ends the run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from structq.errors import InputError

__all__ = ["JsonlWriter", "write_jsonl"]

# JSON allows these inside texts. But readers that split lines as ``str.splitlines`` does would cut
# a row in two, and a terminal obeys control codes and marks that turn a line around. The escapes
# stand for the same characters.
_ESCAPED = {
    ord(char): f"\\u{ord(char):04x}"
    for char in (*map(chr, range(0x7F, 0xA0)), *"\u061c\u200e\u200f\u2028\u2029\ufeff",
                 *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
}  # fmt: skip


class JsonlWriter:
    """A JSON Lines file that grows by one whole row at a time.

    UTF-8 without escapes except for what some readers take for a line end or a command. Each row
    goes to the operating system at once, so an interrupted run keeps every finished row. An
    existing file is replaced, missing folders are made.

    Args:
        path: The file, or ``-`` for standard output.
        source: The file that the rows come from, which must not be the same.

    Raises:
        InputError: The file cannot be opened, or it is the source.
    """

    def __init__(self, path: str | Path, *, source: str | Path | None = None) -> None:
        self.path = str(path)
        self.n_rows = 0
        if source is not None and _same_file(self.path, str(source)):
            raise InputError(f"the output is the input: {self.path!r}", field="output")
        self._file = _open(self.path)

    def write(self, values: Mapping[str, Any]) -> None:
        """Appends one row.

        Raises:
            InputError: A value has no JSON form, or a text no UTF-8 form; nothing is written.
            OSError: The disk is full or the pipe is closed.
        """
        try:
            line = json.dumps(dict(values), ensure_ascii=False, allow_nan=False)
            content = line.translate(_ESCAPED).encode("utf8") + b"\n"
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"the row has no JSON form: {error}", field="output") from error
        self._file.write(content)
        self._file.flush()
        self.n_rows += 1

    def close(self) -> None:
        """Closes the file; standard output stays open."""
        if self._file is not sys.stdout.buffer:
            self._file.close()

    def __enter__(self) -> JsonlWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def write_jsonl(rows: Iterable[Mapping[str, Any]], path: str | Path) -> int:
    """Writes the rows to a file (``-``: standard output), and returns how many there were.

    Raises:
        InputError: The file cannot be opened, or a row has no JSON form.
    """
    with JsonlWriter(path) as writer:
        for row in rows:
            writer.write(row)
    return writer.n_rows


def _same_file(path: str, source: str) -> bool:
    if "-" in (path, source):
        return False
    try:
        # A pipe or a terminal may be both ends; only a regular file would be lost.
        return Path(path).is_file() and os.path.samefile(path, source)
    except OSError:
        return False


def _open(path: str) -> BinaryIO:
    if path == "-":
        return sys.stdout.buffer
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return Path(path).open("wb")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {path!r}: {reason}", field="output") from error
