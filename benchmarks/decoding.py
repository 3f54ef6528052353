"""Scores measured at the slots against token-by-token decoding under the same mask.

Same weights, same runtime, same rows, one run. For K responses and B rows in flight it prints the
forward passes of a row, the milliseconds of a row and the rows a second of three ways to fill
``{"scores":[s1,...,sK]}``:

* ``tokens``: every token is sampled under the mask, end of text included, as Outlines does it;
* ``forced``: the same, but tokens that can only come next are appended without a pass;
* ``measured``: label distributions at the slots, which gives expected scores as well.

Run ``python benchmarks/decoding.py --lm nano``.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import onnxruntime

from structq.decoding.processor import StructqBackend, json_schema
from structq.engines.calls import Call, Completion
from structq.engines.local import LocalLM
from structq.engines.registry import open_lm

WORDS = ["clear", "answer", "names", "the", "cause", "gives", "one", "reason", "shows", "what"]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One cell of the table."""

    n_passes: float
    seconds: float
    cpu_seconds: float
    n_rows: int

    @property
    def ms(self) -> float:
        """Milliseconds a row."""
        return 1000 * self.seconds / self.n_rows

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of all cores a row; says more than the clock where others are at work."""
        return 1000 * self.cpu_seconds / self.n_rows


def score_schema(k: int) -> dict[str, Any]:
    items = {"type": "integer", "enum": list(range(1, k + 2))}
    array = {"type": "array", "items": items, "minItems": k, "maxItems": k}
    return {
        "type": "object",
        "properties": {"scores": array},
        "required": ["scores"],
        "additionalProperties": False,
    }


def prompts(n_rows: int, k: int, n_words: int) -> list[str]:
    """Score prompts with responses of about ``n_words`` words; the same in every run."""
    rng = np.random.default_rng(k)

    def text() -> str:
        return " ".join(rng.choice(WORDS, int(rng.integers(n_words // 2, n_words * 3 // 2 + 1))))

    def prompt() -> str:
        responses = [f"[{i}]{text()}[/{i}]" for i in range(1, k + 1)]
        return "\n".join([f"[instruction]{text()}[/instruction]", *responses])

    return [prompt() for _ in range(n_rows)]


def ways(lm: LocalLM, k: int) -> dict[str, Callable[[str], Call]]:
    schema = json_schema(score_schema(k))
    backend = StructqBackend(lm.grammars)

    def turns(prompt: str) -> list[tuple[str, str]]:
        return [("user", prompt)]

    return {
        # As any processor of a caller's: asked for its mask at every token and never for more.
        "tokens": lambda prompt: Call(
            messages=turns(prompt),
            processor=backend.get_json_schema_logits_processor(schema.schema),
        ),
        "forced": lambda prompt: Call(messages=turns(prompt), output_type=schema),
        "measured": lambda prompt: Call(messages=turns(prompt), output_type=schema, measure=True),
    }


def run(lm: LocalLM, make: Callable[[str], Call], rows: Sequence[str], batch: int) -> Result:
    answers: list[Completion] = []
    start, cpu_start = time.perf_counter(), time.process_time()
    for first in range(0, len(rows), batch):
        futures = lm.submit_all([make(row) for row in rows[first : first + batch]])
        answers += [future.result() for future in futures]
    return Result(
        n_passes=sum(answer.n_passes for answer in answers) / len(answers),
        seconds=time.perf_counter() - start,
        cpu_seconds=time.process_time() - cpu_start,
        n_rows=len(rows),
    )


def compare(lm: LocalLM, k: int, batch: int, args: argparse.Namespace) -> dict[str, Result]:
    """Median of the repeats; the ways take turns, so that a busy machine hits them alike."""
    rows, made = prompts(args.rows, k, args.words), ways(lm, k)
    seen: dict[str, list[Result]] = {name: [] for name in made}
    for repeat in range(args.repeats + 1):
        for name, make in made.items():
            result = run(lm, make, rows, batch)
            if repeat:  # the first round warms the caches
                seen[name].append(result)
    return {
        name: Result(
            n_passes=results[0].n_passes,
            seconds=median(result.seconds for result in results),
            cpu_seconds=median(result.cpu_seconds for result in results),
            n_rows=len(rows),
        )
        for name, results in seen.items()
    }


def report(lm: LocalLM, args: argparse.Namespace, out: Any) -> None:
    print(f"command: python benchmarks/decoding.py {shlex.join(sys.argv[1:])}", file=out)
    print(
        f"lm {lm.name}, onnxruntime {onnxruntime.__version__}, {platform.machine()}, "
        f"{args.rows} rows, {args.words} words a response, median of {args.repeats}",
        file=out,
    )
    print("  K batch       way  passes   ms/row   rows/s speed-up  cpu ms/row  speed-up", file=out)
    for k in args.k:
        for batch in args.batch:
            results = compare(lm, k, batch, args)
            base = results["tokens"]
            for name, result in results.items():
                print(
                    f"{k:>3} {batch:>5} {name:>9} {result.n_passes:>7.2f} {result.ms:>8.2f} "
                    f"{1000 / result.ms:>8.1f} {base.ms / result.ms:>7.2f}x "
                    f"{result.cpu_ms:>11.2f} {base.cpu_ms / result.cpu_ms:>8.2f}x",
                    file=out,
                )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lm", default="nano", help="nano or onnx:<folder>")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--words", type=int, default=20, help="of a response, on average")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args(argv)
    report(open_lm(args.lm), args, sys.stdout)


if __name__ == "__main__":
    main()
