"""One worker thread owns a local model and batches whatever generations are in flight.

Generations join and leave the running batch at every turn; what they ask for is in `calls`. The
scheduler knows nothing of prompts, schemas and DSPy.

The tokens of a generation do not depend on the load: a prompt, a forced run or a draft is a pass of
its own (`Runtime.extend`), single tokens are always a shared pass (`Runtime.step`), and a runtime
gives the same numbers in every batch: to the bit (onnxruntime), or up to rounding (torch). Where a
runtime can take several tokens of several slots in one pass (`ManyRuntime`), short ones share it.

Every future ends: with a completion, with what went wrong, or with `ClosedError`. Nobody waits for
a worker that is gone.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from structq.engines.calls import Append, Completion, Extend, Generation, Logits
from structq.errors import ClosedError, LMError
from structq.forks import renew_in_children

__all__ = ["ManyRuntime", "Runtime", "Scheduler"]

_SHORT = 32
"""Most tokens that share a pass: more fill one by themselves, and the others would be filled up to
that length."""


class Runtime(Protocol):
    """A model with one slot of memory for each running generation; used by one thread at a time.

    ``encode``, ``encode_text`` and ``decode`` may be called from any thread.
    """

    n_vocab: int
    """Width of the logits."""
    window: int
    """Most tokens that a slot can hold."""
    n_slots: int
    """Most generations that can run at once."""
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

        A slot's logits are the same whatever the other slots are.
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
            ``n_logits`` tokens. A slot of fewer tokens fills the last places only.
        """


@dataclass(eq=False)
class _Job:
    """A generation with its future, and where it stands."""

    generation: Generation
    future: Future[Completion]
    slot: int = -1
    need: Extend | Append | None = None

    def end(self, completion: Completion | None, error: BaseException | None = None) -> None:
        """Tells the caller, unless the call was cancelled; closes the generation."""
        # Whatever closing does wrong, the caller is told of what came before it.
        with suppress(BaseException):
            self.generation.close()
        if not self.future.set_running_or_notify_cancel():
            return
        if completion is not None:
            self.future.set_result(completion)
        else:
            # An interrupt or a panic of the worker is not one of the caller.
            found = error if isinstance(error, Exception) else _lm_error(error)
            self.future.set_exception(found)


class Scheduler:
    """Runs generations on a runtime with continuous batching; safe to use from any thread.

    The worker is a daemon thread that starts with the first generation; a forked child starts one
    of its own. Cancelling a future drops its generation, queued or running. An exception inside a
    generation fails it alone.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._many = runtime if isinstance(runtime, ManyRuntime) else None
        self._closed = False
        self.batch_sizes: deque[int] = deque(maxlen=4096)
        """Generations in each of the last shared passes, oldest first."""
        self.after_fork()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Begins with nothing: the worker is not in this process, and those who wait neither."""
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
        self._free = list(range(self._runtime.n_slots))
        self._wake = threading.Condition()
        self._worker: threading.Thread | None = None

    def submit(self, generation: Generation) -> Future[Completion]:
        """Queues a generation.

        Raises:
            ClosedError: The scheduler is closed.
        """
        return self.submit_all([generation])[0]

    def submit_all(self, generations: Iterable[Generation]) -> list[Future[Completion]]:
        """Queues generations together, so that they can share their first turn; futures in order.

        Raises:
            ClosedError: The scheduler is closed.
        """
        jobs = [_Job(generation, Future()) for generation in generations]
        with self._wake:
            if self._closed:
                raise ClosedError
            if self._worker is None:
                worker = threading.Thread(
                    target=self._work, name=f"structq-{self._runtime.name}", daemon=True
                )
                worker.start()
                self._worker = worker
            self._waiting.extend(jobs)
            self._wake.notify()
        return [job.future for job in jobs]

    def close(self) -> None:
        """Ends the worker after its current pass, and what is left with `ClosedError`.

        May be called twice.
        """
        with self._wake:
            self._closed = True
            worker = self._worker
            self._wake.notify()
        if worker is not None and worker is not threading.current_thread():
            worker.join()

    # Everything below runs in the worker.

    def _work(self) -> None:
        error: BaseException = ClosedError()
        try:
            while self._wait_for_work():
                self._turn()
        except BaseException as found:
            error = _lm_error(found)
        with self._wake:
            # Whoever comes next starts another worker, with all slots free.
            jobs = [*self._running, *self._waiting]
            self._running.clear()
            self._waiting.clear()
            self._free = list(range(self._runtime.n_slots))
            self._worker = None
        for job in jobs:
            job.end(None, error)

    def _wait_for_work(self) -> bool:
        """Blocks while there is nothing to do; false when closed."""
        with self._wake:
            while not (self._closed or self._waiting or self._running):
                self._wake.wait()
            return not self._closed

    def _turn(self) -> None:
        """Admits jobs, gives each that needs a pass of its own that pass, then one shared step."""
        for job in [job for job in self._running if job.future.cancelled()]:
            self._end(job, None)
        self._admit()
        needs = {job: job.need for job in self._running if isinstance(job.need, Extend)}
        short = [job for job, need in needs.items() if len(need.tokens) <= _SHORT]
        if self._many is not None and len(short) > 1:
            self._extend_many(self._many, {job: needs.pop(job) for job in short})
        for job, need in needs.items():
            self._extend(job, need)
        self._step()

    def _admit(self) -> None:
        """Moves waiting jobs into free slots; the lowest slot first, which keeps passes narrow."""
        while self._free and self._waiting:
            job = self._waiting.popleft()
            job.slot = heapq.heappop(self._free)
            self._running.append(job)
            if job.future.cancelled():
                self._end(job, None)
                continue
            try:
                self._runtime.rewind(job.slot, 0)
            except BaseException as error:
                self._end(job, None, _lm_error(error))
            else:
                self._advance(job, None)

    def _extend(self, job: _Job, need: Extend) -> None:
        try:
            self._drop(job, need.drop)
            logits = self._runtime.extend(job.slot, need.tokens, need.n_logits)
        except BaseException as error:
            self._end(job, None, error)
        else:
            self._advance(job, logits)

    def _drop(self, job: _Job, n_columns: int) -> None:
        if n_columns:
            self._runtime.rewind(job.slot, self._runtime.length(job.slot) - n_columns)

    def _extend_many(self, runtime: ManyRuntime, needs: Mapping[_Job, Extend]) -> None:
        """One pass for several jobs that need a few tokens each."""
        jobs = sorted(needs, key=lambda job: job.slot)
        n_logits = max(need.n_logits for need in needs.values())
        try:
            for job in jobs:
                self._drop(job, needs[job].drop)
            logits = runtime.extend_many(
                [job.slot for job in jobs], [needs[job].tokens for job in jobs], n_logits
            )
        except BaseException as error:
            for job in jobs:
                self._end(job, None, error)
            return
        self.batch_sizes.append(len(jobs))
        for place, job in enumerate(jobs):
            self._advance(job, logits[place, n_logits - needs[job].n_logits :])

    def _step(self) -> None:
        """One pass for all jobs that need a single token, in the order of their slots."""
        tokens = {job: job.need.token for job in self._running if isinstance(job.need, Append)}
        if not tokens:
            return
        jobs = sorted(tokens, key=lambda job: job.slot)
        try:
            logits = self._runtime.step([job.slot for job in jobs], [tokens[job] for job in jobs])
        except BaseException as error:
            for job in jobs:
                self._end(job, None, error)
            return
        self.batch_sizes.append(len(jobs))
        for place, job in enumerate(jobs):
            self._advance(job, logits[place : place + 1])

    def _advance(self, job: _Job, logits: Logits | None) -> None:
        """Runs a job up to its next need, its completion, or its error; ``None`` starts it."""
        try:
            generation = job.generation
            job.need = next(generation) if logits is None else generation.send(logits)
        except StopIteration as end:
            self._end(job, end.value)
        except BaseException as error:
            self._end(job, None, error)

    def _end(
        self, job: _Job, completion: Completion | None, error: BaseException | None = None
    ) -> None:
        """Frees the slot, then tells the caller."""
        self._running.remove(job)
        heapq.heappush(self._free, job.slot)
        job.end(completion, error)


def _lm_error(error: BaseException | None) -> LMError:
    found = LMError(f"the LM failed: {type(error).__name__}: {error}")
    found.__cause__ = error
    return found
