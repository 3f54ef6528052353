"""Rows in tables: CSV, Parquet and datasets of Hugging Face; heavy packages only where used.

A table has one type a column and no nesting of its own: objects, and lists of anything but texts
or of numbers, stand in a cell as JSON, and are read back from it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

from structq.data.contracts import Fault, find_unwritable
from structq.data.jsonl import UNREADABLE, RawRow
from structq.errors import InputError, RowError

__all__ = [
    "read_csv",
    "read_dataset",
    "read_parquet",
    "write_csv",
    "write_dataset",
    "write_parquet",
]

Rows = Callable[[], Iterable[Mapping[str, Any]]]
"""Gives the rows, as often as it is asked: a table must know its columns before its first row."""

_BATCH = 1024
_ESCAPED = re.compile("[\udc80-\udcff]")
_NESTED = frozenset({
    "responses", "scores", "expected_scores", "score_distributions", "evolved_responses",
    "mutations", "metadata", "messages", "conversations",
})  # fmt: skip
"""Columns whose cells are read as JSON, where they are texts that look like it."""


def read_csv(file: BinaryIO, path: str) -> Iterator[RawRow]:
    """The rows under a first line of column names; an empty cell is the empty text.

    Raises:
        RowError: There is no line of names, or a name stands twice.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    # A byte that is not UTF-8 costs its row, and not the file.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.reader(text, strict=True)
    try:
        names = next(reader, [])
        _check_names(names, path)
        line = reader.line_num + 1
        for cells in _cells(reader, path):
            if cells:
                yield (line, *_row(names, cells))
            line = reader.line_num + 1
    finally:
        text.detach()


def _cells(reader: Any, path: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        reason = f"not CSV: {error}"
        raise RowError(path=path, line=reader.line_num, field=None, reason=reason) from error


def _check_names(names: list[str], path: str) -> None:
    if not any(names):
        raise RowError(path=path, line=1, field=None, reason="no line of column names")
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise RowError(path=path, line=1, field=twice, reason="the column stands twice")


def _row(names: list[str], cells: list[str]) -> tuple[dict[str, Any], Fault | None]:
    values = {name: _from_cell(name, cell) for name, cell in zip(names, cells, strict=False)}
    if len(cells) != len(names):
        reason = f"{len(cells)} cells (the first line names {len(names)} columns)"
        return values, Fault(field=None, reason=reason)
    for name, cell in zip(names, cells, strict=True):
        if found := _ESCAPED.search(cell):
            kept = {k: v for k, v in values.items() if k != name}
            kept[UNREADABLE] = cell.encode("utf8", "surrogateescape").decode(
                "utf8", "backslashreplace"
            )
            reason = f"not UTF-8: byte 0x{ord(found[0]) - 0xDC00:02X}"
            return kept, Fault(field=name, reason=reason)
    return values, None


def _from_cell(name: str, cell: str) -> Any:
    """Lists and objects that `_to_cell` wrote; a text that happens to be JSON stays text."""
    if name not in _NESTED or not cell.startswith(("[", "{")):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def write_csv(rows: Rows, file: IO[bytes]) -> None:
    """A line of column names, then a line a row; a cell of a missing or null value is empty."""
    names = list(dict.fromkeys(name for row in rows() for name in row))
    text = io.TextIOWrapper(file, encoding="utf8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(names)
    for row in rows():
        writer.writerow([_to_cell(row.get(name)) for name in names])
    text.flush()
    text.detach()


def _to_cell(value: Any) -> Any:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def read_parquet(path: str) -> Iterator[RawRow]:
    """The rows of a Parquet file, or of every one in a folder; lines are row numbers, from 1."""
    parquet = _arrow().parquet
    files = sorted(Path(path).glob("*.parquet")) if Path(path).is_dir() else [Path(path)]
    if not files:
        raise InputError(f"cannot read {path!r}: no .parquet file in it", field="input")
    number = 0
    for file in files:
        for values in _parquet_rows(parquet, file):
            number += 1
            yield (number, *_checked(values))


def _parquet_rows(parquet: Any, file: Path) -> Iterator[dict[str, Any]]:
    from pyarrow.lib import ArrowException

    try:
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=_BATCH):
                yield from batch.to_pylist()
    except OSError as error:
        raise InputError(f"cannot read {str(file)!r}: {error}", field="input") from error
    except ArrowException as error:
        raise InputError(f"{str(file)!r} is no Parquet file: {error}", field="input") from error


def read_dataset(place: str) -> Iterator[RawRow]:
    """The rows of a dataset: a folder that ``save_to_disk`` wrote, or one of the hub by its name.

    Lines are row numbers, from 1. Behind the name may stand ``?split=train``, and likewise
    ``config`` and ``revision``.
    """
    from urllib.parse import parse_qsl

    datasets = _datasets()
    name, _, query = place.partition("?")
    options = dict(parse_qsl(query))
    if unknown := sorted(options.keys() - {"split", "config", "revision"}):
        raise InputError(
            f"unknown option of a dataset: {unknown[0]!r} (split, config and revision are allowed)",
            field="input",
        )
    try:
        if Path(name).is_dir():
            found = datasets.load_from_disk(name)
            rows = _split(found, options.get("split"), name)
        else:
            rows = datasets.load_dataset(
                name, options.get("config"), split=options.get("split", "train"),
                revision=options.get("revision"), streaming=True,
            )  # fmt: skip
        for number, values in enumerate(rows, start=1):
            yield (number, *_checked(values))
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read the dataset {place!r}: {error}", field="input") from error


def _split(found: Any, split: str | None, name: str) -> Any:
    if not hasattr(found, "keys"):
        return found
    names = list(found.keys())
    if split is None and len(names) == 1:
        return found[names[0]]
    if split not in names:
        raise InputError(
            f"{name!r} has the splits {', '.join(names)}: name one, as in {name}?split={names[0]}",
            field="input",
        )
    return found[split]


def _checked(values: Mapping[str, Any]) -> tuple[dict[str, Any], Fault | None]:
    columns = {
        name: _from_cell(name, value) if isinstance(value, str) else _plain(value)
        for name, value in values.items()
    }
    if fault := find_unwritable(columns):
        return {k: v for k, v in columns.items() if not find_unwritable({k: v})}, fault
    return columns, None


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, float) and math.isnan(value):
        return None  # what tables of numbers say for nothing
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def write_parquet(rows: Rows, path: Path) -> None:
    """One Parquet file, in groups of rows."""
    arrow = _arrow()
    schema = _schema(rows, arrow)
    with arrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(rows()):
            columns = {f.name: [_fitted(row.get(f.name), f.type) for row in batch] for f in schema}
            writer.write_table(arrow.table(columns, schema=schema))


def write_dataset(rows: Rows, path: Path) -> None:
    """A folder that ``datasets.load_from_disk`` opens."""
    datasets = _datasets()
    made = path.with_name(f"{path.name}.parquet")
    write_parquet(rows, made)
    datasets.Dataset.from_parquet(str(made), cache_dir=str(path.with_name("cache"))).save_to_disk(
        str(path)
    )


def _schema(rows: Rows, arrow: Any) -> Any:
    kinds: dict[str, set[str]] = {}
    for row in rows():
        for name, value in row.items():
            kinds.setdefault(name, set()).add(_kind(value))
    return arrow.schema([(name, _type(found, arrow)) for name, found in kinds.items()])


def _kind(value: Any) -> str:
    if isinstance(value, list):
        inner = {_kind(item) for item in value} - {"null"}
        scalar = inner.pop() if len(inner) == 1 else "float" if inner == {"int", "float"} else ""
        return f"list:{scalar}" if scalar in ("text", "float", "int") or not value else "json"
    if value is None:
        return "null"
    kinds = ((bool, "bool"), (int, "int"), (float, "float"), (str, "text"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "json")


def _type(kinds: set[str], arrow: Any) -> Any:
    scalars = {"bool": arrow.bool_(), "int": arrow.int64(), "float": arrow.float64()}
    found = kinds - {"null", "list:"} or {"text"}
    for number in ("", "list:"):
        if found == {f"{number}int", f"{number}float"}:
            found = {f"{number}float"}
    if len(found) > 1:
        return arrow.string()
    kind = found.pop()
    inner = scalars.get(kind.removeprefix("list:"), arrow.string())
    return arrow.list_(inner) if kind.startswith("list:") else inner


def _fitted(value: Any, kind: Any) -> Any:
    """The value as its column has it: what does not fit the column's type stands there as JSON."""
    if value is None or isinstance(value, str):
        return value
    text = str(kind) == "string"
    return json.dumps(value, ensure_ascii=False) if text else value


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise _missing("Parquet files need pyarrow", "parquet") from error
    return pyarrow


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise _missing("datasets need the package datasets", "hf") from error
    return datasets


def _missing(what: str, extra: str) -> InputError:
    return InputError(f'{what}: pip install "structq[{extra}]"', field="format")
