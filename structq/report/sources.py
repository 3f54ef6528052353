"""What a report is made from: runs, searches for templates, judge checks; writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structq.data import Contract, read_rows
from structq.errors import InputError
from structq.journal import Journal, is_journal, journal_as_it_is
from structq.modules.shown import EvolvePrompts
from structq.report.facts import RowFacts, facts_of_row

__all__ = ["RunSource", "Sources", "open_sources"]

_ANY = Contract(name="any", required={})
_SETTINGS = ("evolve.settings.", "scorer.settings.", "settings.")


@dataclass(kw_only=True)
class RunSource:
    """The rows of one run, and what is known of it."""

    name: str
    """As the user called it, without folders."""
    path: str
    journal: Journal | None
    goes_on: bool = False
    """Whether the run had not ended."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What its answers depend on."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the run noted: its summary, its program."""
    rows: list[RowFacts] = field(default_factory=list)
    prompts: EvolvePrompts | None = None

    def values(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and columns of every finished row, in order; may be called again."""
        if self.journal is not None:
            yield from ((number, json.loads(line)) for number, line in self.journal.outputs())
            return
        for number, row in enumerate(read_rows(self.path, _ANY)):
            if row.error is not None:
                raise row.error
            yield number, row.values

    def load(self) -> None:
        """Takes the facts of every row."""
        if self.journal is not None:
            self.facts, self.notes = self.journal.facts(), self.journal.notes()
            self.facts = {**_settings_of(self.notes.get("program") or {}), **self.facts}
        self.rows = [facts_of_row(number, values) for number, values in self.values()]
        program = self.notes.get("program") or {}
        if any("mutations[" in part for part in program):
            self.prompts = EvolvePrompts(program)

    @property
    def summary(self) -> Mapping[str, Any]:
        """What the run said at its end; empty where it has not ended."""
        return {} if self.goes_on else self.notes.get("summary") or {}

    @property
    def lms(self) -> list[str]:
        """The LMs, the one that writes first."""
        names = sorted(name for name in self.facts if name == "lm" or name.startswith("lm "))
        return [str(self.facts[name]["model"]) for name in names]

    @property
    def settings(self) -> dict[str, Any]:
        """By name, without the room of each."""
        return {
            name: value
            for name, value in self.facts.items()
            if name.startswith(_SETTINGS) and value not in (None, "")
        }


@dataclass(kw_only=True)
class Sources:
    """Everything that one report shows."""

    runs: list[RunSource] = field(default_factory=list)
    searches: list[tuple[str, list[dict[str, Any]]]] = field(default_factory=list)
    """Name and lines of each journal of ``structq optimize``."""
    checks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Name and values of each judge check."""


@contextmanager
def open_sources(paths: Sequence[str]) -> Iterator[Sources]:
    """What a report is made from, open.

    Args:
        paths: Outputs or journals of runs, at most two; journals of ``structq optimize``; files
            that ``structq judge-check --json`` wrote.

    Raises:
        InputError: One of them is nothing of this, or there are more than two runs.
    """
    found = Sources()
    with ExitStack() as stack:
        for path in paths:
            _add(path, found, stack)
        if len(found.runs) > 2:
            message = f"RUN: {len(found.runs)} runs (one, or two to compare)"
            raise InputError(message, field="run")
        same = len({run.name for run in found.runs}) < len(found.runs)
        for run in found.runs:
            run.name = run.path if same else run.name
            run.load()
        yield found


def _add(path: str, found: Sources, stack: ExitStack) -> None:
    place, beside = Path(path), Path(f"{path}.journal")
    journal = place if is_journal(place) else beside if is_journal(beside) else None
    if journal is not None:
        opened, goes_on = stack.enter_context(journal_as_it_is(journal))
        name = place.name.removesuffix(".journal")
        found.runs.append(RunSource(name=name, path=path, journal=opened, goes_on=goes_on))
        return
    first = None if place.is_dir() or not place.exists() else _first_object(place)
    if first is not None and first.get("journal") == "structq optimize":
        found.searches.append((place.name, _lines(place)))
    elif first is not None and "settings" in first and "metadata" in first:
        raise InputError(
            f"RUN: {path!r} is a tuned program, which holds no trials (name the file that "
            "structq optimize --checkpoint kept)",
            field="run",
        )
    elif first is not None and first.get("kind") == "judge-check":
        found.checks.append((place.name, first))
    else:
        found.runs.append(RunSource(name=place.name, path=path, journal=None))


def _settings_of(program: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All settings by name: also those that change no answer."""
    return {
        f"{part}.{name}": value
        for part, state in program.items()
        if "signature" not in state
        for name, value in state.items()
    }


def _first_object(place: Path) -> dict[str, Any] | None:
    """The whole file as one JSON object, or its first line as one."""
    with place.open("rb") as file:
        head = file.readline(1 << 20)
        if not head.lstrip().startswith(b"{"):
            return None
        for text in (head, head + file.read(64 << 20)) if len(head) < 8 else (head,):
            try:
                values = json.loads(text)
            except ValueError:
                continue
            return values if isinstance(values, dict) else None
    return None


def _lines(place: Path) -> list[dict[str, Any]]:
    """The lines of a journal that only grows; a last one that is not whole yet is left."""
    whole, _, _ = place.read_bytes().rpartition(b"\n")
    try:
        return [json.loads(line) for line in whole.splitlines()]
    except ValueError as error:
        raise InputError(f"RUN: {str(place)!r} is damaged: {error}", field="run") from error
