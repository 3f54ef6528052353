"""A server on loopback in a process of its own: slow, narrow or broken as told, and it keeps count.

    python benchmarks/parts/loopback.py '{"latency_s": 0.5, "sigma": 1.0}'     # prints its port

Rows name themselves in their texts, ``Q17?``: the time that an answer takes depends on that alone.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

_ROW = re.compile(rb"Q(\d+)\?")
_ITEMS = re.compile(rb'"minItems":\s*(\d+)')
GOOD = '{"scores":[1,2]}'
BROKEN: list[tuple[int, str]] = [
    (500, "{}"), (502, ""), (503, "{}"), (200, "<html>x</html>"), (429, '{"error":"slow down"}'),
    (200, '{"choices":['), (200, '{"error":"loading"}'), (200, '{"choices":[]}'), (200, ""),
]  # fmt: skip
USELESS = [
    ("", "stop"), (None, "stop"), ("no JSON", "stop"), ('{"scores":[1,', "length"),
    ('{"ratings":[1,2]}', "stop"), ('{"scores":[1]}', "stop"), ('{"scores":[9,9]}', "stop"),
    ("", "content_filter"), (f"```json\n{GOOD}\n```", "stop"),
]  # fmt: skip


_TOO_LONG = "This model's maximum context length is 10 tokens, and the prompt has 20"
FAULTS: dict[str, tuple[int, str, str]] = {
    "500": (500, "{}", ""), "500 as text": (500, "Internal Server Error", ""),
    "502": (502, "", ""), "503": (503, '{"error":{"message":"loading"}}', ""),
    "504 as HTML": (504, "<html>gateway</html>", ""), "529": (529, '{"error":"overloaded"}', ""),
    "408": (408, "{}", ""), "429": (429, '{"error":"slow down"}', ""),
    "429, soon": (429, "{}", "Retry-After: 1\r\n"),
    "429, tomorrow": (429, "{}", "Retry-After: 86400\r\n"),
    "400": (400, '{"error":{"message":"bad request"}}', ""),
    "400, policy": (400, '{"error":{"code":"content_filter","message":"flagged"}}', ""),
    "400, too long": (400, json.dumps({"error": {"message": _TOO_LONG}}), ""),
    "401": (401, '{"error":"no key"}', ""), "403": (403, '{"detail":"not allowed"}', ""),
    "404": (404, '{"object":"error","message":"no model"}', ""),
    "413": (413, "", ""), "422": (422, '{"detail":[{"msg":"field"}]}', ""),
    "200 with HTML": (200, "<html>login</html>", ""), "broken JSON": (200, '{"choices":[', ""),
    "empty body": (200, "", ""), "a list": (200, "[]", ""),
    "error in 200": (200, '{"error":{"message":"loading"}}', ""),
    "no choices": (200, '{"choices":[]}', ""),
    "error in a choice": (200, '{"choices":[{"error":{"message":"broke"}}]}', ""),
}  # fmt: skip
"""Replies that are none; beside them stand ways to lose one, and answers of no use."""
LOST = ("closed", "reset", "cut short", "a byte a second", "never")
USELESS_BY_NAME = {
    "empty": USELESS[0], "null": USELESS[1], "no JSON": USELESS[2], "cut": USELESS[3],
    "another field": USELESS[4], "off the scale": USELESS[6], "filtered": USELESS[7],
}  # fmt: skip


def latency_of(row: int, told: dict[str, Any]) -> float:
    """Seconds that the answers to a row take."""
    if str(row) in told.get("slow", {}):
        return float(told["slow"][str(row)])
    mean, sigma = told.get("latency_s", 0.0), told.get("sigma", 0.0)
    if not sigma:
        return float(mean)
    draw = random.Random(f"{told.get('seed', 1)}:{row}").gauss(0.0, 1.0)
    return float(mean * math.exp(sigma * draw - sigma * sigma / 2))


class Server:
    """Answers chat requests; ``GET /stats`` says what it saw."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.draw = random.Random(told.get("seed", 1))
        self.seen: Counter[bytes] = Counter()
        self.busy = self.most = self.n_requests = self.n_refused = self.n_answered = 0
        self.first = self.last = self.ideal_s = 0.0

    @property
    def takes(self) -> int | None:
        """Requests at once, by how many were answered."""
        steps = self.told.get("takes")
        if not steps:
            return None
        step = self.n_answered * len(steps) // self.told["n_rows"]
        return int(steps[min(step, len(steps) - 1)])

    async def answer(self, body: bytes, writer: asyncio.StreamWriter) -> bytes | None:
        """The reply to one request; ``None`` where the connection breaks."""
        self.n_requests += 1
        self.first = self.first or time.time()
        takes = self.takes
        if takes is not None and self.busy >= takes:
            self.n_refused += 1
            return _reply(429, '{"error":"too many"}', "Retry-After: 1\r\n")
        if self.told.get("counts"):
            self.seen[blake2b(body, digest_size=8).digest()] += 1
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            if self.told.get("latency_s") or self.told.get("slow"):
                found = _ROW.search(body)
                wait_s = latency_of(int(found[1]) if found else 0, self.told)
                self.ideal_s += wait_s / (takes or 1)
                await asyncio.sleep(wait_s)
            if (fault := self.told.get("fault")) and b"Q17?" in body:
                return await self._fault(fault, writer)
            return self._said(body, writer)
        finally:
            self.busy -= 1
            self.n_answered += 1
            self.last = time.time()

    async def _fault(self, name: str, writer: asyncio.StreamWriter) -> bytes | None:
        """What stands for the answer to the one row that has no luck."""
        if name in FAULTS:
            return _reply(*FAULTS[name])
        if name in USELESS_BY_NAME:
            return _reply(200, _completion(*USELESS_BY_NAME[name]))
        whole = _reply(200, _completion(GOOD))
        if name == "reset":
            writer.transport.abort()
        elif name == "cut short":
            writer.write(whole[:-9])
        elif name == "never":
            await asyncio.sleep(3600)
        elif name == "a byte a second":
            for i in range(len(whole)):
                writer.write(whole[i : i + 1])
                await asyncio.sleep(1)
        return None

    def _said(self, body: bytes, writer: asyncio.StreamWriter) -> bytes | None:
        if self.draw.random() < self.told.get("faults", 0.0):
            kind = self.draw.randrange(len(BROKEN) + len(USELESS) + 2)
            if kind < len(BROKEN):
                status, text = BROKEN[kind]
                return _reply(status, text, "Retry-After: 0.05\r\n" if status == 429 else "")
            if kind >= len(BROKEN) + len(USELESS):
                if kind % 2:
                    writer.write(_reply(200, _completion(GOOD))[:-9])  # cut short
                return None
            return _reply(200, _completion(*USELESS[kind - len(BROKEN)]))
        if items := _ITEMS.search(body):
            scores = ",".join(str(i + 1) for i in range(int(items[1])))
            return _reply(200, _completion(f'{{"scores":[{scores}]}}'))
        better = "It is so, and here is the reason: light scatters in the air."
        strict = b"evolved_response" in body
        return _reply(
            200, _completion(json.dumps({"evolved_response": better}) if strict else better)
        )

    def stats(self) -> dict[str, Any]:
        """What it saw."""
        return {
            "n_requests": self.n_requests, "n_refused": self.n_refused, "most": self.most,
            "n_answered": self.n_answered, "seconds": self.last - self.first,
            "ideal_s": self.ideal_s, "n_again": self.seen.total() - len(self.seen),
            "n_distinct": len(self.seen),
        }  # fmt: skip

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                fields = head.lower().split(b"content-length:")
                n = int(fields[1].split(b"\r\n")[0]) if len(fields) > 1 else 0
                body = await reader.readexactly(n)
                if head.startswith(b"GET"):
                    told = self.stats() if b"/stats" in head else {"data": [{"id": "m"}]}
                    reply: bytes | None = _reply(200, json.dumps(told))
                else:
                    reply = await self.answer(body, writer)
                if reply is None:
                    break
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


def _completion(text: str | None, finish: str = "stop") -> str:
    message = {"role": "assistant", "content": text}
    return json.dumps({
        "id": "c", "object": "chat.completion", "model": "m", "created": 1,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    })  # fmt: skip


def _reply(status: int, text: str, more: str = "") -> bytes:
    kind = "text/html" if text.startswith("<") else "application/json"
    data = text.encode()
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{more}\r\n"
    )
    return head.encode() + data


@contextmanager
def loopback(**told: Any) -> Iterator[str]:
    """The address of such a server, in a process of its own."""
    command = [sys.executable, str(Path(__file__)), json.dumps(told)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def stats_of(address: str) -> dict[str, Any]:
    """What a server has seen until now."""
    with urllib.request.urlopen(f"{address}/stats") as reply:
        found: dict[str, Any] = json.load(reply)
        return found


async def _main() -> None:
    server = Server(json.loads(sys.argv[1]))
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, backlog=2048)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
