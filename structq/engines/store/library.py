"""What has been pulled: where it is, how large, and how it goes away again; fetches nothing."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from structq.engines.store.catalogue import CATALOGUE, Entry
from structq.engines.store.lock import locked
from structq.errors import InputError

__all__ = [
    "ENTRY",
    "Kept",
    "conversions_of",
    "data_home",
    "entry_of",
    "folder_of",
    "kept",
    "lock_of",
    "make_part",
    "name_of",
    "path_of",
    "remove",
    "size_of",
    "sweep_parts",
    "weights_of",
]

ENTRY = "entry.json"
"""Name of the file that says what the weights beside it are."""

_PART = ".part"


def data_home() -> Path:
    """The folder of structq's data; it need not exist yet.

    ``$STRUCTQ_HOME``, else ``$XDG_DATA_HOME/structq``, else ``~/.local/share/structq``.
    """
    if own := os.environ.get("STRUCTQ_HOME"):
        return Path(own).expanduser().absolute()
    shared = os.environ.get("XDG_DATA_HOME", "")
    # The XDG rule: a relative path there is to be ignored.
    base = Path(shared) if os.path.isabs(shared) else Path.home() / ".local" / "share"
    return base / "structq"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A model of the catalogue, and what of it is on this disk."""

    entry: Entry
    """What it is."""

    path: Path | None
    """The weights; ``None`` where they were not pulled."""

    n_bytes: int
    """Bytes on disk, conversions included."""


def entry_of(name: str, catalogue: Mapping[str, Entry] = CATALOGUE) -> Entry:
    """The entry of a name.

    Raises:
        InputError: There is none.
    """
    if name in catalogue:
        return catalogue[name]
    close = get_close_matches(name, catalogue, n=1)
    hint = f": did you mean {close[0]!r}?" if close else ""
    raise InputError(
        f"unknown model: {name!r}{hint} ({', '.join(map(repr, catalogue))} allowed)", field="name"
    )


def folder_of(entry: Entry) -> Path:
    """Where the weights are kept, or would be."""
    return data_home() / "models" / entry.name


def lock_of(entry: Entry) -> Path:
    """The file that whoever changes that folder holds."""
    return folder_of(entry).with_name(f".{entry.name}.lock")


def weights_of(entry: Entry) -> Path | None:
    """The weights on this disk, where they are whole and the catalogue still means them."""
    folder = folder_of(entry)
    path = folder / entry.file
    try:
        facts = json.loads((folder / ENTRY).read_text(encoding="utf8"))
        whole = path.stat().st_size == entry.n_bytes and facts["sha256"] == entry.sha256
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if whole else None


def path_of(name: str, catalogue: Mapping[str, Entry] = CATALOGUE) -> Path:
    """The weights of a model that has been pulled.

    Raises:
        InputError: It was not pulled, with the command that does it; or the name is unknown.
    """
    path = weights_of(entry_of(name, catalogue))
    if path is None:
        raise InputError(f"{name!r} is not on this machine: structq pull {name}", field="lm")
    return path


def name_of(path: Path, catalogue: Mapping[str, Entry] = CATALOGUE) -> str | None:
    """The name under which a file is kept; ``None`` for any other file."""
    for name, entry in catalogue.items():
        if path.resolve() == (folder_of(entry) / entry.file).resolve():
            return name
    return None


def kept(entry: Entry) -> Kept:
    """What of a model is on this disk."""
    folders = [folder_of(entry), *conversions_of(entry)]
    return Kept(entry=entry, path=weights_of(entry), n_bytes=sum(map(size_of, folders)))


def remove(entry: Entry) -> int:
    """Takes a model off the disk, with its conversion; one that is not there is no error.

    Returns:
        Bytes that became free.

    Raises:
        OSError: A file cannot be removed.
    """
    folder = folder_of(entry)
    if not folder.parent.is_dir():
        return 0
    with locked(lock_of(entry), on_wait=lambda: None):
        return sum(_remove(one, entry) for one in [folder, *conversions_of(entry)])


def conversions_of(entry: Entry) -> list[Path]:
    """The folders of what was made from the weights, half-made ones of a killed process too."""
    # The converter names a folder by the hash of the file that it was made from.
    mark, folder = entry.sha256[:32], data_home() / "converted"
    return [path for path in folder.glob(f"*{mark}-*") if path.is_dir()]


def make_part(entry: Entry) -> Path:
    """A new temporary folder beside that of the weights; `sweep_parts` knows it by its name."""
    folder = folder_of(entry)
    return Path(tempfile.mkdtemp(prefix=f".{entry.name}-", suffix=_PART, dir=folder.parent))


def sweep_parts(entry: Entry) -> None:
    """Takes away what a killed process has left; only whoever holds the lock may."""
    for left in folder_of(entry).parent.glob(f".{entry.name}-*{_PART}"):
        shutil.rmtree(left, ignore_errors=True)


def size_of(folder: Path) -> int:
    """Bytes of the files in a folder, now; 0 where there is none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if not path.is_dir() else 0
        except OSError:  # gone since
            continue
    return total


def _remove(folder: Path, entry: Entry) -> int:
    """Out of the way in one step, so that no reader finds half of it, and then gone."""
    if not folder.is_dir():
        return 0
    n_bytes = size_of(folder)
    aside = make_part(entry)
    folder.rename(aside / "removed")
    shutil.rmtree(aside)
    return n_bytes
