"""The answers of a search on disk before they are used, and those of an earlier run.

An answer is kept under what was asked: the texts and the row of a trial, the number of a prompt. A
search draws from its answers alone, so a run that finds them here goes the same way as the one that
left them, and asks only for what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from structq.errors import InputError, ResumeError
from structq.journal import Journal

from .trials import Outcome, Trial

__all__ = ["Store", "trial_key"]

_TRIALS, _REPLIES, _STEPS = 0, 1, 2
_FACTS = ("gain", "n_calls", "evolved", "failure", "original", "feedback")

Reply = tuple["str | None", int]
"""What the LM said, or ``None``, and the calls that it cost."""


def trial_key(trial: Trial, row: bytes) -> bytes:
    """What a trial asks, whatever the number of its row."""
    asked = json.dumps(trial.texts).encode()
    return blake2b(b"%d:%s%s" % (len(asked), asked, row), digest_size=16).digest()


class Store:
    """Answers that were paid for.

    Args:
        path: The file; ``None`` keeps nothing.
        facts: What the answers depend on, as JSON values, by name.

    Raises:
        ResumeError: The file is of another configuration; ``differs`` names what differs.
        InputError: The file is no journal, or cannot be written.
    """

    def __init__(self, path: str | Path | None, facts: Mapping[str, Any]) -> None:
        self._journal: Journal | None = None
        self._known: dict[int, dict[bytes, Any]] = {_TRIALS: {}, _REPLIES: {}, _STEPS: {}}
        if path is None:
            return
        told = {"module": "structq optimize", **json.loads(json.dumps(dict(facts)))}
        try:
            self._journal = Journal(path, told)
        except ResumeError as error:
            raise ResumeError(
                f"{path}: belongs to another run: {', '.join(error.differs)} differ"
                f"{'s' if len(error.differs) == 1 else ''} (name another file, or delete this one)",
                differs=error.differs,
            ) from error
        except InputError as error:
            raise InputError(f"checkpoint: {error}", field="checkpoint") from error
        self._known = {kind: self._journal.answers(kind) for kind in self._known}

    def outcome(self, key: bytes, trial: Trial) -> Outcome | None:
        """Of a trial; ``None`` where nobody has run it."""
        found = self._known[_TRIALS].get(key)
        if found is None:
            return None
        return Outcome(trial=trial, **{name: found[name] for name in _FACTS})

    def keep_outcome(self, key: bytes, outcome: Outcome, row: bytes) -> None:
        """One trial has its outcome."""
        facts = {name: getattr(outcome, name) for name in _FACTS}
        asked = {
            "texts": outcome.trial.texts, "split": outcome.trial.split,
            "row": blake2b(row, digest_size=16).hexdigest(),
        }  # fmt: skip
        self._keep(_TRIALS, key, {**asked, **facts})

    def reply(self, step: int, place: int) -> Reply | None:
        """To a prompt; ``None`` where nobody has asked it."""
        found = self._known[_REPLIES].get(b"%d:%d" % (step, place))
        return None if found is None else (found[0], found[1])

    def keep_reply(self, step: int, place: int, reply: Reply) -> None:
        """One prompt has its reply."""
        self._keep(_REPLIES, b"%d:%d" % (step, place), list(reply))

    def end(self, step: int) -> tuple[float, bool] | None:
        """Seconds that the run had taken at the end of a step, and whether it was told to stop."""
        found = self._known[_STEPS].get(b"%d" % step)
        return None if found is None else (float(found[0]), bool(found[1]))

    def keep_end(self, step: int, *, seconds: float, stop: bool) -> None:
        """A step has all its answers."""
        self._keep(_STEPS, b"%d" % step, [round(seconds, 3), stop])

    def note(self, name: str, value: Any) -> None:
        """A fact for whoever reads the file; a resumed run passes over it."""
        if self._journal is not None:
            self._journal.note(name, value)

    def close(self) -> None:
        """Closes the file."""
        if self._journal is not None:
            self._journal.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, kind: int, key: bytes, value: Any) -> None:
        if self._journal is not None:
            self._journal.keep_answer(kind, key, value)
