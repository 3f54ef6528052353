"""A run whose rows are finished by actors of Ray Data: the same rows, journal and output.

The rows that are left go to a file that all machines see, and parts of it to the actors. What they
answer is in journals of their own, at once; their finished rows come back to the run's journal, and
so do their answers in the end, or when a run that was killed goes on.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar

from structq.data import Row, to_line
from structq.errors import InputError
from structq.journal import Journal, RowState
from structq.runs.gate import Counts, Gate, GateSettings
from structq.runs.pacing import PaceLimits
from structq.runs.ray import Worker, ray_data
from structq.runs.rows import Finished
from structq.runs.run import Run, RunTask, digest_of

__all__ = ["RayRun", "absorb_shards"]

_LONGEST_PART = 512
_PATIENCE_S = 20.0
_Item = tuple[Finished, bytes] | Counts | BaseException | None
"""A row with the digest of what it was, what an actor counted, why it failed, and the end."""


def absorb_shards(journal: Journal, *, restart: bool = False) -> None:
    """Takes over what the actors of a run that was killed have left beside its journal.

    Actors outlive their driver by some seconds, for which they are waited for.

    Args:
        journal: Of the run.
        restart: What they left is thrown away.

    Raises:
        InputError: An actor is still at work, or what it left belongs to another run.
    """
    folder, end = _folder_of(journal), time.monotonic() + _PATIENCE_S
    for path in () if restart else sorted(folder.glob("*.journal")):
        while True:
            try:
                journal.absorb(path)
            except InputError:
                if time.monotonic() >= end:
                    raise
                time.sleep(0.2)
            else:
                path.unlink()
                break
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(kw_only=True)
class RayRun:
    """As `Run`, with the rows in no order.

    Args:
        make_task: The module, made in each actor.
        task: One for this process, which tells the columns.
        gate: Counts what the actors' own have counted; its limits are those of all together.
        path: Name of the input in errors.
        journal: Where the run is kept, in a folder that every machine sees.
        shape: As of `Run`.
        retry_failed: As of `Run`.
        n_actors: How many there are.
    """

    make_task: Callable[[], RunTask]
    task: RunTask
    gate: Gate
    path: str
    journal: Journal
    shape: str
    retry_failed: bool
    n_actors: int

    ENDING: ClassVar[str] = "ending the actors"
    """What the first Ctrl-C does."""
    n_resumed: int = 0
    """Rows that an earlier run had finished."""
    stopping: bool = False
    """Whether the actors are to be ended."""

    def stop(self) -> None:
        """Ends the actors; what they were answered is kept."""
        self.stopping = True

    def finished(self, rows: Iterable[tuple[int, Row]]) -> Generator[Finished, None, None]:
        """Every row, as `Run.finished` has it.

        Raises:
            ResumeError: The input is another than that of the journal.
            InputError: The rows cannot be read, or Ray is not there.
        """
        ray_data()
        folder = _folder_of(self.journal)
        folder.mkdir(parents=True, exist_ok=True)
        starts: list[int] = []
        yield from self._finished_here(rows, folder / "rows", starts)
        if starts and not self.stopping:
            yield from self._finished_there(folder, starts)
        absorb_shards(self.journal)

    def _finished_here(
        self, rows: Iterable[tuple[int, Row]], path: Path, starts: list[int]
    ) -> Iterator[Finished]:
        """Rows that nobody needs to be asked about; the others go to the file."""
        local = Run(
            task=self.task, gate=self.gate, path=self.path, journal=self.journal, shape=self.shape,
            retry_failed=self.retry_failed,
        )  # fmt: skip
        with path.open("wb") as file:
            for number, row in rows:
                if self.stopping:
                    return
                found = local.without_asking(number, row)
                if found is None:
                    starts.append(file.tell())
                    file.write(self._staged(number, row))
                else:
                    yield found
            self.n_resumed = local.n_resumed

    def _staged(self, number: int, row: Row) -> bytes:
        """All that an actor needs to know of a row."""
        answers = {key.hex(): value for key, value in self.journal.answers(number).items()}
        digest = digest_of(row.values).hex()
        return json.dumps([number, row.line, digest, row.values, answers]).encode() + b"\n"

    def _finished_there(self, folder: Path, starts: list[int]) -> Iterator[Finished]:
        items: SimpleQueue[_Item] = SimpleQueue()
        limits = self.gate.settings.limits
        parts = list(_parts(starts, limits.most, self.n_actors))
        arguments = (self.make_task, str(folder), self.journal.facts(), self._settings(limits))
        told = (parts, (*arguments, self.path, self.shape), self.n_actors, items.put)
        # Ray Data sets up its own log anew at each start, and tells of actors that a run has ended.
        logging.disable(logging.CRITICAL)
        _open()  # here, as signals are the main thread's
        work = threading.Thread(target=_work, args=told, daemon=True)
        work.start()
        try:
            while not self.stopping and self.gate.ended_by is None:
                try:
                    item = items.get(timeout=0.2)
                except Empty:
                    continue
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, Counts):
                    self.gate.add(item)
                else:
                    yield self._kept(*item)
        finally:
            import ray

            ray.shutdown()
            work.join(2.0)
            logging.disable(logging.NOTSET)

    def _kept(self, row: Finished, digest: bytes) -> Finished:
        state = RowState(digest=digest, shape=self.shape, cause=row.cause)
        self.journal.finish_row(row.number, state, to_line(row.values))
        return row

    def _settings(self, limits: PaceLimits) -> GateSettings:
        """An actor's part of the pace."""

        def part(limit: int | None) -> int | None:
            return None if limit is None else max(1, limit // self.n_actors)

        own = PaceLimits(
            most=max(1, limits.most // self.n_actors),
            first=part(limits.first),
            per_minute=part(limits.per_minute),
            tokens_per_minute=part(limits.tokens_per_minute),
        )
        return replace(self.gate.settings, limits=own)


class _PartActor(Worker):
    """Finishes parts of a file of rows."""

    def __init__(self, *arguments: Any) -> None:
        *known, self.path, self.shape = arguments
        super().__init__(*known)
        self.folder = Path(known[1])

    def __call__(self, part: Mapping[str, Any]) -> dict[str, Any]:
        run = self.run(self.path, self.shape)
        digests, rows = {}, []
        for digest, number, row in self._rows(int(part["start"][0]), int(part["n_rows"][0])):
            digests[number] = digest
            rows.append((number, row))
        done: list[_Item] = [(row, digests[row.number]) for row in run.finished(rows)]
        return {"done": [pickle.dumps([*done, run.gate.counts])]}

    def _rows(self, start: int, n_rows: int) -> Iterator[tuple[bytes, int, Row]]:
        with (self.folder / "rows").open("rb") as file:
            file.seek(start)
            for _ in range(n_rows):
                number, line, digest, values, answers = json.loads(file.readline())
                for key, value in answers.items():
                    self.journal.keep_answer(number, bytes.fromhex(key), value)
                yield bytes.fromhex(digest), number, Row(line=line, values=values)


def _folder_of(journal: Journal) -> Path:
    return Path(f"{journal.path}.ray").absolute()


def _parts(starts: list[int], window: int, n_actors: int) -> Iterator[dict[str, int]]:
    """Parts of so many rows that a window is full for most of the time, and no actor waits long."""
    fair = -(-len(starts) // (4 * n_actors))
    size = min(max(fair, min(window, len(starts) // n_actors), 1), _LONGEST_PART)
    for first in range(0, len(starts), size):
        yield {"start": starts[first], "n_rows": min(size, len(starts) - first)}


def _work(
    parts: list[dict[str, int]], arguments: tuple[Any, ...], n_actors: int,
    put: Callable[[_Item], None],
) -> None:  # fmt: skip
    """Has Ray finish the parts; in a thread, so that the run can be stopped meanwhile."""
    try:
        data = ray_data()
        made = data.from_items(parts, override_num_blocks=len(parts)).map_batches(
            _PartActor,
            fn_constructor_args=arguments,
            compute=data.ActorPoolStrategy(size=n_actors),
            batch_size=1,
            batch_format="numpy",
            num_cpus=_cpus_of(n_actors),
        )
        for part in made.iter_rows():
            for item in pickle.loads(part["done"]):  # of our own actors
                put(item)
    except BaseException as error:
        cause = getattr(error, "cause", None) or error.__cause__ or error
        told = f"executor: Ray failed: {type(cause).__name__}: {cause}"
        put(InputError(told, field="executor"))
    else:
        put(None)


def _cpus_of(n_actors: int) -> float:
    """Cores for an actor, such that all of them leave half for Ray's own work."""
    import ray

    known: Any = ray
    return min(0.5, float(known.cluster_resources().get("CPU", 1.0)) / 2 / n_actors)


def _open() -> None:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if not ray.is_initialized():
        ray.init(
            include_dashboard=False, logging_level=logging.ERROR, configure_logging=False,
            log_to_driver=False,
        )  # fmt: skip
    ray_data().DataContext.get_current().enable_progress_bars = False


_QUIET = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # a thread that still asks for it must not start it again
}
