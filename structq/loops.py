"""Event loops of this package's own, in threads: for callers that are not async, and for sockets.

One loop serves all callers of a process, so that connections to a server outlive one batch of rows.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from structq.forks import Lock

__all__ = ["is_ours", "loop_of_caller"]

_LOCK = Lock()
_LOOPS: dict[tuple[int, int], asyncio.AbstractEventLoop] = {}


def loop_of_caller() -> asyncio.AbstractEventLoop:
    """The loop that serves this caller, in a thread of its own.

    Only a caller that runs on it itself gets the next one: waiting for one's own loop would never
    end.
    """
    running = _running()
    pid = os.getpid()  # a fork does not inherit the threads of its parent
    with _LOCK:
        level = next((level + 1 for (_, level), loop in _LOOPS.items() if loop is running), 0)
        if (pid, level) not in _LOOPS:
            _LOOPS[pid, level] = _start_loop()
        return _LOOPS[pid, level]


def is_ours(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the loop is one of these, and so outlives its callers."""
    return loop in _LOOPS.values()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _start_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    # Engines without an async twin wait in these threads, one a call in flight.
    loop.set_default_executor(ThreadPoolExecutor(64, thread_name_prefix="structq-call"))
    threading.Thread(target=loop.run_forever, name="structq-loop", daemon=True).start()
    return loop
