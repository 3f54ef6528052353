"""What went wrong at a server, as one sentence and one of DSPy's errors."""

from __future__ import annotations

import email.utils
import html
import math
import re
import time
from collections.abc import Mapping
from typing import Any

import orjson
from dspy import lm15

__all__ = ["fault_of", "fault_within", "masked", "retries", "retry_after_s", "window_fault"]

_HEAD = 400
_WORDS = ("message", "msg", "detail", "error_description", "reason", "title", "error", "errors")


def fault_of(status: int, body: bytes, *, retry_after: float | None = None) -> lm15.LM15Error:
    """The error of an answer whose status is not 200."""
    said = _said(body) or "no reason given"
    return _error(status, f"{status}: {said}", retry_after)


def fault_within(answer: Any) -> lm15.LM15Error | None:
    """The error that stands in an answer with status 200; ``None`` where it is none.

    Servers and proxies answer so where they began to answer before they knew.
    """
    if not isinstance(answer, Mapping):
        return None
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    found = answer.get("error")
    if not found and isinstance(choice, Mapping):
        found = choice.get("error")
    if not found and choice is None and answer.get("object") == "error":
        found = answer
    if not found and choice is None and "message" not in answer and answer.get("detail"):
        found = answer["detail"]
    if not found:
        return None
    return _error(_status_in(found), _sentence(found), None)


def retries(error: lm15.LM15Error) -> bool:
    """Whether the same request may be answered a moment later."""
    kinds = lm15.RateLimitError, lm15.ServerError, lm15.TimeoutError, lm15.TransportError
    return isinstance(error, kinds)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the server asks to wait, in seconds; a date counts from now."""
    said = headers.get("retry-after-ms")
    scale = 1000.0 if said is not None else 1.0
    said = headers.get("retry-after") if said is None else said
    if said is None:
        return None
    try:
        seconds = float(said) / scale
    except ValueError:
        date = email.utils.parsedate_tz(said)
        seconds = email.utils.mktime_tz(date) - time.time() if date else math.nan
    return max(0.0, seconds) if math.isfinite(seconds) else None


def masked(text: str, key: str | None) -> str:
    """The text without the key, in the forms in which servers repeat it."""
    if key and len(key) >= _SHORTEST_KEY:
        text = text.replace(key, "***")
        if len(key) > 12:  # and as some shorten it themselves
            text = re.sub(re.escape(key[:6]) + r"[*.]{2,}\S*", "***", text)
    return _BEARER.sub(r"\1***", text)


_SHORTEST_KEY = 6
_BEARER = re.compile(
    r"""((?:bearer|basic|api[-_ ]?key|x-api-key|authorization)["']?\s*[:=]?\s*["']?)"""
    r"""(?!(?:provided|is|was|not|for|in|of|and|or|the|bearer|basic)\b)[A-Za-z0-9_\-.~+/=]{8,}""",
    re.IGNORECASE,
)


def _error(status: int, said: str, retry_after: float | None) -> lm15.LM15Error:
    facts: dict[str, Any] = {"status": status}
    if window_fault(said):
        return lm15.ContextLengthError(said, **facts)
    if status in (401, 403):
        return lm15.AuthError(said, **facts)
    if status == 402:
        return lm15.BillingError(said, **facts)
    if status == 404:
        return lm15.UnsupportedModelError(said, **facts)
    if status == 429:
        return lm15.RateLimitError(said, retry_after=retry_after, **facts)
    if status in (408, 504):
        return lm15.TimeoutError(said, retry_after=retry_after, **facts)
    if status >= 500 or status in (409, 425):
        return lm15.ServerError(said, retry_after=retry_after, **facts)
    return lm15.InvalidRequestError(said, **facts)


def _status_in(found: Any) -> int:
    """The status that an error inside an answer names; 503 where it names none."""
    if isinstance(found, Mapping):
        for name in ("status", "status_code", "code", "http_status"):
            value = found.get(name)
            if isinstance(value, str) and value.isdecimal():
                value = int(value)
            if isinstance(value, int) and 400 <= value <= 599:
                return value
        kind = str(found.get("type") or found.get("code") or "").lower()
        for word, status in (("invalid", 400), ("auth", 401), ("permission", 403), ("rate", 429)):
            if word in kind:
                return status
    return 503


def _said(body: bytes) -> str:
    """The reason in a body: of JSON the words for people, of a page its text."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _plain(body.decode("utf8", "replace"))
    return _sentence(value)


def _sentence(value: Any) -> str:
    text = _words(value, depth=0) or orjson.dumps(value).decode("utf8", "replace")
    return _short(text)


def _words(value: Any, *, depth: int) -> str:
    if isinstance(value, str):
        return value
    if depth > 6:
        return ""
    if isinstance(value, list):
        return "; ".join(filter(None, (_words(item, depth=depth + 1) for item in value[:5])))
    if isinstance(value, Mapping):
        for name in _WORDS:
            if found := _words(value.get(name), depth=depth + 1):
                place = value.get("loc") or value.get("param")
                at = ".".join(map(str, place)) if isinstance(place, list) else place
                return f"{found} ({at})" if at and str(at) not in found else found
    return ""


def _plain(page: str) -> str:
    title = re.search(r"<title[^>]*>(.*?)</title>", page, re.IGNORECASE | re.DOTALL)
    text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", page)
    return _short(html.unescape(title[1] if title else text))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _HEAD else f"{line[:_HEAD]}..."


_ABOUT_WINDOW = re.compile(
    r"context|window|too long|longer than|model length|input length|n_ctx|n_keep|"
    r"max_new_tokens|less than \d+ tokens|at most \d+ fit",
    re.IGNORECASE,
)
_ABOUT_RATE = re.compile(r"rate limit|per (?:minute|day|hour)|\bTPM\b|quota", re.IGNORECASE)
_STATUS = re.compile(r"^\d{3}: ")
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]{0,12}(?![\w])")
_OF_LIMIT = re.compile(
    r"(?:context|window|max(?:imum)?|limit|n_ctx|<=|at most|only|available|length of)\D{0,60}?"
    r"(?<![\w.])(\d[\d,]{0,12})(?![\w])",
    re.IGNORECASE,
)


def window_fault(said: str) -> tuple[int, int] | None:
    """Tokens of the prompt and tokens that fit, where a server says that it is too long.

    Every server has words of its own, and all name both numbers: what fits stands behind a word
    such as *context* or *maximum*, and what was asked is the largest beside it.
    """
    said = _STATUS.sub("", said)
    if not _ABOUT_WINDOW.search(said) or _ABOUT_RATE.search(said):
        return None
    numbers = {_value(found) for found in _NUMBER.findall(said)}
    limits = [_value(found) for found in _OF_LIMIT.findall(said)]
    n_tokens = max(numbers, default=0)
    fitting = [limit for limit in limits if 0 < limit < n_tokens] or [
        number for number in numbers if len(numbers) == 2 and 0 < number < n_tokens
    ]
    return (n_tokens, max(fitting)) if fitting else None


def _value(digits: str) -> int:
    return int(digits.replace(",", ""))
