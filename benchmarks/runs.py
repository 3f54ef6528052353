"""Runs of the command line against a server on loopback that is killed, broken, slow or narrow.

    python benchmarks/runs.py             # about a minute; --rows 2000 for longer runs

Prints for each: rows that came out, rows that failed, requests, and what was asked twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.fake_server import Reply, completion, serving

GOOD = '{"scores":[1,2]}'
FAULTS: list[Any] = [
    Reply("{}", 500), Reply("", 502), Reply("{}", 503), Reply("<html>x</html>", 200, "text/html"),
    Reply('{"error":"slow down"}', 429, headers={"Retry-After": "0.05"}), Reply('{"choices":['),
    completion(""), completion(None), completion("no JSON"), completion('{"scores":[1,', "length"),
    completion('{"ratings":[1,2]}'), completion('{"scores":[1]}'), {"error": "loading"},
    {"choices": []}, completion(None, refusal="No."), completion("", "content_filter"),
    completion(f"```json\n{GOOD}\n```"),
]  # fmt: skip


class Server:
    """Answers after a while, refuses what is more than it takes at once, breaks some answers."""

    def __init__(self, *, takes: int | None = None, faults: float = 0.0, seed: int = 1) -> None:
        self.takes, self.faults, self.draw = takes, faults, random.Random(seed)
        self.lock = threading.Lock()
        self.busy = self.n_refused = self.n_requests = 0

    def __call__(self, body: dict[str, Any]) -> Any:
        """One answer."""
        with self.lock:
            self.n_requests += 1
            if self.takes is not None and self.busy >= self.takes:
                self.n_refused += 1
                return Reply('{"error":"too many"}', 429, headers={"Retry-After": "1"})
            self.busy += 1
        time.sleep(0.05)
        with self.lock:
            self.busy -= 1
            broken = self.draw.random() < self.faults
            return self.draw.choice(FAULTS) if broken else GOOD


def command(address: str, folder: Path, window: int) -> list[str]:
    """``structq score`` from the folder's input to its output."""
    return [
        sys.executable, "-m", "structq", "score", str(folder / "in.jsonl"), "-o",
        str(folder / "out.jsonl"), "--lm", "vllm/m", "--api-base", address, "--quiet",
        "--window", str(window),
    ]  # fmt: skip


def case(name: str, n_rows: int, server: Server, work: Callable[[str, Path], str]) -> None:
    """One run in a folder of its own, and what came of it."""
    with tempfile.TemporaryDirectory() as made, serving(server) as listening:
        folder, began = Path(made), time.monotonic()
        rows = ({"id": i, "instruction": f"Q{i}?", "responses": ["a", "b"]} for i in range(n_rows))
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / "in.jsonl").write_text(lines, encoding="utf8")
        told = work(listening.address, folder)
        out = [json.loads(line) for line in (folder / "out.jsonl").open(encoding="utf8")]
        whole = [row["id"] for row in out] == list(range(n_rows))
        failed = sum(bool(row["metadata"]["error"]) for row in out)
        print(
            f"{name}: {len(out):,} rows, {'each once, in order' if whole else 'NOT EACH ONCE'}, "
            f"{failed} failed, {server.n_requests:,} requests, {server.n_refused} refused "
            f"({server.n_refused / server.n_requests:.1%}), {time.monotonic() - began:.1f} s{told}"
        )


def once(window: int) -> Callable[[str, Path], str]:
    """A run without a break."""

    def work(address: str, folder: Path) -> str:
        done = subprocess.run(command(address, folder, window), check=False)
        return f", exit code {done.returncode}"

    return work


def killed(times: int, window: int) -> Callable[[str, Path], str]:
    """A run that is killed again and again, each time a little later, and then goes on."""

    def work(address: str, folder: Path) -> str:
        for i in range(times):
            process = subprocess.Popen(command(address, folder, window))
            time.sleep(2.0 + 0.3 * i)
            process.send_signal(signal.SIGKILL)
            process.wait()
        subprocess.run(command(address, folder, window), check=True)
        return f", {times} kills with {window} calls in flight"

    return work


def main() -> None:
    """Parse the arguments, run each case, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--kills", type=int, default=4)
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    print(f"$ python {' '.join(sys.argv)}")
    case("killed", given.rows, Server(), killed(given.kills, 8))
    case("a fifth of the answers broken", given.rows, Server(faults=0.2), once(32))
    case("8 at once, window 64", given.rows, Server(takes=8), once(64))
    case("as fast as it goes, window 32", given.rows, Server(), once(32))


if __name__ == "__main__":
    main()
