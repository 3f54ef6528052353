"""Finds and reads the files of an LM's folder; knows nothing of what runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from structq.errors import InputError, shorten

__all__ = ["digest", "file_of", "fingerprint", "read_json", "read_tokenizer"]

_MOST_BYTES = 1 << 28
"""Of a file that is read whole: settings and tokenizers have some dozen megabytes."""


def file_of(folder: Path, name: str) -> Path:
    """The path of a file that has to be there.

    Raises:
        InputError: There is no such folder, or the file is not in it.
    """
    if not folder.is_dir():
        raise InputError(f"no such folder: {str(folder)!r}", field="lm")
    path = folder / name
    if not path.is_file():
        raise InputError(
            f"{str(folder)!r} is not an LM that structq can run: it has no {name}", field="lm"
        )
    return path


def _check_size(path: Path) -> None:
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(
            f"{path} has {path.stat().st_size} bytes (at most {_MOST_BYTES} are allowed)",
            field="lm",
        )


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        InputError: It holds none.
    """
    _check_size(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}", field="lm") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object: {shorten(value)}", field="lm")
    return value


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a ``tokenizer.json``; markers of a chat template in a text stay text.

    Raises:
        InputError: The file holds none.
    """
    _check_size(path)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # tokenizers raises bare Exception; panics are not even that
        raise InputError(f"{path} is not a tokenizer: {error}", field="lm") from error
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def fingerprint(paths: Iterable[Path], *facts: str) -> str:
    """Twelve hex digits that change with the files and the facts."""
    mark = hashlib.sha256("\0".join(facts).encode())
    for path in paths:
        mark.update(digest(path))
    return mark.hexdigest()[:12]


def digest(path: Path) -> bytes:
    """SHA-256 of a file; one that has not changed since is not read again."""
    stat = path.stat()
    return _digest(str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=256)
def _digest(path: str, *changes: int) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
