"""What a server says in its headers of an account: what is left of each rate, and until when."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

__all__ = ["ON_RATES", "Rate", "rates_of"]


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One rate of an account."""

    name: str
    """Of what, and maybe of which span: ``requests``, ``input-tokens``, ``requests-day``."""
    left: float
    """Requests or tokens that it still has."""
    reset_s: float
    """Seconds until it is whole again."""

    @property
    def of_tokens(self) -> bool:
        """Whether tokens are counted, and not requests."""
        return "token" in self.name


ON_RATES: ContextVar[Callable[[Iterable[Rate]], None] | None] = ContextVar(
    "structq-rates", default=None
)
"""Called with the rates in each answer to the call that is made in this context."""

_MARK = re.compile(r"rate-?limit-?")
_STEP = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_UNITS = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0,
}  # fmt: skip
_FIRST_DATE_S, _FIRST_DATE_MS = 1e9, 1e12
_LONGEST_S = 31 * 86400.0
"""No rate is longer than a month: more is a mistake."""


def rates_of(headers: Mapping[str, str]) -> list[Rate]:
    """The rates that both say what is left and when they are whole again.

    ``x-ratelimit-remaining-requests`` as OpenAI says it, ``anthropic-ratelimit-tokens-remaining``
    as Anthropic does, with whatever a proxy put in front, and the plain ``ratelimit-remaining``. A
    value that cannot be meant is as if it was not there.
    """
    found: dict[str, dict[str, str]] = {}
    for name, value in headers.items():
        lower = name.lower()
        if (mark := _MARK.search(lower)) is None:
            continue
        words = lower[mark.end() :].split("-")
        for measure in ("remaining", "reset"):
            if measure in words:
                words.remove(measure)
                found.setdefault("-".join(words) or "requests", {})[measure] = value.strip()
    rates = []
    for name, told in found.items():
        left, reset_s = _amount(told.get("remaining", "")), _seconds(told.get("reset", ""))
        if left is not None and reset_s is not None:
            rates.append(Rate(name=name, left=left, reset_s=reset_s))
    return rates


def _amount(text: str) -> float | None:
    try:
        amount = float(text)
    except ValueError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def _seconds(text: str) -> float | None:
    """From now: of ``6m0s``, ``20ms``, ``1.5``, a date, or the seconds since 1970."""
    if (number := _amount(text)) is not None:
        if number >= _FIRST_DATE_S:
            number = number / (1000 if number >= _FIRST_DATE_MS else 1) - time.time()
        seconds: float | None = number
    elif text and not _STEP.sub("", text):
        seconds = sum(float(n) * _UNITS[unit] for n, unit in _STEP.findall(text))
    else:
        seconds = _until(text)
    return max(0.0, seconds) if seconds is not None and seconds <= _LONGEST_S else None


def _until(text: str) -> float | None:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        parsed = email.utils.parsedate_tz(text)
        try:
            return email.utils.mktime_tz(parsed) - time.time() if parsed else None
        except (OverflowError, ValueError):
            return None
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return (date - datetime.now(UTC)).total_seconds()
