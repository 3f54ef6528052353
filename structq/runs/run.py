"""One run: rows in, many in flight, every answer kept; knows no template and no file format."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from hashlib import blake2b
from queue import SimpleQueue
from typing import Any, ClassVar, Protocol

from structq.data import Row, to_line
from structq.errors import ResumeError
from structq.journal import Journal, RowState
from structq.loops import loop_of_caller
from structq.modules.keeping import KEEPER, Kept
from structq.runs.gate import Gate, RowClock
from structq.runs.prices import dollars
from structq.runs.rows import Finished, Values, finished_row, refused_row

__all__ = ["Run", "RunTask", "digest_of"]


class RunTask(Protocol):
    """A module over many rows."""

    @property
    def output_columns(self) -> tuple[str, ...]:
        """The columns that a row gets, ``metadata`` apart."""

    async def aprocess_row(self, row: Mapping[str, Any]) -> Values:
        """The row with its output columns; a failure is in its ``metadata["error"]``."""


@dataclass(frozen=True, kw_only=True)
class _Numbered:
    number: int
    row: Row


@dataclass(kw_only=True)
class _RowKeeper:
    """Keeps the answers of one row in the journal, and sends its calls through the gate."""

    number: int
    gate: Gate
    journal: Journal | None
    answers: dict[bytes, Any]
    clock: RowClock = field(default_factory=RowClock)
    failure: Exception | None = None
    """Why an answer could not be kept."""
    _times: Counter[bytes] = field(default_factory=Counter)

    def recall(self, key: bytes) -> Kept | None:
        found = self.answers.get(_nth(key, self._times[key]))
        if found is None:
            return None
        self._times[key] += 1
        return Kept.load(found)

    def keep(self, key: bytes, kept: Kept) -> None:
        nth = self._times[key]
        self._times[key] += 1
        if self.journal is None:
            return
        try:
            self.journal.keep_answer(self.number, _nth(key, nth), kept.dump())
        except Exception as error:  # of the run, whatever the row makes of it
            self.failure = error
            raise

    async def send(
        self, lm: Any, call: Callable[[], Awaitable[Any]], used: Callable[[], tuple[int, int]]
    ) -> Any:
        try:
            return await self.gate.call(
                account_of(lm), call, row=self.clock, n_tokens=lambda _: sum(used())
            )
        finally:
            if self.gate.priced and (cost := _cost(lm, used())):
                self.gate.spend(cost)


@dataclass(kw_only=True)
class Run:
    """Rows through a module, in the order in which they are done or in their own.

    Args:
        task: The module.
        gate: What the calls go through.
        path: Name of the input in errors.
        journal: Where answers and finished rows are kept; nowhere without one.
        shape: What the output is made with beyond the facts of the journal: rows that were finished
            in another shape are made again, from the answers that are there.
        retry_failed: Rows that failed are made again.
        ordered: Rows come in the order of the input, and not as they are done.
        n_ahead: Rows that may be finished ahead of the first unfinished one, or wait to be taken.
    """

    task: RunTask
    gate: Gate
    path: str
    journal: Journal | None = None
    shape: str = ""
    retry_failed: bool = False
    ordered: bool = False
    n_ahead: int = 10_000

    ENDING: ClassVar[str] = "finishing the calls in flight"
    """What the first Ctrl-C does."""
    n_read: int = 0
    """Rows read so far."""
    n_resumed: int = 0
    """Rows that an earlier run had finished."""
    stopping: bool = False
    """Whether no further row is begun."""

    def stop(self) -> None:
        """Lets the calls in flight end, and begins no other."""
        self.stopping = True
        self._loop.call_soon_threadsafe(self.gate.stop)

    def finished(self, rows: Iterable[tuple[int, Row]]) -> Generator[Finished, None, None]:
        """Every row, as the module left it or with the reason why it could not have it.

        Args:
            rows: With their numbers, which are their places in the whole input.

        Ends early where the run is stopped or ended by the gate: what was not finished is missing.
        Closing the generator drops what is in flight.

        Raises:
            ResumeError: The input is another than that of the journal.
            InputError: The rows cannot be read, or the journal cannot be written.
        """
        done: SimpleQueue[Finished | BaseException | None] = SimpleQueue()
        self._slots = threading.Semaphore(self.n_ahead)
        self._order: deque[int] = deque()
        self._loop = loop_of_caller()
        work = asyncio.run_coroutine_threadsafe(self._work(rows, done.put), self._loop)
        work.add_done_callback(lambda ended: done.put(_failure_of(ended)))
        waiting: dict[int, Finished] = {}
        try:
            while (item := done.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                waiting[item.number] = item
                while waiting and (not self.ordered or self._order[0] in waiting):
                    number = self._order.popleft() if self.ordered else item.number
                    self._slots.release()
                    yield waiting.pop(number)
        finally:
            self.stopping = True
            self._slots.release(self.n_ahead)
            if not work.done():
                self._loop.call_soon_threadsafe(self._cancel)
                wait((work,))

    # Below runs on the loop, beside the consumer.

    async def _work(
        self, rows: Iterable[tuple[int, Row]], emit: Callable[[Finished], None]
    ) -> None:
        self._room = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._queue: asyncio.Queue[_Numbered | BaseException | None] = asyncio.Queue()
        self.gate.on_change = self._changed
        # In a thread of its own: a pipe that is slow holds up nothing else.
        threading.Thread(target=self._read, args=(rows,), daemon=True).start()
        while isinstance(item := await self._queue.get(), _Numbered):
            await self._one_free()
            if self._ends:
                break
            task = asyncio.create_task(self._finish(item, emit))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        if isinstance(item, BaseException):
            self._failure = self._failure or item
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._failure is not None:
            raise self._failure

    @property
    def _ends(self) -> bool:
        return self.stopping or self._failure is not None or self.gate.ended_by is not None

    async def _one_free(self) -> None:
        while len(self._tasks) >= self.gate.room and not self._ends:
            self._room.clear()
            await self._room.wait()

    def _changed(self) -> None:
        self._room.set()
        if self._ends:
            self._queue.put_nowait(None)  # whoever waits for a row waits no longer

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error
        self._changed()

    def _read(self, rows: Iterable[tuple[int, Row]]) -> None:
        last: BaseException | None = None
        try:
            for number, row in rows:
                self._slots.acquire()
                if self.stopping:
                    break
                self.n_read += 1
                if self.ordered:
                    self._order.append(number)
                self._put(_Numbered(number=number, row=row))
        except BaseException as error:
            last = error
        self._put(last)

    def _put(self, item: _Numbered | BaseException | None) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    def _cancel(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        self._changed()

    async def _finish(self, item: _Numbered, emit: Callable[[Finished], None]) -> None:
        finished = self.without_asking(item.number, item.row)
        if finished is None:
            values = await self._values(item.number, item.row)
            finished = finished_row(item.row, values, self.path, item.number)
            self._keep(finished, digest_of(item.row.values))
        emit(finished)

    def without_asking(self, number: int, row: Row) -> Finished | None:
        """The row, where an earlier run has finished it or nobody can be asked about it.

        Raises:
            ResumeError: The row is another than in the journal.
        """
        digest = digest_of(row.values)
        finished = self._earlier(number, digest, row)
        if finished is not None:
            self.n_resumed += 1
        elif row.error is not None:
            finished = refused_row(row, row.error, self.task.output_columns, number)
            self._keep(finished, digest)
        return finished

    def _keep(self, finished: Finished, digest: bytes) -> None:
        if self.journal is not None:
            state = RowState(digest=digest, shape=self.shape, cause=finished.cause)
            self.journal.finish_row(finished.number, state, to_line(finished.values))

    async def _values(self, number: int, row: Row) -> Values:
        answers = {} if self.journal is None else self.journal.answers(number)
        keeper = _RowKeeper(number=number, gate=self.gate, journal=self.journal, answers=answers)
        KEEPER.set(keeper)  # of this task's own context
        values = await self.task.aprocess_row(row.values)
        if keeper.failure is not None:  # a full disk is no fault of the row, nor kept as one
            raise keeper.failure
        return values

    def _earlier(self, number: int, digest: bytes, row: Row) -> Finished | None:
        """The row as an earlier run finished it, if that can stay."""
        state = None if self.journal is None else self.journal.state(number)
        if self.journal is None or state is None:
            return None
        if state.digest != digest:
            if state.cause is not None and not self.journal.answers(number):
                return None  # it was refused as it was read then, and nobody was asked about it
            raise ResumeError(
                f"{self.path}:{row.line}: is another row than in the journal {self.journal.path!r} "
                "(only rows behind the last one may be new; --restart begins anew)",
                differs=("input",),
            )
        if state.shape != self.shape or (state.cause is not None and self.retry_failed):
            return None
        values = json.loads(self.journal.output(number))
        return finished_row(row, values, self.path, number)


def _cost(lm: Any, tokens: tuple[int, int]) -> float | None:
    spec = str(getattr(lm, "spec", lm.model))
    return dollars(spec, input_tokens=tokens[0], output_tokens=tokens[1]) if any(tokens) else None


def _failure_of(ended: Future[None]) -> BaseException | None:
    return asyncio.CancelledError() if ended.cancelled() else ended.exception()


def account_of(lm: Any) -> tuple[str, str]:
    """What shares a rate: the model and where it is served."""
    return (str(getattr(lm, "model", "")), str(getattr(lm, "kwargs", {}).get("api_base") or ""))


def digest_of(values: Mapping[str, Any]) -> bytes:
    """What tells a row as it was read from another one."""
    text = json.dumps(values, sort_keys=True, default=repr, ensure_ascii=False)
    return blake2b(text.encode("utf8", "surrogatepass"), digest_size=16).digest()


def _nth(key: bytes, n: int) -> bytes:
    return key + n.to_bytes(2, "big")
