"""A sliding window over rows: many in flight, results in order, no barrier between steps."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
)
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, TypeVar

from structq.loops import loop_of_caller

__all__ = ["run_async", "run_stream", "stream"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4


async def stream(
    work: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, n_in_flight: int
) -> AsyncGenerator[Result, None]:
    """The result of ``work`` for each item, in the order of the items.

    A slow item holds back the results behind it, not the work: up to ``n_in_flight`` items are
    worked on, and up to four times as many are read ahead, so that memory is bounded however many
    items there are.

    Args:
        work: Called once an item; an error it raises ends the stream.
        items: Read lazily.
        n_in_flight: Most items that are worked on at once.
    """
    gate = asyncio.Semaphore(n_in_flight)
    tasks: deque[asyncio.Task[Result]] = deque()

    async def run(item: Item) -> Result:
        async with gate:
            return await work(item)

    try:
        for item in items:
            tasks.append(asyncio.create_task(run(item)))
            while tasks and (tasks[0].done() or len(tasks) >= _AHEAD * n_in_flight):
                yield await tasks.popleft()
        while tasks:
            yield await tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def run_stream(
    work: Callable[[Item], Awaitable[Result]], items: Iterable[Item], *, n_in_flight: int
) -> Iterator[Result]:
    """As ``stream``, for callers that are not async, whether or not a loop runs (a notebook).

    Work goes on between two results. Closing the iterator cancels what is in flight.
    """
    loop = loop_of_caller()
    results = stream(work, items, n_in_flight=n_in_flight)
    try:
        while True:
            try:
                result = _run(_next(results), loop)
            except StopAsyncIteration:
                return
            yield result
    finally:
        # An iterator that is dropped as Python ends finds no thread left to close it.
        if not sys.is_finalizing():
            _run(_close(results), loop)


def run_async(
    coroutine: Coroutine[Any, Any, Result],
    *,
    on_interrupt: Callable[[], None] = lambda: None,
    on_wait: Callable[[], None] = lambda: None,
    wait_s: float = 0.2,
) -> Result:
    """The result of a coroutine, for callers that are not async, whether or not a loop runs.

    Args:
        coroutine: Runs on a loop of this module, with the caller's context.
        on_interrupt: Called at a ``KeyboardInterrupt`` of the caller, to make the coroutine end
            soon. It is waited for, and then the interrupt goes on; a second one cancels it.
        on_wait: Called now and then while the caller waits.
        wait_s: Time between two calls of ``on_wait``, in seconds.
    """
    loop, future = loop_of_caller(), Future[Result]()
    tasks: list[asyncio.Task[Result]] = []

    def start() -> None:
        tasks.append(loop.create_task(coroutine))
        tasks[0].add_done_callback(partial(_hand_on, future))

    def never() -> None:  # runs behind `start`, if that was scheduled before the interrupt came
        if not tasks:
            coroutine.close()
            _give_up(future)

    try:
        try:
            loop.call_soon_threadsafe(start)
            while not wait((future,), wait_s).done:
                on_wait()
        except KeyboardInterrupt:
            on_interrupt()
            loop.call_soon_threadsafe(never)
            wait((future,))
            raise
        return future.result()
    except BaseException:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        raise


def _give_up(future: Future[Result]) -> None:
    future.cancel()
    future.set_running_or_notify_cancel()  # cancelling alone wakes nobody who waits


def _hand_on(future: Future[Result], task: asyncio.Task[Result]) -> None:
    if task.cancelled():
        _give_up(future)
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


async def _next(results: AsyncIterator[Result]) -> Result:
    return await results.__anext__()


async def _close(results: AsyncGenerator[Any, None]) -> None:
    # The step that an interrupt cancelled may still be on its way out.
    while results.ag_running:  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    await results.aclose()


def _run(coroutine: Coroutine[Any, Any, Result], loop: asyncio.AbstractEventLoop) -> Result:
    """The result of a coroutine that runs on a loop of this module, with the caller's context."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    except BaseException:  # an interrupt of the caller must not leave the coroutine running
        future.cancel()
        raise
