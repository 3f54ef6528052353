"""An OpenAI-like server on loopback that answers by a script, rightly or wrongly."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """What goes back over the wire."""

    body: str | bytes
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Script = Callable[[dict[str, Any]], "Reply | dict[str, Any] | str"]


class FakeServer(ThreadingHTTPServer):
    """Listens on a free port of 127.0.0.1.

    Args:
        script: From the body of a chat request to a reply, a chat completion, or just its text.
        key: Where set, requests with another one are refused.
        models: What it lists.
    """

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, script: Script, *, key: str | None = None, models: Any = ("m",)) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.key, self.models = script, key, models
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def answer(self, body: dict[str, Any]) -> Reply:
        with self.lock:
            self.requests.append(body)
        given = self.script(body)
        if isinstance(given, str):
            given = completion(given)
        return given if isinstance(given, Reply) else Reply(json.dumps(given))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that has gone is none of the server's business."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self._may_pass():
            models = {"data": [{"id": name} for name in self.server.models]}
            self._send(Reply(json.dumps(models)))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._may_pass():
            self._send(self.server.answer(body))

    def _may_pass(self) -> bool:
        key = self.server.key
        if key is None or self.headers["Authorization"] == f"Bearer {key}":
            return True
        error = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
        self._send(Reply(json.dumps(error), status=401))
        return False

    def _send(self, reply: Reply) -> None:
        data = reply.body.encode() if isinstance(reply.body, str) else reply.body
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the tests look at requests."""


@contextmanager
def serving(script: Script, **options: Any) -> Iterator[FakeServer]:
    server = FakeServer(script, **options)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def completion(
    text: str | None, finish_reason: str = "stop", *, logprobs: Any = None, **message: Any
) -> dict[str, Any]:
    """A chat completion with one choice."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": finish_reason,
    }
    if logprobs is not None:
        choice["logprobs"] = {"content": logprobs}
    usage = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
    return {
        "id": "c",
        "object": "chat.completion",
        "model": "m",
        "choices": [choice],
        "usage": usage,
    }
