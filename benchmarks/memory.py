"""Memory of a run over many rows: what stays behind once a row is done.

A scripted LM answers at once, so that what grows is structq's and DSPy's own: history, trace and
the cache of answers. Rows stream through ``EvolveAndScore``, and none is kept here. DSPy's cache on
disk is on, in a folder of its own.

Run ``python benchmarks/memory.py``. It prints resident memory at a few rows, and ends with 1 if
more than ``--bar`` MB came between row 500 and the last one.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from structq import EvolveAndScore

FIRST = 500


class Scripted:
    """Adds a word to a response; gives each score of a list."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens"})

    def __init__(self, text: str) -> None:
        self._text = text

    def complete(self, request: Request) -> Response:
        """An answer under the schema of the request."""
        config: Any = request.config
        fields = config.response_format["schema"]["properties"]
        answer: dict[str, Any] = {"evolved_response": f"{self._text} More."}
        if "scores" in fields:
            answer = {"scores": list(range(1, fields["scores"]["minItems"] + 1))}
        message = Message.assistant(json.dumps(answer))
        usage = Usage(input_tokens=1, output_tokens=1)
        return Response(
            id=None, model=request.model, message=message, finish_reason="stop", usage=usage
        )


class AsyncScripted(Scripted):
    """The same, awaited."""

    async def complete(self, request: Request) -> Response:  # type: ignore[override]
        """An answer under the schema of the request."""
        return Scripted.complete(self, request)


def resident_mb() -> float:
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * 4096 / 1e6


def rows(n: int, text: str) -> Iterator[dict[str, Any]]:
    for i in range(n):
        yield {"id": i, "instruction": f"What is {i}?", "response": f"{text} {i}"}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--chars", type=int, default=7000, help="characters of a response")
    parser.add_argument("--no-cache", action="store_true", help="an LM that caches nothing")
    parser.add_argument("--bar", type=float, default=20.0, help="MB that may come")
    args = parser.parse_args(argv)

    print(f"python {shlex.join(sys.argv)}")
    text = ("A whale is a mammal, and it breathes air. " * args.chars)[: args.chars]
    with tempfile.TemporaryDirectory() as folder:
        dspy.configure_cache(disk_cache_dir=folder)
        lm = dspy.LM(
            "scripted/lm", engine=Scripted(text), async_engine=AsyncScripted(text),
            cache=not args.no_cache, num_retries=0,
        )  # fmt: skip
        task, first = EvolveAndScore(lm=lm), 0.0
        shown = {FIRST, args.rows, *range(5000, args.rows, 5000)}
        for n, row in enumerate(task.stream(rows(args.rows, text)), 1):
            if row["metadata"]["error"]:
                raise SystemExit(str(row["metadata"]["error"]))
            if n in shown:
                first = first or resident_mb()
                print(f"row {n:>7,}: {resident_mb():7.1f} MB")
        grown = resident_mb() - first
        dspy.cache.disk_cache.close()
    print(f"{grown:+.1f} MB since row {FIRST} (at most {args.bar:.0f})")
    return 0 if grown <= args.bar else 1


if __name__ == "__main__":
    sys.exit(main())
