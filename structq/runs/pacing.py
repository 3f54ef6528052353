"""How many calls an account takes at once, found while a run goes; knows no LM and no clock.

Additive increase and multiplicative decrease (D. Chiu and R. Jain, 1989), with what a rate limit
adds: the level at which calls were refused is remembered as a wall, below it growth is quick, and
past it the level is only tried, by steps that double while nothing is refused.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structq.engines.backends.servers.rates import Rate

__all__ = ["Pace", "PaceLimits"]

_FIRST = 12
_CUT, _DEEP_CUT = 0.95, 0.8
"""What is left of the level after a refusal, and after one that soon follows another."""
_ROUNDS_BEFORE_A_TRY = 2
_MOST_ROUNDS = 16
_FAILURES_OF_A_DOWN_SERVER = 3
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0


@dataclass(frozen=True, kw_only=True)
class PaceLimits:
    """What an account is known to take."""

    most: int
    """Calls in flight at most."""
    first: int | None = None
    """Calls in flight at the start; few, unless told otherwise."""
    per_minute: int | None = None
    """Calls started a minute."""
    tokens_per_minute: int | None = None
    """Tokens of prompts and answers a minute; a call that is in flight counts as the mean one."""


@dataclass(kw_only=True)
class _Budget:
    """What is left of a rate, as the server said last, without what was started since."""

    of_tokens: bool
    left: float
    until: float
    whole: bool = True
    """Whether all is there again by then; else it is tried, a call at a time."""

    def wait_s(self, now: float, need: float) -> float:
        """How long a call that needs so much must wait."""
        if now >= self.until:
            self.left = max(self.left, need) if not self.whole else float("inf")
            self.until = now + _LONGEST_WAIT_S
        return 0.0 if self.left >= need else self.until - now


@dataclass(kw_only=True)
class Pace:
    """One account: calls ask `may_start` and tell how they ended; times are in seconds."""

    limits: PaceLimits
    """What never is exceeded."""
    level: float = 0.0
    """Calls that may be in flight now."""
    in_flight: int = 0
    """Calls that are."""
    reason: str = "starting"
    """Why the level is what it is."""
    n_refused: int = 0
    """Calls that were refused for their rate."""
    down_since: float | None = None
    """When the server stopped answering; ``None`` while it answers."""
    s_down: float = 0.0
    """Time that the server did not answer, as far as it is over."""
    has_answered: bool = False
    """Whether any call was answered."""
    n_started: int = 0
    """Calls so far."""
    _budgets: dict[str, _Budget] = field(default_factory=dict)
    _n_answers: int = 0
    _wall: float | None = None
    _step: float = 1.0
    _rounds: float = _ROUNDS_BEFORE_A_TRY
    _quiet: int = 0
    _since_cut: float = float("inf")
    _cut_at: float = float("-inf")
    _not_before: float = 0.0
    _failures: int = 0
    _wait_s: float = _FIRST_WAIT_S
    _starts: deque[float] = field(default_factory=deque)
    _spent: deque[tuple[float, int]] = field(default_factory=deque)
    _mean_tokens: float = 0.0

    def __post_init__(self) -> None:
        self.level = float(min(self.limits.first or _FIRST, self.limits.most))

    def wait_s(self, now: float) -> float | None:
        """How long a call must wait: 0 for not at all, ``None`` until another call has ended."""
        if self.down_since is not None and self.in_flight:
            return None  # one call at a time finds out whether the server is back
        if self.in_flight >= int(self.level):
            return None
        return max(0.0, self._not_before - now, self._rate_wait_s(now))

    def start(self, now: float) -> int:
        """A call is sent; returns which it is."""
        self.in_flight += 1
        self.n_started += 1
        for budget in self._budgets.values():
            budget.left -= self._need(budget)
        if self.limits.per_minute:
            self._starts.append(now)
        return self.n_started

    def told(self, now: float, rate: Rate, *, call: int) -> None:
        """The server said what is left of one of its rates.

        Args:
            now: The time.
            rate: What it said.
            call: In answer to which; what was started after it is not counted there.
        """
        until = now + min(rate.reset_s, _LONGEST_WAIT_S)
        budget = self._budgets[rate.name] = _Budget(
            of_tokens=rate.of_tokens, left=rate.left, until=until,
            whole=rate.reset_s <= _LONGEST_WAIT_S,
        )  # fmt: skip
        budget.left -= (self.n_started - call) * self._need(budget)
        if budget.left < self._need(budget) and rate.reset_s >= 1:
            self.reason = f"the account has no {rate.name} left for {rate.reset_s:,.0f} s"

    def succeed(self, now: float, *, started: float, n_tokens: int = 0) -> None:
        """A call was answered, well or badly: the server took it."""
        if self.down_since is not None:
            self.s_down += now - self.down_since
            self.down_since = None
            self.reason = "the server is back"
        self.has_answered, self._failures, self._wait_s = True, 0, _FIRST_WAIT_S
        self._n_answers += 1
        self._since_cut += 1
        self._mean_tokens += (n_tokens - self._mean_tokens) / min(self._n_answers, 100)
        if self.limits.tokens_per_minute:
            self._spent.append((now, n_tokens))
        # Only a full window says anything about a wider one, and only calls since the last cut.
        if self.in_flight >= int(self.level) and started >= self._cut_at:
            self._grow()
        self.in_flight -= 1

    def refuse(self, now: float, *, started: float, retry_after_s: float = 0.0) -> None:
        """A call was refused for its rate."""
        self.n_refused += 1
        self._failures = 0
        if started >= self._cut_at:  # one cut an episode, however many were refused in it
            self._cut(now)
        if retry_after_s > _LONG_S:  # a short one is that call's own affair
            self._not_before = max(self._not_before, now + min(retry_after_s, _LONGEST_WAIT_S))
        self.in_flight -= 1

    def fail(self, now: float, *, answered: bool) -> None:
        """A call failed at the server or on the way.

        Args:
            now: The time.
            answered: Whether the server said anything at all, such as a status of 500.
        """
        self.in_flight -= 1
        self._quiet = 0
        self._failures += 1
        if self._failures < _FAILURES_OF_A_DOWN_SERVER and not (self.down_since is not None):
            return
        if answered and self.in_flight:
            return  # others are still at work
        if self.down_since is None:
            self.down_since = now
        self._not_before = now + self._wait_s
        self.reason = f"the server does not answer; next try in {self._wait_s:.0f} s"
        self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)

    def give_up(self) -> None:
        """A call was cancelled."""
        self.in_flight -= 1

    def _grow(self) -> None:
        if self._wall is None or int(self.level) < int(self._wall):
            # Below what was taken before: doubles in the time of a call, as each answer adds one.
            self._to(min(self.level + 1, self._wall or math.inf), "growing")
            return
        self._quiet += 1
        if self._quiet < self._rounds * self.level:
            return
        self._quiet = 0
        if self._step > 1:  # a try went well: what was learned before is out of date
            self._rounds = _ROUNDS_BEFORE_A_TRY
        self._to(self.level + self._step, "trying more")
        self._wall = self.level
        self._step *= 2

    def _cut(self, now: float) -> None:
        tried = self._step > 1
        self._wall = max(1.0, self.in_flight - 1.0)
        if tried:  # it was the try that was refused: wait longer before the next
            self._rounds = min(2 * self._rounds, _MOST_ROUNDS)
        self._step, self._quiet, self._cut_at = 1.0, 0, now
        # One refusal may be chance; another before each call has had two answers is none.
        left = _DEEP_CUT if self._since_cut < 2 * self.level else _CUT
        self._since_cut = 0
        self._to(max(1.0, left * min(self.level, self.in_flight)), "calls were refused")

    def _to(self, level: float, reason: str) -> None:
        if level >= self.limits.most:
            level, reason = float(self.limits.most), "the most that is allowed"
        self.level, self.reason = level, reason

    def _rate_wait_s(self, now: float) -> float:
        told = [budget.wait_s(now, self._need(budget)) for budget in self._budgets.values()]
        known = _wait_for(self._starts, self.limits.per_minute, now)
        return max(known, self._token_wait_s(now), *told)

    def _need(self, budget: _Budget) -> float:
        """What one call takes of it."""
        return max(1.0, self._mean_tokens) if budget.of_tokens else 1.0

    def _token_wait_s(self, now: float) -> float:
        limit = self.limits.tokens_per_minute
        if not limit:
            return 0.0
        while self._spent and self._spent[0][0] <= now - 60:
            self._spent.popleft()
        spent = sum(n for _, n in self._spent) + (self.in_flight + 1) * self._mean_tokens
        return 0.0 if spent <= limit or not self._spent else self._spent[0][0] + 60 - now


_LONG_S = 5.0


def _wait_for(starts: deque[float], per_minute: int | None, now: float) -> float:
    if not per_minute:
        return 0.0
    while starts and starts[0] <= now - 60:
        starts.popleft()
    return 0.0 if len(starts) < per_minute else starts[0] + 60 - now
