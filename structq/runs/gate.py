"""Every LM call of a run goes through here: at the pace of its account, and again where that helps.

Knows LM errors by their class; knows nothing of modules, rows and files.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from structq.engines.backends.servers.rates import ON_RATES, Rate
from structq.errors import LMError, is_fatal
from structq.runs.pacing import Pace, PaceLimits

__all__ = ["Counts", "Gate", "GateSettings"]

Result = TypeVar("Result")

_FATAL_STATUS = (401, 403, 404)
_FATALS_IN_A_ROW = 3
_PIECE_S = 0.5


@dataclass(frozen=True, kw_only=True)
class GateSettings:
    """How calls are sent."""

    limits: PaceLimits
    """What every account takes at most."""
    deadline_s: float = 600.0
    """How long a row's calls are sent again; the time that a server is down does not count."""
    longest_wait_s: float = 120.0
    """Most that a server may ask a call to wait (Retry-After); more than that fails its row."""
    max_calls: int | None = None
    """Calls after which the run stops."""
    max_cost: float | None = None
    """Cost in US dollars after which the run stops."""
    priced: bool = False
    """Whether the cost is counted: the table of prices takes a second to load."""


class Counts(NamedTuple):
    """What went through a gate."""

    n_calls: int
    n_refused: int
    cost: float
    ended_by: str | None


@dataclass(kw_only=True)
class _Account:
    pace: Pace
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    n_fatal: int = 0
    """Calls in a row that no other call can do better than."""


class Gate:
    """Paces the calls of a run; lives on one event loop.

    Args:
        settings: See there.

    Attributes:
        n_calls: Calls that were sent, those that failed included.
        n_refused: Calls that were refused for their rate.
        cost: US dollars, as far as `spend` was told.
        ended_by: Why the run has to end: an error that every row would meet, or a limit.
        over_limit: Whether it was a limit.
    """

    def __init__(self, settings: GateSettings) -> None:
        self.settings = settings
        self.n_calls = self.n_refused = 0
        self.cost = 0.0
        self.ended_by: str | None = None
        self.over_limit = False
        self.on_change: Callable[[], None] = lambda: None
        """Called whenever more or fewer calls may be in flight than before."""
        self._stopped = False
        self._accounts: dict[Hashable, _Account] = {}

    @property
    def priced(self) -> bool:
        """Whether the cost of calls is counted."""
        return self.settings.priced or self.settings.max_cost is not None

    def stop(self) -> None:
        """No call is sent any more: whoever asks for one is cancelled."""
        self._stopped = True
        for account in self._accounts.values():
            self._wake(account, len(account.waiting))
        self.on_change()

    @property
    def room(self) -> int:
        """Rows that may be worked on at once, so that no account waits for rows."""
        levels = [int(a.pace.level) for a in self._accounts.values()]
        level = max(levels, default=int(Pace(limits=self.settings.limits).level))
        return level + max(2, level // 8)

    @property
    def status(self) -> list[tuple[Hashable, Pace]]:
        """The pace of each account."""
        return [(key, account.pace) for key, account in self._accounts.items()]

    @property
    def counts(self) -> Counts:
        """What went through."""
        return Counts(self.n_calls, self.n_refused, self.cost, self.ended_by)

    def add(self, other: Counts) -> None:
        """Counts what went through another gate, and ends as that one did."""
        self.n_calls += other.n_calls
        self.n_refused += other.n_refused
        self.cost += other.cost
        if other.ended_by is not None:
            self._end(other.ended_by)

    def spend(self, dollars: float) -> None:
        """Counts the cost of a call."""
        self.cost += dollars
        if self.settings.max_cost is not None and self.cost >= self.settings.max_cost:
            self._end(f"the limit of {self.settings.max_cost:g} dollars is reached", limit=True)

    async def call(
        self,
        key: Hashable,
        send: Callable[[], Awaitable[Result]],
        *,
        row: RowClock,
        n_tokens: Callable[[Result], int] = lambda _: 0,
    ) -> Result:
        """What ``send`` returns, asked for as often as its failures are of a kind that passes.

        Args:
            key: Of the account.
            send: One call to the LM.
            row: When the row began.
            n_tokens: Tokens of a call, from its result.

        Raises:
            LMError: The LM cannot answer this call, or not before the row's deadline.
            asyncio.CancelledError: The run was stopped.
        """
        account = self._accounts.setdefault(key, _Account(pace=Pace(limits=self.settings.limits)))
        for attempt in range(1_000_000):
            await self._enter(account)
            started = time.monotonic()
            listen = _listener(account.pace, account.pace.start(started))
            self._count()
            try:
                result = await _heard(send, listen)
            except LMError as error:
                wait_s = self._failed(account, error, started, attempt, row)
                await self._pause(wait_s)
            except asyncio.CancelledError:
                account.pace.give_up()
                self._changed(account)
                raise
            except Exception:  # an answer that cannot be used is an answer
                self._succeeded(account, started, 0)
                raise
            else:
                self._succeeded(account, started, n_tokens(result))
                return result
        raise AssertionError

    def _count(self) -> None:
        self.n_calls += 1
        if self.settings.max_calls is not None and self.n_calls >= self.settings.max_calls:
            self._end(f"the limit of {self.settings.max_calls:,} calls is reached", limit=True)

    def _end(self, reason: str, *, limit: bool = False) -> None:
        if self.ended_by is None:
            self.ended_by, self.over_limit = reason, limit
        self.stop()

    async def _enter(self, account: _Account) -> None:
        """Waits until the account takes another call."""
        first = True
        while not self._stopped:
            wait_s = account.pace.wait_s(time.monotonic())
            if wait_s == 0 and not (first and account.waiting):
                return
            first = False
            if wait_s:  # in pieces: another answer may say that there is more
                await self._pause(min(wait_s, _PIECE_S))
                continue
            turn = asyncio.get_running_loop().create_future()
            account.waiting.append(turn)
            await turn
        raise asyncio.CancelledError("the run was stopped")

    async def _pause(self, wait_s: float) -> None:
        # In pieces, so that a run that is stopped does not wait for the end of a long pause.
        end = time.monotonic() + wait_s
        while not self._stopped and (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _PIECE_S))

    def _succeeded(self, account: _Account, started: float, n_tokens: int) -> None:
        account.n_fatal = 0
        account.pace.succeed(time.monotonic(), started=started, n_tokens=n_tokens)
        self._changed(account)

    def _failed(
        self, account: _Account, error: LMError, started: float, attempt: int, row: RowClock
    ) -> float:
        """How long to wait before the call is sent again; raises where that cannot help."""
        now, pace = time.monotonic(), account.pace
        kind = _kind(error)
        if kind == "fatal":
            pace.give_up()
            self._fatal(account, error)
            raise error
        if kind == "row":
            account.n_fatal = 0
            pace.succeed(now, started=started)
            self._changed(account)
            raise error
        asked = float(getattr(error, "retry_after", None) or 0.0)
        too_long = asked > self.settings.longest_wait_s  # this row's affair: the others go on
        if kind == "rate":
            self.n_refused += 1
            pace.refuse(now, started=started, retry_after_s=0.0 if too_long else asked)
        else:
            pace.fail(now, answered=kind == "server")
        self._changed(account)
        if too_long:
            error.args = (
                f"{error} (it asks to wait {asked:,.0f} s, and at most "
                f"{self.settings.longest_wait_s:,.0f} s are waited)",
            )
            raise error
        backoff_s = min(0.5 * 2.0 ** min(attempt, 6), 30.0)
        wait_s: float = max(asked, backoff_s) * random.uniform(1.0, 1.25)
        if not pace.has_answered and attempt >= _FATALS_IN_A_ROW and kind == "transport":
            self._end(str(error))  # nothing was ever there
            raise error
        if row.age_s(now, pace) + wait_s > self.settings.deadline_s:
            error.args = (f"{error} (given up after {row.age_s(now, pace):,.0f} s)",)
            raise error
        return wait_s

    def _fatal(self, account: _Account, error: LMError) -> None:
        account.n_fatal += 1
        alone = not account.pace.has_answered and not account.pace.in_flight
        if alone or account.n_fatal >= _FATALS_IN_A_ROW:
            self._end(f"every row would fail: {error}")
        self._changed(account)

    def _changed(self, account: _Account) -> None:
        pace = account.pace
        if free := max(0, int(pace.level) - pace.in_flight):
            self._wake(account, free)
        self.on_change()

    def _wake(self, account: _Account, n: int) -> None:
        while n > 0 and account.waiting:
            turn = account.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                n -= 1


@dataclass(kw_only=True)
class RowClock:
    """How long a row's calls have been sent again, without the time that its server was down."""

    started: float | None = None
    """Its first failure, on the monotonic clock, in seconds: waiting for a turn is no failure."""
    s_down_before: float | None = None
    """What the server had been down before the row's first failure."""

    def age_s(self, now: float, pace: Pace) -> float:
        """Seconds that count against the deadline."""
        down = pace.s_down + (now - pace.down_since if pace.down_since is not None else 0.0)
        if self.started is None:
            self.started = now
        if self.s_down_before is None:
            self.s_down_before = down
        return now - self.started - (down - self.s_down_before)


def _listener(pace: Pace, call: int) -> Callable[[Iterable[Rate]], None]:
    """Tells the pace what an answer to a call says of its account."""

    def listen(rates: Iterable[Rate]) -> None:
        now = time.monotonic()
        for rate in rates:
            pace.told(now, rate, call=call)

    return listen


async def _heard(
    send: Callable[[], Awaitable[Result]], listen: Callable[[Iterable[Rate]], None]
) -> Result:
    token = ON_RATES.set(listen)
    try:
        return await send()
    finally:
        ON_RATES.reset(token)


def _kind(error: LMError) -> str:
    """``rate``, ``server``, ``transport``, ``fatal``, or ``row`` where asking again is no use."""
    from dspy.utils import exceptions as dspy_errors

    if is_fatal(error) or getattr(error, "status", None) in _FATAL_STATUS:
        return "fatal"
    cause: Any = error.__cause__ or error
    for kind, classes in (
        ("fatal", (dspy_errors.LMAuthError, dspy_errors.LMBillingError,
                   dspy_errors.LMUnsupportedModelError, dspy_errors.LMConfigurationError)),
        ("rate", (dspy_errors.LMRateLimitError,)),
        ("server", (dspy_errors.LMServerError, dspy_errors.LMTimeoutError)),
        ("transport", (dspy_errors.LMTransportError,)),
    ):  # fmt: skip
        if isinstance(error, classes) or isinstance(cause, classes):
            return kind
    return "row"
