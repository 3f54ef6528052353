"""One worker thread owns a local model and batches whatever rows are in flight.

Rows join and leave the running batch at every turn; what a row asks for is in `rows`. The scheduler
knows nothing of prompts, schemas and DSPy.

A row's tokens do not depend on the load: a prompt, a forced run or a draft is a pass of its own
(`Runtime.extend`), single tokens are always a shared pass (`Runtime.step`), and a runtime gives a
row the same numbers in every batch: to the bit (onnxruntime), or up to rounding (torch). Where a
runtime can take several tokens of several rows in one pass (`ManyRuntime`), short ones share it.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from structq.engines.calls import Append, Completion, Extend, Generation, Logits

__all__ = ["ManyRuntime", "Runtime", "Scheduler"]

_SHORT = 32
"""Most tokens of a row that shares its pass: a longer one fills a pass by itself, and the others
would be filled up to its length."""


class Runtime(Protocol):
    """A model with one slot of memory for each running row; used by one thread at a time.

    ``encode``, ``encode_text`` and ``decode`` may be called from any thread.
    """

    n_vocab: int
    """Width of the logits."""
    window: int
    """Most tokens that a slot can hold."""
    n_slots: int
    """Most rows that can run at once."""
    eos_token_id: int
    """The token by which the LM ends its answer."""
    name: str
    """Names the weights: two runtimes of one name answer alike."""
    form: str
    """How the LM writes answers best: ``"text"``, ``"json"`` or ``"compact"``."""

    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Tokens of ``(role, text)`` turns up to and including the assistant's header.

        Text never becomes a special token, whatever it contains.
        """

    def encode_text(self, text: str) -> list[int]:
        """Tokens of plain text, without special tokens."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, without special tokens."""

    def extend(self, slot: int, tokens: Sequence[int], n_logits: int) -> NDArray[np.float32]:
        """Appends tokens to one slot.

        Returns:
            Shape ``(n_logits, n_vocab)``: the logits after each of the last ``n_logits`` tokens.
        """

    def step(self, slots: Sequence[int], tokens: Sequence[int]) -> NDArray[np.float32]:
        """Appends one token to each slot; logits of shape ``(len(slots), n_vocab)``, in order.

        A row's logits are the same whatever the other slots are.
        """

    def length(self, slot: int) -> int:
        """Tokens that the slot holds."""

    def rewind(self, slot: int, length: int) -> None:
        """Forgets the tokens of the slot from ``length`` on."""


@runtime_checkable
class ManyRuntime(Protocol):
    """What a `Runtime` has besides if one pass can append several tokens to several slots."""

    def extend_many(
        self, slots: Sequence[int], tokens: Sequence[Sequence[int]], n_logits: int
    ) -> NDArray[np.float32]:
        """Appends tokens to each slot.

        Returns:
            Shape ``(len(slots), n_logits, n_vocab)``: the logits after each of the last
            ``n_logits`` tokens. A row of fewer tokens fills the last places only.
        """


@dataclass(eq=False)
class _Job:
    """A row with its future, and where it stands."""

    row: Generation
    future: Future[Completion]
    slot: int = -1
    need: Extend | Append | None = None


class Scheduler:
    """Runs rows on a runtime with continuous batching; safe to use from any thread.

    The worker is a daemon thread that starts with the first row. Cancelling a future drops its row,
    queued or running. An exception inside a row fails that row alone.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._many = runtime if isinstance(runtime, ManyRuntime) else None
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._free = list(range(runtime.n_slots))
        self._wake = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False
        self.batch_sizes: deque[int] = deque(maxlen=4096)
        """Rows in each of the last shared passes, oldest first."""

    def submit(self, row: Generation) -> Future[Completion]:
        """Queues a row.

        Raises:
            RuntimeError: The scheduler is closed.
        """
        return self.submit_all([row])[0]

    def submit_all(self, rows: Iterable[Generation]) -> list[Future[Completion]]:
        """Queues rows together, so that they can share their first turn; futures in order."""
        jobs = [_Job(row, Future()) for row in rows]
        with self._wake:
            if self._closed:
                raise RuntimeError("the engine is closed")
            self._waiting.extend(jobs)
            if self._worker is None:
                self._worker = threading.Thread(
                    target=self._work, name=f"structq-{self._runtime.name}", daemon=True
                )
                self._worker.start()
            self._wake.notify()
        return [job.future for job in jobs]

    def close(self) -> None:
        """Ends the worker after its current pass and cancels all rows; may be called twice."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if self._worker is not None and self._worker is not threading.current_thread():
            self._worker.join()

    # Everything below runs in the worker.

    def _work(self) -> None:
        while self._wait_for_work():
            self._turn()
        for job in [*self._running, *self._waiting]:
            job.row.close()
            job.future.cancel()

    def _wait_for_work(self) -> bool:
        """Blocks while there is nothing to do; false when closed."""
        with self._wake:
            while not (self._closed or self._waiting or self._running):
                self._wake.wait()
            return not self._closed

    def _turn(self) -> None:
        """Admits rows, gives each row that needs a pass of its own that pass, then one step."""
        self._drop_cancelled()
        self._admit()
        needs = {job: job.need for job in self._running if isinstance(job.need, Extend)}
        short = [job for job, need in needs.items() if len(need.tokens) <= _SHORT]
        if self._many is not None and len(short) > 1:
            self._extend_many(self._many, {job: needs.pop(job) for job in short})
        for job, need in needs.items():
            self._extend(job, need)
        self._step()

    def _drop_cancelled(self) -> None:
        for job in [job for job in self._running if job.future.cancelled()]:
            job.row.close()
            self._release(job)

    def _admit(self) -> None:
        """Moves waiting rows into free slots.

        The lowest slot goes first, which keeps shared passes narrow. This is where a slot that
        already holds a prefix of the row's prompt would be preferred, once prefixes are kept.
        """
        while self._free and self._waiting:
            job = self._waiting.popleft()
            if job.future.cancelled():
                job.row.close()
                continue
            job.slot = heapq.heappop(self._free)
            self._runtime.rewind(job.slot, 0)
            self._running.append(job)
            self._advance(job, None)

    def _extend(self, job: _Job, need: Extend) -> None:
        try:
            self._drop(job, need.drop)
            logits = self._runtime.extend(job.slot, need.tokens, need.n_logits)
        except Exception as error:
            self._fail(job, error)
        else:
            self._advance(job, logits)

    def _drop(self, job: _Job, n_columns: int) -> None:
        if n_columns:
            self._runtime.rewind(job.slot, self._runtime.length(job.slot) - n_columns)

    def _extend_many(self, runtime: ManyRuntime, needs: Mapping[_Job, Extend]) -> None:
        """One pass for several rows that need a few tokens each."""
        jobs = sorted(needs, key=lambda job: job.slot)
        n_logits = max(need.n_logits for need in needs.values())
        try:
            for job in jobs:
                self._drop(job, needs[job].drop)
            logits = runtime.extend_many(
                [job.slot for job in jobs], [needs[job].tokens for job in jobs], n_logits
            )
        except Exception as error:
            for job in jobs:
                self._fail(job, error)
            return
        self.batch_sizes.append(len(jobs))
        for place, job in enumerate(jobs):
            self._advance(job, logits[place, n_logits - needs[job].n_logits :])

    def _step(self) -> None:
        """One pass for all rows that need a single token, in the order of their slots."""
        tokens = {job: job.need.token for job in self._running if isinstance(job.need, Append)}
        if not tokens:
            return
        jobs = sorted(tokens, key=lambda job: job.slot)
        try:
            logits = self._runtime.step([job.slot for job in jobs], [tokens[job] for job in jobs])
        except Exception as error:
            for job in jobs:
                self._fail(job, error)
            return
        self.batch_sizes.append(len(jobs))
        for place, job in enumerate(jobs):
            self._advance(job, logits[place : place + 1])

    def _advance(self, job: _Job, logits: Logits | None) -> None:
        """Runs a row up to its next need, its answer, or its error; ``None`` starts it."""
        try:
            job.need = next(job.row) if logits is None else job.row.send(logits)
        except StopIteration as end:
            self._release(job)
            if job.future.set_running_or_notify_cancel():
                job.future.set_result(end.value)
        except Exception as error:
            self._fail(job, error)

    def _fail(self, job: _Job, error: Exception) -> None:
        job.row.close()
        self._release(job)
        if job.future.set_running_or_notify_cancel():
            job.future.set_exception(error)

    def _release(self, job: _Job) -> None:
        self._running.remove(job)
        heapq.heappush(self._free, job.slot)
