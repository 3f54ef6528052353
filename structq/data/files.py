"""Rows in files of every format, by suffix or by name: in, checked, and out; knows no LM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structq.data import jsonl, tables
from structq.data.contracts import Contract, Fault
from structq.data.mapping import ColumnMap, hint_for
from structq.data.streams import open_input, open_output, replacing, same_file
from structq.errors import InputError, RowError

__all__ = ["FORMATS", "Row", "format_of", "read_rows", "write_rows"]

FORMATS = ("jsonl", "json", "csv", "parquet", "hf")
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
}
_PACKED = (".gz", ".zst")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a file."""

    line: int
    """Physical line, counted from 1; of tables without lines the number of the row."""

    values: dict[str, Any]
    """Columns in the order of the file. Of a bad row: those that could be read, and its text."""

    error: RowError | None = None
    """Why the row cannot be used; ``None`` where it meets its contract."""


def format_of(path: str, given: str | None = None, *, writes: bool = False) -> str:
    """The format of a file, by its suffix or as given.

    Raises:
        InputError: The suffix says nothing or something else; nothing is written under a suffix
            that it is not.
    """
    if given is not None and given not in FORMATS:
        raise InputError(f"format: {given!r} ({', '.join(FORMATS)} are allowed)", field="format")
    if path == "-":
        if writes and given not in (None, "jsonl", "csv", "json"):
            raise InputError(f"format: {given} cannot go to standard output", field="format")
        return given or "jsonl"
    if path.startswith("hf:") or (not writes and Path(path.partition("?")[0]).is_dir()):
        return given or ("hf" if _is_dataset(path) else "parquet")
    suffixes = Path(path).suffixes
    packed = bool(suffixes) and suffixes[-1] in _PACKED
    suffix = (suffixes[:-1] if packed else suffixes)[-1:]
    said = _SUFFIXES.get(suffix[0].lower()) if suffix else None
    if packed and (given or said) in ("parquet", "hf"):
        raise InputError(f"{path!r}: {given or said} is packed by itself", field="format")
    if writes and given and said and given != said:
        raise InputError(
            f"{path!r} would hold {given} under a name for {said} (change one of them)",
            field="format",
        )
    found = given or said
    if found is None and not writes:
        return "jsonl"  # what it is not is said with its first line
    if found is None:
        known = ", ".join(_SUFFIXES)
        raise InputError(
            f"{path!r}: its suffix is of no format (name it --format, or end it in {known}, with "
            f"{' or '.join(_PACKED)} behind it where it is to be packed)",
            field="format",
        )
    return found


def read_rows(
    path: str | Path,
    contract: Contract,
    *,
    format: str | None = None,
    columns: ColumnMap | None = None,
) -> Iterator[Row]:
    """Rows of a file in order, bad ones with their reason.

    Args:
        path: The file; ``-`` for standard input; a folder or ``hf:NAME?split=train`` for a dataset
            of Hugging Face.
        contract: What each row must hold, after the columns are mapped.
        format: One of ``FORMATS``; by default as the suffix says, and JSON Lines without one.
        columns: Where the columns come from.

    Raises:
        InputError: The file cannot be opened or read, or a package for it is missing.
        RowError: The file as a whole is of another format.
    """
    name, columns = str(path), columns or ColumnMap()
    shown = "<stdin>" if name == "-" else name
    for line, values, fault in _raw(name, shown, format_of(name, format)):
        if fault is None:
            values, fault = columns.apply(values)
        if fault is None:
            values, fault = contract.shaped(values)
        error = None
        if fault is not None:
            error = RowError(path=shown, line=line, field=fault.field, reason=_told(fault, values))
        yield Row(line=line, values=values, error=error)


def write_rows(
    rows: Callable[[], Iterable[Any]],
    path: str | Path,
    *,
    format: str | None = None,
    source: str | Path | None = None,
) -> None:
    """Writes all rows; a file that was there stays until the new one is whole.

    Args:
        rows: Gives the rows, as often as it is called; for JSON Lines a row may be its line.
        path: The file or, for ``hf``, the folder.
        format: One of ``FORMATS``; by default as the suffix says.
        source: Where the rows come from, which must be something else.

    Raises:
        InputError: The file cannot be written, or a row has no form in it.
    """
    name = str(path)
    found = format_of(name, format, writes=True)
    if source is not None and same_file(name, str(source)):
        raise InputError(f"the output is the input: {name!r}", field="output")
    with replacing(name) as made:
        if found == "parquet":
            tables.write_parquet(rows, made)
        elif found == "hf":
            tables.write_dataset(rows, made)
        else:
            with made.open("wb") as file, open_output(file, name) as packed:
                if found == "csv":
                    tables.write_csv(rows, packed)
                else:
                    write = jsonl.write_array if found == "json" else jsonl.write_lines
                    write(rows(), packed)


def _raw(name: str, shown: str, found: str) -> Iterator[jsonl.RawRow]:
    if found == "parquet":
        yield from tables.read_parquet(name)
        return
    if found == "hf":
        yield from tables.read_dataset(name.removeprefix("hf:"))
        return
    read = {"jsonl": jsonl.read_lines, "json": jsonl.read_array, "csv": tables.read_csv}[found]
    with open_input(name) as file:
        yield from read(file, shown)


def _told(fault: Fault, values: Mapping[str, Any]) -> str:
    if (
        fault.field is not None
        and fault.reason.startswith("missing")
        and (hint := hint_for(values, fault.field))
    ):
        return f"{fault.reason}; did you mean {hint}?"
    return fault.reason


def _is_dataset(path: str) -> bool:
    folder = Path(path.partition("?")[0])
    names = ("dataset_info.json", "dataset_dict.json", "state.json")
    return path.startswith("hf:") or any((folder / name).is_file() for name in names)
