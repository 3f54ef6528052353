"""A budget of LM calls that is never passed: every call goes through a gate that counts it.

``dspy.LM`` repeats a request by itself when a server fails. Behind the gate those repetitions are
made here, where they are counted and can be refused. Whoever is about to make calls opens a tab
and reserves the most that it may make, so that what is begun can be ended.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.utils.exceptions import LMError as DSPyLMError
from dspy.utils.exceptions import is_retryable_lm_error

from structq.errors import BudgetExceededError, InputError, shorten

__all__ = ["Budget", "Gate", "Tab", "gate_of"]

Gate = Callable[[dspy.BaseLM], dspy.BaseLM]
"""From an LM to the same LM, whose calls are counted."""


@dataclass(kw_only=True)
class Budget:
    """Counts calls against a limit; reserved and made calls together never exceed it.

    Raises:
        InputError: The limit is not an integer of at least 1.
    """

    limit: int
    """Most calls."""
    spent: int = 0
    """Calls that were made."""
    reserved: int = 0
    """Calls that may still be made by what is under way."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1:
            raise InputError(
                f"max_lm_calls: must be an integer of at least 1, found {shorten(self.limit)}",
                field="max_lm_calls",
            )

    def __deepcopy__(self, memo: dict[int, Any]) -> Budget:
        return self  # a program may be copied; there is one budget

    @property
    def left(self) -> int:
        """Calls that nobody has made or reserved."""
        return self.limit - self.spent - self.reserved

    def reserve(self, n: int) -> bool:
        """Whether so many calls may be made; if so, they are reserved."""
        with self._lock:
            if n > self.left:
                return False
            self.reserved += n
            return True

    def settle(self, n_reserved: int, n_made: int) -> None:
        """Gives back a reservation of which so many calls were made.

        Raises:
            BudgetExceededError: More were made than the budget allows: a fault of what made them.
        """
        with self._lock:
            self.reserved -= n_reserved
            self.spent += n_made
            if self.spent + self.reserved > self.limit:
                raise BudgetExceededError(
                    f"{self.spent} LM calls were made (at most {self.limit} are allowed)"
                )


class Tab:
    """What one piece of work may call and has called.

    Args:
        budget: Where it is reserved and settled.
    """

    def __init__(self, budget: Budget) -> None:
        self.n_made = 0
        self._budget, self._reserved = budget, 0

    def reserve(self, n: int) -> bool:
        """Whether so many more calls may be made."""
        granted = self._budget.reserve(n)
        self._reserved += n if granted else 0
        return granted

    def pay(self) -> None:
        """Counts one call that is about to be made.

        Raises:
            BudgetExceededError: There is none left.
        """
        if self.n_made >= self._reserved and not self.reserve(1):
            raise BudgetExceededError(f"all {self._budget.limit} LM calls are spent")
        self.n_made += 1

    @contextmanager
    def open(self) -> Iterator[None]:
        """Calls in here are on this tab, which is settled at the end."""
        token = _TAB.set(self)
        try:
            yield
        finally:
            _TAB.reset(token)
            self._budget.settle(self._reserved, self.n_made)
            self._reserved = 0


_TAB: ContextVar[Tab | None] = ContextVar("tab", default=None)


def gate_of(budget: Budget) -> Gate:
    """Wraps LMs, each once: their calls go on the tab that is open, or on one of their own."""
    known: dict[int, tuple[dspy.BaseLM, dspy.BaseLM]] = {}

    def gate(lm: dspy.BaseLM) -> dspy.BaseLM:
        if id(lm) not in known:
            n_retries = int(getattr(lm, "num_retries", 0) or 0)
            twin: Any = copy.copy(lm)
            twin.num_retries, twin.history = 0, []
            twin.__class__ = _gated(twin.__class__)
            twin.counted = budget, n_retries
            known[id(lm)] = lm, twin
        return known[id(lm)][1]

    return gate


class _Gated:
    """What a gated LM does in place of its class; it stands before that in the bases."""

    counted: tuple[Budget, int]

    def __call__(self, *args: Any, **options: Any) -> Any:
        for n_failed in range(self.counted[1] + 1):
            with self._paid():
                try:
                    return super().__call__(*args, **options)  # type: ignore[misc]
                except DSPyLMError as error:
                    wait = self._wait(error, n_failed)
            time.sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    async def acall(self, *args: Any, **options: Any) -> Any:
        for n_failed in range(self.counted[1] + 1):
            with self._paid():
                try:
                    return await super().acall(*args, **options)  # type: ignore[misc]
                except DSPyLMError as error:
                    wait = self._wait(error, n_failed)
            await asyncio.sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    @contextmanager
    def _paid(self) -> Iterator[None]:
        if (tab := _TAB.get()) is not None:
            tab.pay()
            yield
            return
        own = Tab(self.counted[0])
        with own.open():
            own.pay()
            yield

    def _wait(self, error: DSPyLMError, n_failed: int) -> float:
        """As long as the server asks for, else one second, two, four, ...; or no more of it."""
        tab = _TAB.get()
        spent = self.counted[0].left < 1 and (tab is None or tab.n_made >= tab._reserved)
        if n_failed >= self.counted[1] or spent or not is_retryable_lm_error(error):
            raise error
        wait = getattr(error, "retry_after", None)
        return 2.0**n_failed if wait is None else float(wait)


@functools.cache
def _gated(kind: Any) -> Any:
    return type(kind.__name__, (_Gated, kind), {"__module__": kind.__module__})
