"""An export as a directory: the data, its card, and what LLaMA-Factory wants beside them."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from structq.errors import InputError
from structq.export.card import render_card
from structq.export.formats import layout_for
from structq.export.rows import ExportTally, export_rows
from structq.export.settings import ExportSettings

__all__ = ["DATA_FILE", "write_export"]

DATA_FILE = "train.jsonl"
_CARD = "README.md"
_INFO = "dataset_info.json"
# Some readers cut lines where `str.splitlines` does; the escapes stand for the same characters.
_LINE_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


_OF_FILES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".gz", ".zst"})


def write_export(
    rows: Iterable[Mapping[str, Any]],
    folder: str | Path,
    settings: ExportSettings,
    *,
    about: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> ExportTally:
    """Writes ``train.jsonl`` and ``README.md`` to a folder, all of it or nothing.

    Args:
        rows: As ``structq run`` or ``structq score`` wrote them; they are read once.
        folder: A new or an empty folder; its name is that of the dataset.
        settings: What to write, and for whom.
        about: Facts for the card that the rows do not say, by title.
        overwrite: Whether an earlier export may be replaced.

    Returns:
        Where the rows went.

    Raises:
        InputError: The folder holds something else, cannot be written, or no row can be used.
    """
    target = Path(folder).absolute()
    _check_target(target, overwrite=overwrite)
    work = target.with_name(f".{target.name}.{os.getpid()}.partial")
    tally = ExportTally()
    try:
        work.mkdir(parents=True)
        _write_data(export_rows(rows, settings, tally), work / DATA_FILE)
        layout, name = layout_for(settings), _dataset_name(target)
        card = render_card(settings, tally, layout, name=name, about=about or {})
        _write_text(work / _CARD, card)
        if layout.dataset_info:
            info = {name: {"file_name": DATA_FILE, **layout.dataset_info}}
            _write_text(work / _INFO, json.dumps(info, indent=2) + "\n")
        _replace(target, work)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {str(folder)!r}: {reason}", field="output") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return tally


def _check_target(target: Path, *, overwrite: bool) -> None:
    """Refuses to write over what is not an export, before any row is read."""
    if target.suffix.lower() in _OF_FILES and not target.is_dir():
        raise InputError(
            f"the output {str(target)!r} ends like a file (a folder is made, of data and its card)",
            field="output",
        )
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(
            f"the output is a file: {str(target)!r} (must be a folder)", field="output"
        )
    there = {one.name for one in target.iterdir()}
    if there and not overwrite:
        found = f"{str(target)!r} is not empty (a new folder, or overwrite an earlier export)"
        raise InputError(f"the output {found}", field="output")
    if others := sorted(there - {DATA_FILE, _CARD, _INFO}):
        found = f"{str(target)!r} holds {others[0]!r} (only an export is overwritten)"
        raise InputError(f"the output {found}", field="output")


def _write_data(records: Iterable[Mapping[str, Any]], path: Path) -> None:
    with path.open("w", encoding="utf8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False).translate(_LINE_ENDS) + "\n")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf8", newline="\n")


def _dataset_name(target: Path) -> str:
    """The folder's name, without what separates names where LLaMA-Factory lists datasets."""
    return re.sub(r"[^\w.-]+", "_", target.name, flags=re.ASCII).strip("_.") or "dataset"


def _replace(target: Path, work: Path) -> None:
    """Puts the finished folder in its place; an earlier export goes last."""
    old = target.with_name(f"{work.name}.old")
    if target.exists():
        target.rename(old)
    work.rename(target)
    shutil.rmtree(old, ignore_errors=True)
