"""Things of which a process opens one for each key; knows nothing of LMs."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Generic, TypeVar

from structq.forks import Lock

__all__ = ["Shared"]

Key = TypeVar("Key")
Value = TypeVar("Value")


class Shared(Generic[Key, Value]):
    """What is open, by key; safe to use from any thread.

    Callers of one key wait for one opening; those of another do not. What fails to open is not
    kept: the next caller tries again.

    Args:
        kept: Where the open things are held.
        is_open: Whether one is still of use.
    """

    def __init__(
        self,
        kept: MutableMapping[Key, Value] | None = None,
        *,
        is_open: Callable[[Value], bool] = lambda _: True,
    ) -> None:
        self._kept: MutableMapping[Key, Value] = {} if kept is None else kept
        self._is_open = is_open
        self._lock = Lock()
        self._locks: dict[Key, Lock] = {}

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """What is open under the key, opened by ``make`` where nothing is."""
        with self._lock:
            lock = self._locks.setdefault(key, Lock())
        with lock:
            found = self._kept.get(key)
            if found is None or not self._is_open(found):
                found = self._kept[key] = make()
            return found
