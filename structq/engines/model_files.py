"""Finds and reads the files of an LM's folder; knows nothing of what runs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from structq.errors import InputError, shorten

__all__ = ["digest", "file_of", "fingerprint", "read_json", "read_tokenizer"]

_BLOCK = 1 << 20


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


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        InputError: It holds none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}", field="lm") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object: {shorten(value)}", field="lm")
    return value


def read_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a ``tokenizer.json``; markers of a chat template in a text stay text.

    Raises:
        InputError: The file holds none.
    """
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
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
    """SHA-256 of a file."""
    mark = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            mark.update(block)
    return mark.digest()
