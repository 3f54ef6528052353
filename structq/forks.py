"""What a forked child must make anew: it inherits neither threads nor who would free a lock."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Protocol
from weakref import WeakSet

__all__ = ["Lock", "renew_in_children"]


class Renewable(Protocol):
    """What has to know that its process is a new one."""

    def after_fork(self) -> None:
        """Called in the child, before anything else runs there."""


_KNOWN: WeakSet[Renewable] = WeakSet()


def renew_in_children(thing: Renewable) -> None:
    """Has ``thing.after_fork()`` called in every forked child, as long as the thing lives."""
    _KNOWN.add(thing)


class Lock:
    """A lock that is free in a forked child, whoever held it in the parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        renew_in_children(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        """A free lock in place of one that nobody might release."""
        self._lock = threading.Lock()


def _renew() -> None:
    for thing in list(_KNOWN):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew)
