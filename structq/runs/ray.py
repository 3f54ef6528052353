"""Past one machine: the same rows and the same journal, in actors of Ray Data.

Each actor has an LM of its own, a part of the calls that may be in flight, and a journal of its own
in a folder that all of them see. What any journal in the folder holds is not asked for again, so an
actor or a driver that dies costs the calls in flight and no more.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structq.data import Row, to_line
from structq.errors import InputError
from structq.journal import Journal, RowState
from structq.runs.gate import Gate, GateSettings
from structq.runs.pacing import PaceLimits
from structq.runs.run import Run, RunTask

if TYPE_CHECKING:
    from ray.data import Dataset

__all__ = ["Worker", "map_ray", "ray_data"]

_ROW, _OUTPUT = "row", "output"


def map_ray(
    dataset: Dataset,
    program: RunTask | Callable[[], RunTask],
    *,
    journal: str | Path,
    facts: Mapping[str, Any] | None = None,
    n_actors: int = 2,
    window: int = 32,
    batch_rows: int = 64,
    num_cpus: float = 0.5,
    settings: GateSettings | None = None,
) -> Dataset:
    """The rows of a Ray dataset with a program's output columns; lazy, as datasets are.

    A row that fails comes with the reason in its ``metadata``, as in a run on one machine, and its
    text columns are the same as there. Lists and objects of a row are JSON text in ``output``.

    Args:
        dataset: Rows with the columns that the program needs.
        program: A module with its LM, or what makes one in each actor.
        journal: Folder that every machine of the cluster sees; made where it does not exist.
        facts: What the answers depend on; a journal of other facts is refused.
        n_actors: Engines, each with its own LM.
        window: Calls in flight, of all actors together.
        batch_rows: Rows that an actor takes at a time.
        num_cpus: Cores that Ray keeps for an actor. With 1, two actors on two cores leave none for
            reading, and nothing ever moves.
        settings: How calls are sent; the window of `settings` is that of one actor.

    Returns:
        A dataset of one column, ``output``: each row as the line of JSON that a run would write.

    Raises:
        InputError: Ray is not installed.
    """
    data = ray_data()
    limits = PaceLimits(most=max(1, window // n_actors))
    gate = GateSettings(limits=limits) if settings is None else replace(settings, limits=limits)
    return dataset.map_batches(
        _Actor,
        fn_constructor_args=(program, str(Path(journal).absolute()), dict(facts or {}), gate),
        compute=data.ActorPoolStrategy(size=n_actors),
        batch_size=batch_rows,
        num_cpus=num_cpus,
        batch_format="numpy",
    )


def ray_data() -> Any:
    """The package ``ray.data``.

    Raises:
        InputError: Ray is not installed.
    """
    try:
        import ray.data
    except ImportError as error:
        raise InputError('Ray is needed: pip install "structq[ray]"', field="executor") from error
    return ray.data


class Worker:
    """Finishes rows in an actor; one LM and one journal for all of them."""

    def __init__(
        self, program: Any, folder: str, facts: dict[str, Any], settings: GateSettings
    ) -> None:
        self.task: RunTask = program if hasattr(program, "aprocess_row") else program()
        self.settings = settings
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.journal = _SharedJournal(Path(folder), facts)

    def run(self, path: str, shape: str = "") -> Run:
        """A run over some rows, which knows what all other actors have answered."""
        self.journal.look_around()
        journal: Any = self.journal
        return Run(
            task=self.task, gate=Gate(self.settings), path=path, journal=journal, shape=shape
        )


class _Actor(Worker):
    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        run = self.run("dataset")
        rows = [Row(line=i + 1, values=values) for i, values in enumerate(_rows_of(batch))]
        numbers = [_number(row.values) for row in rows]
        outputs: dict[int, str] = {}
        for finished in run.finished(_once(zip(numbers, rows, strict=True))):
            outputs[finished.number] = to_line(finished.values)
        if run.gate.ended_by is not None:
            raise InputError(run.gate.ended_by, field="lm")
        return {_OUTPUT: [outputs[number] for number in numbers]}


class _SharedJournal:
    """This actor's journal, and what all others in the folder hold, by the content of the rows."""

    path = "journal"

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self._folder = folder
        self._own = Journal(folder / f"{uuid.uuid4().hex}.journal", facts)
        self._facts = self._own.facts()
        self._others: dict[str, sqlite3.Connection] = {}

    def look_around(self) -> None:
        """Opens the journals of actors that have ended since."""
        for path in sorted(self._folder.glob("*.journal")):
            if str(path) != self._own.path and str(path) not in self._others:
                try:
                    other = sqlite3.connect(path, timeout=0, check_same_thread=False)
                    found = dict(other.execute("SELECT name, value FROM facts").fetchall())
                except sqlite3.Error:
                    continue  # its actor is alive, and has not lost anything
                self._check({name: json.loads(value) for name, value in found.items()}, path)
                self._others[str(path)] = other

    def answers(self, row: int) -> dict[bytes, Any]:
        """As `Journal.answers`, from all of them."""
        found = self._find("SELECT key, value FROM answers WHERE row = ?", row)
        return {key: json.loads(value) for key, value in found}

    def keep_answer(self, row: int, key: bytes, value: Any) -> None:
        """As `Journal.keep_answer`."""
        self._own.keep_answer(row, key, value)

    def state(self, row: int) -> RowState | None:
        """As `Journal.state`, from all of them."""
        found = self._find("SELECT digest, shape, cause FROM rows WHERE row = ?", row)
        return RowState(digest=found[0][0], shape=found[0][1], cause=found[0][2]) if found else None

    def output(self, row: int) -> str:
        """As `Journal.output`, from all of them."""
        found: str = self._find("SELECT output FROM rows WHERE row = ?", row)[0][0]
        return found

    def finish_row(self, row: int, state: RowState, output: str) -> None:
        """As `Journal.finish_row`."""
        self._own.finish_row(row, state, output)

    def _find(self, statement: str, row: int) -> list[Any]:
        found = self._own._all(statement, row)
        for other in self._others.values():
            found += other.execute(statement, (row,)).fetchall()
        return found

    def _check(self, facts: dict[str, Any], path: Path) -> None:
        if differs := sorted(
            n for n in facts.keys() | self._facts.keys() if facts.get(n) != self._facts.get(n)
        ):
            raise InputError(
                f"{str(path)!r} is the journal of another run: {', '.join(differs)} differ "
                "(name another folder)",
                field="journal",
            )


def _rows_of(batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a batch; a column ``row`` holds each as one line of JSON."""
    if set(batch) == {_ROW}:
        return [json.loads(text) for text in batch[_ROW]]
    names = list(batch)
    return [
        {name: _plain(value) for name, value in zip(names, values, strict=True)}
        for values in zip(*batch.values(), strict=True)
    ]


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _number(values: Mapping[str, Any]) -> int:
    """A number that is the row's whatever batch it comes in: rows that are equal are one."""
    text = json.dumps(values, sort_keys=True, default=repr, ensure_ascii=False)
    digest = blake2b(text.encode("utf8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def _once(rows: Iterable[tuple[int, Row]]) -> Iterable[tuple[int, Row]]:
    return dict(rows).items()
