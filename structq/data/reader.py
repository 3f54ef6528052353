"""JSON Lines in, one checked row at a time; memory holds one line, however long the file."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from structq.data.contracts import Contract, Fault, find_unwritable
from structq.errors import InputError, RowError, shorten

__all__ = ["Row", "read_jsonl"]

_BOM = b"\xef\xbb\xbf"
_FOREIGN = {
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive",
    b"PAR1": "Parquet",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a file."""

    line: int
    """Physical line, counted from 1; only a line feed ends a line."""

    values: dict[str, Any]
    """Columns in the order of the file. Of a bad row: those that could be read, maybe none."""

    error: RowError | None = None
    """Why the row cannot be used; ``None`` where it meets its contract."""


def read_jsonl(path: str | Path, contract: Contract) -> Iterator[Row]:
    """Rows of a JSON Lines file in order, bad ones with their reason.

    UTF-8, one object a line. A byte order mark at the start, Windows line ends, blank lines and a
    last line without an end are fine. A key that stands twice in an object is an error, since
    every choice between the two loses text. Ids are not compared: a repeated id is a good row.

    Args:
        path: The file, or ``-`` for standard input.
        contract: What each row must hold.

    Yields:
        A row for each line that is not blank.

    Raises:
        InputError: The file cannot be opened or read.
        RowError: The file as a whole is something else than JSON Lines.
    """
    name = str(path)
    try:
        with _open(name) as file:
            yield from _rows(file, "<stdin>" if name == "-" else name, contract)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot read {name!r}: {reason}", field="input") from error


def _open(name: str) -> AbstractContextManager[BinaryIO]:
    return nullcontext(sys.stdin.buffer) if name == "-" else Path(name).open("rb")


def _rows(file: BinaryIO, path: str, contract: Contract) -> Iterator[Row]:
    first = True
    for line, raw in enumerate(file, start=1):
        content = (raw.removeprefix(_BOM) if line == 1 else raw).rstrip(b" \t\r\n")
        if not content:
            continue
        values, fault = _parse(content)
        if first and fault and (reason := _not_json_lines(content, readable=bool(values))):
            raise RowError(path=path, line=line, field=None, reason=reason)
        first = False
        error = None
        if fault := fault or contract.fault(values):
            error = RowError(path=path, line=line, field=fault.field, reason=fault.reason)
        yield Row(line=line, values=values, error=error)


def _not_json_lines(content: bytes, *, readable: bool) -> str | None:
    """Why a first line that is not an object condemns the whole file, or ``None``."""
    for magic, kind in _FOREIGN.items():
        if content.startswith(magic):
            return f"{kind} (must be JSON Lines in UTF-8)"
    head = content.lstrip()
    in_list = head.startswith(b"[")
    if readable or not (head == b"{" or (in_list and _is_array_of_rows(head))):
        return None
    kind = "one JSON array" if in_list else "JSON over several lines"
    return f"{kind} (must be JSON Lines: one object a line, without line ends inside it)"


def _is_array_of_rows(content: bytes) -> bool:
    """Whether a line that opens a list goes on past its end, or lists objects."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return True
    return bool(value) and all(isinstance(item, dict) for item in value)


class _Pairs:
    """Builds the objects of one line and remembers the keys that stand twice."""

    def __init__(self) -> None:
        self.repeated: list[str] = []

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        built = dict(pairs)
        if len(built) < len(pairs):
            times = Counter(key for key, _ in pairs)
            self.repeated += [key for key in built if times[key] > 1]
        return built


def _parse(content: bytes) -> tuple[dict[str, Any], Fault | None]:
    """The columns of one line, and what makes it unusable as JSON, if anything."""
    pairs = _Pairs()
    try:
        value = json.loads(content.decode("utf8"), object_pairs_hook=pairs)
    except UnicodeDecodeError as error:
        found = f"byte 0x{content[error.start]:02X} at byte {error.start + 1} of the line"
        return {}, Fault(field=None, reason=f"not UTF-8: {found}")
    except json.JSONDecodeError as error:
        found = f"{error.msg.removesuffix(' at')} at character {error.pos + 1}"
        return {}, Fault(field=None, reason=f"not JSON: {found}")
    except RecursionError:
        return {}, Fault(field=None, reason="not usable JSON: nested too deeply")
    except ValueError as error:  # an integer of more digits than Python converts
        return {}, Fault(field=None, reason=f"not usable JSON: {error}")
    if not isinstance(value, dict):
        return {}, Fault(field=None, reason=f"not an object: {shorten(value)}")
    if pairs.repeated:
        key = pairs.repeated[0]
        kept = {name: inner for name, inner in value.items() if name not in pairs.repeated}
        return _writable(kept), Fault(field=key, reason="the key stands twice in its object")
    fault = find_unwritable(value)
    return (_writable(value) if fault else value), fault


def _writable(values: dict[str, Any]) -> dict[str, Any]:
    """The columns that a UTF-8 JSON file can hold."""
    return {key: inner for key, inner in values.items() if not find_unwritable({key: inner})}
