"""Commands against a server on loopback, in this process and in ones that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from structq.cli.commands import app
from tests.servers.fake_server import Reply

ROOT = Path(__file__).parents[2]


class Judge:
    """Scores what it is shown; counts, waits, refuses what is too much at once.

    Args:
        latency_s: Of an answer, or from the text of a request.
        takes: Requests at once; more are refused.
    """

    def __init__(
        self, latency_s: float | Callable[[str], float] = 0.0, *, takes: int | None = None
    ) -> None:
        self.latency_s, self.takes = latency_s, takes
        self.lock = threading.Lock()
        self.n_busy = self.n_refused = self.n_answered = 0

    def __call__(self, body: dict[str, Any]) -> Any:
        text = body["messages"][-1]["content"]
        with self.lock:
            if self.takes is not None and self.n_busy >= self.takes:
                self.n_refused += 1
                return Reply('{"error":"too many"}', 429, headers={"Retry-After": "1"})
            self.n_busy += 1
        wait_s = self.latency_s(text) if callable(self.latency_s) else self.latency_s
        if wait_s:
            time.sleep(wait_s)
        with self.lock:
            self.n_busy -= 1
            self.n_answered += 1
        return answer_to(body)


def answer_to(body: dict[str, Any]) -> str:
    """Scores where scores are asked for, else a better response."""
    wanted = body.get("response_format", {}).get("json_schema", {}).get("schema", {})
    if "scores" in wanted.get("properties", {}):
        n = wanted["properties"]["scores"]["minItems"]
        return json.dumps({"scores": list(range(1, n + 1))})
    return json.dumps({"evolved_response": "It is so, and here is why: light scatters in the air."})


def arguments(command: str, address: str, *more: Any, lm: str = "vllm/m") -> list[str]:
    """A command from ``in.jsonl`` to ``out.jsonl``; what is given later wins."""
    told = [command, "in.jsonl", "-o", "out.jsonl", "--lm", lm, "--api-base", address, *more]
    return [str(argument) for argument in told]


def call(*told: str) -> int:
    """The exit code of a command in this process."""
    with pytest.raises(SystemExit) as ended:
        app(list(told))
    return int(ended.value.code or 0)


def start(told: list[str], folder: Path, **options: Any) -> subprocess.Popen[bytes]:
    """A command in a process of its own."""
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(
        [sys.executable, "-m", "structq", *told], cwd=folder, env=environment(), **given
    )


def environment() -> dict[str, str]:
    """This one, with this checkout in front."""
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


def write(rows: Any, path: str | Path = "in.jsonl") -> None:
    """Rows as JSON Lines."""
    Path(path).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf8")


def read(path: str | Path = "out.jsonl") -> list[dict[str, Any]]:
    """Rows of JSON Lines."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf8").splitlines()]


def rows(n: int) -> list[dict[str, Any]]:
    """Rows that differ."""
    return [{"id": i, "instruction": f"Say {i}.", "response": f"{i} it is."} for i in range(n)]


def wait_until(holds: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    """Returns when it holds.

    Raises:
        TimeoutError: It does not.
    """
    end = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.01)
