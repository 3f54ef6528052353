"""Runs of the command line against a server that is killed, broken, slow or narrow, and their cost.

    python benchmarks/runs.py                      # small: about two minutes
    python benchmarks/runs.py --full               # as large as the bars: half an hour and more
    python benchmarks/runs.py --full --only latency --distilabel FOLDER

``--distilabel`` runs distilabel 1.5.3 beside it, in an environment that is made in the folder.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parts.loopback import FAULTS, LOST, USELESS_BY_NAME, latency_of, loopback, stats_of

ROOT = Path(__file__).parents[1]
DISTILABEL = ("distilabel==1.5.3", "requests", "instructor", "openai")
"""The last three are needed and not declared."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a command took."""

    code: int
    seconds: float
    cpu_s: float
    peak_mb: float


def write_rows(folder: Path, n: int) -> None:
    """Rows that name themselves, to evolve or to score."""
    with (folder / "in.jsonl").open("w", encoding="utf8") as file:
        for i in range(n):
            row = {"id": i, "instruction": f"Q{i}?", "response": f"Answer to Q{i}?"}
            file.write(f"{json.dumps(row)}\n")


def command(name: str, address: str, *more: str) -> list[str]:
    """A command of structq over the rows of its folder."""
    return [
        sys.executable, "-m", "structq", name, "in.jsonl", "-o", "out.jsonl", "--lm", "vllm/m",
        "--api-base", address, "--quiet", *more,
    ]  # fmt: skip


def start(told: list[str], folder: Path) -> int:
    """The process of a command."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(told, cwd=folder, env=environment).pid


def finish(pid: int, began: float) -> Usage:
    """Waits for a process."""
    _, status, used = os.wait4(pid, 0)
    return Usage(
        code=os.waitstatus_to_exitcode(status),
        seconds=time.monotonic() - began,
        cpu_s=used.ru_utime + used.ru_stime,
        peak_mb=used.ru_maxrss / 1024,
    )


def run(told: list[str], folder: Path) -> Usage:
    """A command from its start to its end."""
    began = time.monotonic()
    return finish(start(told, folder), began)


def outcome(folder: Path, n_rows: int) -> str:
    """Whether every row is there once, and how many failed."""
    failed, ids = 0, []
    for line in (folder / "out.jsonl").open(encoding="utf8"):
        row = json.loads(line)
        ids.append(row["id"])
        failed += bool(row["metadata"]["error"])
    whole = "each once, in order" if ids == list(range(n_rows)) else "NOT EACH ONCE"
    return f"{len(ids):,} rows, {whole}, {failed} failed"


def rows_in(n: int) -> Any:
    """A new folder with so many rows."""
    made = tempfile.TemporaryDirectory()
    write_rows(Path(made.name), n)
    return made


def ideal_s(latencies: list[float], window: int) -> float:
    """Time of a sliding window that costs nothing."""
    ends = [0.0] * window
    for latency in latencies:
        heapq.heapreplace(ends, ends[0] + latency)
    return max(ends)


def killed(full: bool, _: Path | None) -> Iterator[str]:
    """Kills while it starts, evolves, scores, and replaces the output."""
    n_rows, n_kills, window = (2_000, 30, 16) if full else (100, 5, 8)
    n_calls = 3 * n_rows
    draw = random.Random(7)
    with rows_in(n_rows) as one, rows_in(n_rows) as other:
        folder, at_end = Path(other), max(1, n_kills // 5)
        told: dict[str, int] = {"starting": 0, "at work": 0, "writing": 0, "after": 0}
        with loopback(latency_s=0.005, counts=True) as address:
            run(command("run", address, "--window", str(window)), Path(one))
            given = command("run", address, "--window", str(window))
            for i in range(n_kills):
                pid = start(given, folder)
                if i >= n_kills - at_end:
                    where = _kill_while_writing(pid, folder)
                elif i % 10 == 9:
                    time.sleep(draw.uniform(0.1, 2.0))
                    where = "starting"
                else:
                    goal = (i + 1) * n_calls // (n_kills - at_end + 1)
                    where = _kill_at(pid, address, n_calls + goal)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                told[where] += 1
            last = run(given, folder)
            seen = stats_of(address)
        same = (folder / "out.jsonl").read_bytes() == (Path(one) / "out.jsonl").read_bytes()
        yield (
            f"{outcome(folder, n_rows)}, {'the same output' if same else 'ANOTHER OUTPUT'} as "
            f"without a kill, exit code {last.code}"
        )
        places = ", ".join(f"{n} {where}" for where, n in told.items() if n)
        yield (
            f"{n_kills} kills ({places}), {window} calls in flight: "
            f"{seen['n_again'] - n_calls} of {n_calls:,} calls made again (at most "
            f"{n_kills * window})"
        )


def _kill_at(pid: int, address: str, n_answered: int) -> str:
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if stats_of(address)["n_answered"] >= n_answered:
            return "at work"
        time.sleep(0.02)
    return "after"


def _kill_while_writing(pid: int, folder: Path) -> str:
    """Waits until another file than those of the journal appears beside the output."""
    known = {*os.listdir(folder), "out.jsonl"}  # a killed one leaves its own behind
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        names = {name for name in os.listdir(folder) if ".journal" not in name}
        if names - known:
            return "writing"
        time.sleep(0.0005)
    return "after"


def faulty(full: bool, _: Path | None) -> Iterator[str]:
    """A fifth of the requests is answered wrongly, or not at all."""
    n_rows = 2_000 if full else 200
    with rows_in(n_rows) as made, loopback(latency_s=0.02, faults=0.2) as address:
        used = run(command("score", address), Path(made))
        seen = stats_of(address)
        yield (
            f"{outcome(Path(made), n_rows)}, {seen['n_requests']:,} requests, exit code "
            f"{used.code}, {used.seconds:.0f} s"
        )


def latency(full: bool, environment: Path | None) -> Iterator[str]:
    """Lognormal latency of 500 ms, sigma 1, 50 calls in flight: how near to an ideal window."""
    n_rows = 1_500 if full else 200
    told = {"latency_s": 0.5, "sigma": 1.0}
    best = ideal_s([latency_of(i, told) for i in range(n_rows)], 50)
    fixed = ("--concurrency", "fixed", "--window", "50", "--num-evolutions", "1")
    with rows_in(n_rows) as made, loopback(**told) as address:
        run(command("evolve", address, *fixed), Path(made))
        ours = stats_of(address)
        yield (
            f"{outcome(Path(made), n_rows)}, {ours['most']} at once, {ours['seconds']:.1f} s, "
            f"{best / ours['seconds']:.2f} of the ideal window ({best:.1f} s)"
        )
    if environment is not None:
        with loopback(**told) as address:
            script = str(Path(__file__).parent / "parts" / "distilabel_evolve.py")
            python = str(environment / "bin" / "python")
            out = subprocess.run(
                [python, script, address, str(n_rows), "50"], capture_output=True, check=True
            )
            theirs = stats_of(address)
            yield (
                f"distilabel 1.5.3: {int(out.stdout.split()[-1]):,} rows, {theirs['most']} at "
                f"once, {theirs['seconds']:.1f} s: {theirs['seconds'] / ours['seconds']:.1f} times "
                "structq's"
            )


def slow_row(full: bool, _: Path | None) -> Iterator[str]:
    """One row among 200 takes twenty times as long as the others."""
    told = {"latency_s": 1.0 if full else 0.1, "slow": {"5": 20.0 if full else 2.0}}
    best = ideal_s([latency_of(i, told) for i in range(200)], 8)
    with rows_in(200) as made, loopback(**told) as address:
        run(command("score", address, "--window", "8"), Path(made))
        seconds = stats_of(address)["seconds"]
        yield f"{outcome(Path(made), 200)}, {seconds:.1f} s (possible: {best:.1f} s)"


def faults(full: bool, _: Path | None) -> Iterator[str]:
    """60 rows, and one whose every request ends in the same fault, one fault after another."""
    kinds = [*FAULTS, *LOST, *USELESS_BY_NAME]
    limits = ("--timeout", "1", "--deadline", "4", "--window", "16")
    bad = []
    for kind in kinds if full else kinds[::6]:
        with rows_in(60) as made, loopback(fault=kind) as address:
            used = run(command("score", address, *limits), Path(made))
            rows = [json.loads(line) for line in (Path(made) / "out.jsonl").open(encoding="utf8")]
        errors = {row["id"]: row["metadata"]["error"] for row in rows if row["metadata"]["error"]}
        said = str((errors.get(17) or {}).get("message", ""))
        if len(rows) != 60 or set(errors) != {17} or not said:
            bad.append(kind)
        yield f"{kind}: {len(rows)} rows, {60 - len(errors)} good, {used.seconds:.1f} s; {said}"
    yield f"{'all' if full else 'some'} kinds, not as they should be: {', '.join(bad) or 'none'}"


def narrow(full: bool, _: Path | None) -> Iterator[str]:
    """A server that takes 32, then 12, then 64 at once."""
    n_rows = 10_000 if full else 600
    told = {"latency_s": 0.5, "sigma": 0.5, "takes": [32, 12, 64], "n_rows": n_rows}
    with rows_in(n_rows) as made, loopback(**told) as address:
        run(command("score", address, "--window", "128"), Path(made))
        seen = stats_of(address)
        yield (
            f"{outcome(Path(made), n_rows)}, {seen['n_refused'] / seen['n_requests']:.1%} of the "
            f"requests refused, {seen['seconds']:.0f} s, {seen['ideal_s'] / seen['seconds']:.2f} "
            "of what the server takes"
        )


_BARE = """
import asyncio, sys, time
sys.path.insert(0, sys.argv[3])
import servers
print(servers.with_aiohttp(int(sys.argv[1]), int(sys.argv[2]), 32))
"""
_TIMED = """
import sys, time
from structq.journal.store import Journal
spent = 0.0
def timed(method):
    def call(*arguments, **options):
        global spent
        began = time.thread_time()
        try:
            return method(*arguments, **options)
        finally:
            spent += time.thread_time() - began
    return call
for name in ("answers", "keep_answer", "state", "finish_row"):
    setattr(Journal, name, timed(getattr(Journal, name)))
from structq.cli.commands import app
try:
    app(sys.argv[1:])
except SystemExit:
    print(spent)
"""


def cost(full: bool, _: Path | None) -> Iterator[str]:
    """Processor time a call of a whole command, its journal included, beside aiohttp's."""
    n_rows = 10_000 if full else 1_000
    with loopback() as address:
        port = address.rpartition(":")[2].partition("/")[0]
        bare = _printed([sys.executable, "-c", _BARE, port, str(n_rows), str(ROOT / "benchmarks")])
        yield f"aiohttp alone: {bare:.3f} ms a call"
        few = _usage_of("score", address, 100)
        many = _usage_of("score", address, n_rows)
        each = (many.cpu_s - few.cpu_s) / (n_rows - 100) * 1000
        yield f"structq score: {each:.3f} ms a call, {each / bare:.1f} times aiohttp's"
        with rows_in(n_rows) as made:
            given = command("score", address)[3:]
            timed = [sys.executable, "-c", _TIMED, *given]
            spent = _printed(timed, Path(made)) / n_rows * 1000
            yield f"of which the journal: {spent:.3f} ms, {spent / each:.1%}"


def _usage_of(name: str, address: str, n_rows: int) -> Usage:
    with rows_in(n_rows) as made:
        return run(command(name, address), Path(made))


def _printed(told: list[str], folder: Path = ROOT) -> float:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(told, cwd=folder, env=environment, capture_output=True, check=True)
    return float(done.stdout.split()[-1])


def memory(full: bool, _: Path | None) -> Iterator[str]:
    """Peak memory of a run, and of one of ten times the rows."""
    n_rows = 20_000 if full else 1_000
    with loopback() as address:
        peaks = []
        for n in (n_rows, 10 * n_rows):
            used = _usage_of("score", address, n)
            peaks.append(used.peak_mb)
            yield f"{n:,} rows: {used.peak_mb:.0f} MB at most, {used.seconds:.0f} s"
        yield f"grown by {peaks[1] - peaks[0]:.0f} MB"


CASES: dict[str, Callable[[bool, Path | None], Iterator[str]]] = {
    "killed": killed, "faults": faults, "faulty": faulty, "latency": latency, "slow_row": slow_row,
    "narrow": narrow, "cost": cost, "memory": memory,
}  # fmt: skip


def distilabel_in(folder: Path) -> Path:
    """An environment with distilabel; made where it is not there."""
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *DISTILABEL]
        subprocess.run(pip, check=True)
    return folder.absolute()


def main(arguments: list[str] | None = None) -> None:
    """Parse the arguments, run each case, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="as large as the bars")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--distilabel", type=Path, help="folder of an environment; made if needed")
    given = parser.parse_args(arguments)
    environment = distilabel_in(given.distilabel) if given.distilabel else None
    print(f"$ python {' '.join(sys.argv)}")
    for name in given.only:
        for line in CASES[name](given.full, environment):
            print(f"{name}: {line}", flush=True)


if __name__ == "__main__":
    main()
