"""One pooled client for all servers: bodies in, bodies out, within limits of time and size."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import random
import sys
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspy import lm15

from structq.engines.backends.servers.faults import fault_of, masked, retries, retry_after_s
from structq.engines.backends.servers.rates import ON_RATES, rates_of
from structq.loops import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import aiohttp

__all__ = ["Limits", "Outcome", "get", "post"]

_LOG = logging.getLogger("structq")
_TOLD_FROM_S = 5.0
_FIRST_WAIT_S, _LONGEST_BACKOFF_S = 0.5, 20.0
_CHUNK = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long and how often a server is asked, and how much it may say."""

    timeout_s: float = 300.0
    """Seconds of one attempt, from the first byte sent to the last one read."""
    deadline_s: float = 900.0
    """Seconds of a call, with all its attempts and the waits between them."""
    max_retry_after_s: float = 60.0
    """Most that a server may ask to wait between two attempts."""
    n_retries: int = 3
    """Attempts after the first one."""
    max_bytes: int = 16 << 20
    """Most that an answer may hold, unpacked."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came back."""

    value: Any
    """What the reader made of the answer."""
    n_requests: int
    """Requests that it took."""


async def post(
    url: str,
    body: bytes,
    *,
    key: str | None,
    headers: Mapping[str, str],
    limits: Limits,
    read: Callable[[bytes], Any],
    name: str,
) -> Outcome:
    """What ``read`` makes of the first answer that can be read.

    Args:
        url: Where to.
        body: JSON.
        key: Sent as a bearer token.
        headers: Sent beside it.
        limits: See there.
        read: From the bytes of an answer with status 200; raises one of DSPy's errors where they
            are no answer.
        name: Of the LM, for the log.

    Raises:
        lm15.LM15Error: No attempt got one; ``n_requests`` says how many there were.
    """
    end = time.monotonic() + limits.deadline_s
    for attempt in range(limits.n_retries + 1):
        try:
            left = min(limits.timeout_s, end - time.monotonic())
            content = await _once(url, body, {**_bearer(key), **headers}, limits, left)
            return Outcome(value=read(content), n_requests=attempt + 1)
        except lm15.LM15Error as error:
            error.n_requests = attempt + 1
            _tell(error, masked(_plain(error), key))
            wait_s = _wait_s(error, attempt, limits, end)
            if wait_s is None:
                raise
            if wait_s >= _TOLD_FROM_S:
                _LOG.warning(
                    "%s: waiting %.0f s, then attempt %d of %d: %s",
                    name, wait_s, attempt + 2, limits.n_retries + 1, error,
                )  # fmt: skip
        await asyncio.sleep(wait_s)
    raise AssertionError


async def get(
    url: str,
    *,
    key: str | None,
    headers: Mapping[str, str],
    timeout_s: float,
    limits: Limits,
) -> bytes:
    """The answer to a plain request.

    Raises:
        lm15.LM15Error: There is none.
    """
    return await _once(url, None, {**_bearer(key), **headers}, limits, timeout_s)


def _bearer(key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _wait_s(error: lm15.LM15Error, attempt: int, limits: Limits, end: float) -> float | None:
    """Seconds until the next attempt; ``None`` where there is none."""
    if not retries(error) or attempt == limits.n_retries:
        return None
    asked = error.retry_after or 0.0
    if asked > limits.max_retry_after_s:
        _say(error, f"it asks to wait {asked:,.0f} s, and at most "
             f"{limits.max_retry_after_s:,.0f} s are waited")  # fmt: skip
        return None
    backoff = min(_FIRST_WAIT_S * 2**attempt, _LONGEST_BACKOFF_S) * random.uniform(1.0, 1.25)
    wait_s: float = max(asked, backoff)
    if time.monotonic() + wait_s >= end:
        _say(error, f"the deadline of {limits.deadline_s:,.0f} s for the call is reached")
        return None
    return wait_s


def _say(error: lm15.LM15Error, more: str) -> None:
    _tell(error, f"{error.message} ({more})")


def _tell(error: lm15.LM15Error, message: str) -> None:
    error.message, error.args = message, (message,)


def _plain(error: lm15.LM15Error) -> str:
    """What the server said, without the status and the advice that lm15 puts behind it."""
    return str(error).split("\n\n", 1)[0].removesuffix(f" (HTTP {error.status})")


async def _once(
    url: str, body: bytes | None, headers: Mapping[str, str], limits: Limits, timeout_s: float
) -> bytes:
    import aiohttp

    sent = {"Content-Type": "application/json", "Accept-Encoding": "identity", **headers}
    try:
        async with (
            asyncio.timeout(max(0.001, timeout_s)),
            _session().request(
                "GET" if body is None else "POST",
                url, data=body, headers=sent, allow_redirects=False,
            ) as reply,
        ):  # fmt: skip
            if (on_rates := ON_RATES.get()) is not None and (rates := rates_of(reply.headers)):
                on_rates(rates)
            content = await _read(reply, limits.max_bytes)
            if reply.status == 200:
                return content
            if 300 <= reply.status < 400:
                where = reply.headers.get("Location", "somewhere else")[:200]
                raise lm15.InvalidRequestError(
                    f"{reply.status}: redirects to {where} (name that address as api_base)"
                )
            raise fault_of(reply.status, content, retry_after=retry_after_s(reply.headers))
    except TimeoutError as error:
        said = f"no whole answer within {timeout_s:.0f} s"
        raise lm15.TimeoutError(said) from error
    except (aiohttp.ClientError, OSError) as error:
        raise lm15.TransportError(_reason(error)) from error
    except ValueError as error:  # headers that cannot be sent or read
        raise lm15.TransportError(f"{type(error).__name__}: {error}") from error


def _reason(error: Exception) -> str:
    """What the system says, in its own words; else the client's."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0:
        return f"{os.strerror(cause.errno)} ({' '.join(str(error).split())})"
    return " ".join(str(error).split()) or type(error).__name__


async def _read(reply: aiohttp.ClientResponse, most: int) -> bytes:
    """The content, unpacked, or an error as soon as it is too much."""
    announced = reply.content_length
    if announced is not None and announced > most:
        raise _too_much(most)
    packing = reply.headers.get("Content-Encoding", "identity").strip().lower()
    unpack = _unpacker(packing)
    parts, size = [], 0
    async for chunk in reply.content.iter_chunked(_CHUNK):
        try:
            piece = unpack.decompress(chunk, most + 1 - size) if unpack else chunk
        except zlib.error as error:
            raise lm15.ServerError(f"the answer is not {packing}: {error}") from error
        size += len(piece)
        if size > most:
            raise _too_much(most)
        parts.append(piece)
    return b"".join(parts)


def _unpacker(packing: str) -> Any:
    if packing in ("identity", ""):
        return None
    if packing in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(47 if packing != "deflate" else zlib.MAX_WBITS)
    raise lm15.InvalidRequestError(
        f"the answer is packed as {packing!r}, which was not asked for (a proxy in between?)"
    )


def _too_much(most: int) -> lm15.LM15Error:
    return lm15.InvalidRequestError(f"the answer is larger than {most >> 20:,} MB")


# Sessions: one for each of our loops, in the process that made it.

_SESSIONS: dict[tuple[int, asyncio.AbstractEventLoop], aiohttp.ClientSession] = {}


def _session() -> aiohttp.ClientSession:
    loop = asyncio.get_running_loop()
    session = _SESSIONS.get((os.getpid(), loop))
    if session is None:
        session = _SESSIONS[os.getpid(), loop] = _open_session(loop)
    return session


def _open_session(loop: asyncio.AbstractEventLoop) -> aiohttp.ClientSession:
    import aiohttp

    if not is_ours(loop):
        raise RuntimeError("sessions live on loops that outlive their callers")
    return aiohttp.ClientSession(
        # What is in flight is bounded by whoever calls, and not by the pool.
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
        trust_env=any(name.lower().endswith("_proxy") for name in os.environ),
    )


@atexit.register
def _close_sessions() -> None:
    for (pid, loop), session in list(_SESSIONS.items()):
        if pid != os.getpid():  # a fork closes nothing of its parent
            session._connector = None
        elif loop.is_running():
            asyncio.run_coroutine_threadsafe(session.close(), loop)
    if _SESSIONS and not sys.is_finalizing():
        time.sleep(0.01)
