"""The journal of a search: every answer that an LM was paid for, on disk before it is used.

JSON Lines. The first line says what is tuned, how and on what; then one line an answer, under the
number of its step and its place in it, and one line at the end of each step. A search draws from
its answers alone, so a run that is given the answers in the journal goes the same way and asks only
for what is missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from structq.errors import InputError, ResumeError, shorten

from .asker import Reply
from .trials import Outcome, Trial

__all__ = ["Journal", "StepRecord"]

VERSION = 1


@dataclass(kw_only=True)
class StepRecord:
    """What a journal knows of one step."""

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    """By place."""
    replies: dict[int, Reply] = field(default_factory=dict)
    """By place."""
    seconds: float | None = None
    """Time that the run had taken when the step ended; ``None`` if it did not."""
    stop: bool = False
    """Whether the search was told to end."""


class Journal:
    """Answers that were paid for, in a file that only grows.

    A last line that was cut off is removed: its answer is asked for again. Lines go to the system
    one by one, and to the disk at the end of each step.

    Args:
        path: The file; ``None`` for none.
        config: What the answers depend on, as JSON values, by name.

    Attributes:
        steps: What an earlier run left, by the number of the step, from 1.

    Raises:
        ResumeError: The file is of another configuration, or is no journal; ``differs`` names what
            differs.
        InputError: The file cannot be written.
    """

    def __init__(self, path: str | Path | None, config: Mapping[str, Any]) -> None:
        self.path = None if path is None else str(path)
        self.steps: dict[int, StepRecord] = {}
        self._file: BinaryIO | None = None
        if self.path is None:
            return
        self._file = _open(self.path)
        try:
            # As JSON has it: a tuple in a setting is a list in the file.
            self._take_over(self._file, json.loads(json.dumps(dict(config))))
        except BaseException:
            self.close()
            raise

    def add_outcome(self, step: int, place: int, outcome: Outcome) -> None:
        """One trial has its outcome."""
        trial = outcome.trial
        self._write({
            "step": step, "place": place, "mutation": trial.mutation, "split": trial.split,
            "row": trial.row, "template": trial.text, "gain": outcome.gain,
            "n_calls": outcome.n_calls, "evolved": outcome.evolved, "failure": outcome.failure,
            "original": outcome.original,
        })  # fmt: skip

    def add_reply(self, step: int, place: int, reply: Reply) -> None:
        """One prompt has its reply."""
        self._write({"step": step, "place": place, "reply": reply[0], "n_calls": reply[1]})

    def end_step(self, step: int, *, seconds: float, stop: bool) -> None:
        """A step has all its answers."""
        self._write({"step": step, "seconds": round(seconds, 3), "stop": stop})
        self._sync()

    def note(self, **facts: Any) -> None:
        """A line for whoever reads the file; a resumed run passes over it."""
        self._write({"note": facts})
        self._sync()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()

    def _sync(self) -> None:
        if self._file is not None:
            os.fsync(self._file.fileno())

    def _take_over(self, file: BinaryIO, config: dict[str, Any]) -> None:
        file.seek(0)
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)
        lines = content[:whole].splitlines()
        if not lines:
            self._write({"journal": "structq optimize", "version": VERSION, "config": config})
            return
        self._check_config(self._parse(lines[0], 1), config)
        for number, line in enumerate(lines[1:], 2):
            self._read(self._parse(line, number), number)

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            values = json.loads(line)
        except ValueError as error:
            raise self._broken(number, f"not JSON: {shorten(line)}") from error
        if not isinstance(values, dict):
            raise self._broken(number, f"not an object: {shorten(line)}")
        return values

    def _check_config(self, first: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        if first.get("journal") != "structq optimize" or first.get("version") != VERSION:
            raise self._broken(1, f"no journal of this version of structq: {shorten(dict(first))}")
        old = first.get("config")
        if not isinstance(old, dict):
            raise self._broken(1, "it has no configuration")
        differs = sorted(n for n in old.keys() | config.keys() if old.get(n) != config.get(n))
        if differs:
            raise ResumeError(
                f"{self.path}: belongs to another run: {', '.join(differs)} differ"
                f"{'s' if len(differs) == 1 else ''} (name another file, or delete this one)",
                differs=tuple(differs),
            )

    def _read(self, line: Mapping[str, Any], number: int) -> None:
        if "note" in line:
            return
        try:
            record = self.steps.setdefault(int(line["step"]), StepRecord())
            if "seconds" in line:
                record.seconds, record.stop = float(line["seconds"]), bool(line["stop"])
            elif "reply" in line:
                record.replies[int(line["place"])] = line["reply"], int(line["n_calls"])
            else:
                record.outcomes[int(line["place"])] = _outcome(line)
        except (KeyError, TypeError, ValueError) as error:
            raise self._broken(number, f"not an answer: {shorten(dict(line))}") from error

    def _broken(self, number: int, reason: str) -> ResumeError:
        return ResumeError(f"{self.path}:{number}: {reason}", differs=("checkpoint",))


def _open(path: str) -> BinaryIO:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return Path(path).open("a+b")
    except OSError as error:
        reason = f"cannot write {path!r}: {error.strerror or error}"
        raise InputError(f"checkpoint: {reason}", field="checkpoint") from error


def _outcome(line: Mapping[str, Any]) -> Outcome:
    trial = Trial(
        mutation=line["mutation"], text=line["template"], split=line["split"], row=line["row"]
    )
    return Outcome(
        trial=trial,
        gain=float(line["gain"]),
        n_calls=int(line["n_calls"]),
        evolved=line["evolved"],
        failure=line["failure"],
        original=line["original"],
    )
