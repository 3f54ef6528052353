"""Files as bytes, packed or not, and standard input and output; knows nothing of rows."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from structq.errors import InputError

__all__ = ["cannot", "open_input", "open_output", "replacing", "same_file"]

_ZST_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGIC = {".gz": b"\x1f\x8b", ".zst": _ZST_MAGIC}


@contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """The bytes of a file (``-``: standard input), unpacked as its suffix says.

    Raises:
        InputError: It cannot be read, or is not packed as its suffix says.
    """
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(path).open("rb") as file, _unpacked(file, path) as content:
            yield content
    except (EOFError, _zstd_error()) as error:
        raise InputError(f"cannot read {path!r}: {error}", field="input") from error
    except OSError as error:
        raise cannot("read", path, error) from error


def open_output(file: BinaryIO, path: str) -> IO[bytes]:
    """What packs into a file as the suffix of a path says; closing it does not close the file."""
    suffix = Path(path).suffix
    if suffix == ".gz":
        # Without a time in it, so that the same rows give the same file.
        return cast(IO[bytes], gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename=""))
    if suffix == ".zst":
        return cast(IO[bytes], _zstd().ZstdFile(file, "wb"))
    return file


@contextmanager
def replacing(path: str) -> Iterator[Path]:
    """A path to write to; it takes the place of the file when all is written, and not before.

    Raises:
        InputError: The folder cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    except OSError as error:
        raise cannot("write", path, error) from error
    made = Path(folder) / target.name
    try:
        yield made
        _sync(made)
        _put(made, target)
    except OSError as error:
        raise cannot("write", path, error) from error
    finally:
        _remove(Path(folder))


def same_file(path: str, source: str) -> bool:
    """Whether writing one would destroy the other."""
    if "-" in (path, source):
        return False
    try:
        # A pipe or a terminal may be both ends; only a file or a folder would be lost.
        return (Path(path).is_file() or Path(path).is_dir()) and os.path.samefile(path, source)
    except OSError:
        return False


def cannot(verb: str, path: str, error: OSError) -> InputError:
    """The error for a file that cannot be read or written."""
    field = "input" if verb == "read" else "output"
    return InputError(f"cannot {verb} {path!r}: {error.strerror or error}", field=field)


@contextmanager
def _unpacked(file: BinaryIO, path: str) -> Iterator[BinaryIO]:
    suffix = Path(path).suffix
    magic = _MAGIC.get(suffix, b"")
    # Through peek: a pipe cannot be read twice.
    found = cast(Any, file).peek(len(magic))[: len(magic)] if magic else b""
    if not found:
        yield file
        return
    if found != magic:
        raise InputError(
            f"{path!r} is not packed, although its name ends in {suffix}: it begins with {found!r}",
            field="input",
        )
    opened: Callable[..., Any] = gzip.GzipFile if suffix == ".gz" else _zstd().ZstdFile
    with opened(fileobj=file) if suffix == ".gz" else opened(file) as content:
        yield content


def _zstd() -> Any:
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        from backports import zstd
    return zstd


def _zstd_error() -> type[Exception]:
    known = sys.modules.get("backports.zstd") or sys.modules.get("compression.zstd")
    return cast(type[Exception], known.ZstdError) if known else EOFError


def _sync(made: Path) -> None:
    for file in [made] if made.is_file() else made.rglob("*"):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())


def _put(made: Path, target: Path) -> None:
    """Moves into place; a folder cannot replace one that holds something, so that moves away."""
    if target.is_dir() and made.is_dir():
        old = made.with_name(f"{made.name}.old")
        target.rename(old)
        try:
            made.rename(target)
        except OSError:
            old.rename(target)
            raise
    else:
        made.replace(target)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
