"""Where a run's rows go: a file that is replaced when all is there, or a pipe, row by row."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from structq.data import format_of, to_line, write_rows
from structq.errors import InputError
from structq.journal import Journal

__all__ = ["check_output", "journal_of", "write_line", "write_output"]


def journal_of(out: str, given: str | None) -> str | None:
    """Where the journal of an output is; ``None`` for a pipe without one."""
    return given if given is not None or out == "-" else f"{out}.journal"


def check_output(
    out: str, journal: str | None, *, overwrite: bool, format: str | None, source: str
) -> None:
    """Finds out before the first call whether the output may be written.

    Raises:
        InputError: It is the input, has no format, lies where nothing can be written, or holds
            something that is not this run's.
    """
    if out != "-" and Path(out).is_dir() and format != "hf":
        raise InputError(f"cannot write {out!r}: it is a folder", field="output")
    format_of(out, format, writes=True)
    if out == "-":
        return
    place = Path(out)
    if source != "-" and place.exists() and Path(source).exists() and place.samefile(source):
        raise InputError(f"the output is the input: {out!r}", field="output")
    folder = next(parent for parent in place.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"cannot write {out!r}: {str(folder)!r} cannot be written", field="output")
    own = journal is not None and Path(journal).is_file()
    if place.exists() and not own and not overwrite and not _is_special(place):
        raise InputError(
            f"{out!r} exists, and no journal says that this run made it (--overwrite replaces it)",
            field="output",
        )


def write_output(journal: Journal, out: str, *, format: str | None, last: int | None) -> None:
    """Writes the finished rows, up to number ``last``, in order; the old file stays until then."""

    def lines() -> Iterator[str]:
        for number, line in journal.outputs():
            if last is not None and number > last:
                return
            yield line

    if format_of(out, format, writes=True) == "jsonl":
        write_rows(lines, out, format=format)
    else:
        write_rows(lambda: map(json.loads, lines()), out, format=format)


def write_line(values: Mapping[str, Any]) -> None:
    """One row to standard output, at once."""
    sys.stdout.buffer.write(to_line(values).encode("utf8") + b"\n")
    sys.stdout.buffer.flush()


def _is_special(place: Path) -> bool:
    return not place.is_file() and not place.is_dir()
