"""What an LM is worth as a judge, and how sure it is of its labels: each way to ask beside length.

The pairs with a better response of LLMBar, HHH and PandaLM are scored; a judge is right where its
expected score is higher for the better one (a tie is half right). ``mass`` is the probability that
the LM put on labels at all, at the slots. ``first`` is how often the response that stands first
wins: far from a half, position is what was measured. The way to ask is chosen by its accuracy on
one half of the pairs (of those with a mass of .80 or more) and shown on the other. Intervals are
95 % bootstraps over pairs.

    python benchmarks/judging.py [--lm smollm2] [--data DIR] [--pairs N]

N is the number of the shortest pairs of each set; 0 takes all. The data is the folder that
STRUCTQ_DATA names, or ``../shared/data``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import structq

FILES = ("llmbar", "hhh", "pandalm")
LEAST_MASS = 0.80
Row = dict[str, Any]
WAYS: dict[str, dict[str, Any]] = {
    "list-wise, one order": {},
    "list-wise, both orders": {"permutations": 2},
    "list-wise, as lines": {"use_default_structured_output": False},
    "list-wise, no examples": {"form": "json"},
    "each alone, 1-6": {"scale": (1, 6), "scoring": "independent"},
    "each alone, as lines": {
        "scale": (1, 6),
        "scoring": "independent",
        "use_default_structured_output": False,
    },
}
"""How the scorer is set up; where nothing is said, as it is by default."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a way to ask said of one pair."""

    right: float
    """1, 0, or a half for a tie."""
    first: float
    """Whether the first response won, the same way."""
    mass: float
    """Mean label mass of the pair's slots."""


def read_pairs(folder: Path, n: int) -> list[Row]:
    pairs: list[Row] = []
    for name in FILES:
        with (folder / "scoring" / f"{name}.jsonl").open(encoding="utf8", newline="\n") as file:
            rows = [json.loads(line) for line in file]
        rows = [row for row in rows if "best" in row["labels"] and len(row["responses"]) == 2]
        rows.sort(key=lambda row: len(row["instruction"]) + sum(map(len, row["responses"])))
        pairs += rows[: n or None]
    return pairs


def better(one: float, other: float) -> float:
    return 0.5 if one == other else float(one > other)


def judge(rows: Sequence[Row], lm: Any, settings: dict[str, Any]) -> list[Verdict]:
    """The verdict on each pair, all in flight; one that fails ends the benchmark."""
    scorer = structq.QualityScorer(lm=lm, **settings)

    async def one(row: Row) -> Verdict:
        found = await scorer.acall(instruction=row["instruction"], responses=row["responses"])
        first, second = found.expected_scores
        masses = [mass for call in found.metadata["calls"] for mass in call["label_mass"]]
        best_first = better(first, second)
        right = best_first if row["labels"]["best"] == 0 else 1 - best_first
        return Verdict(right=right, first=best_first, mass=float(np.mean(masses)))

    async def every() -> list[Verdict]:
        return await asyncio.gather(*map(one, rows))

    return asyncio.run(every())


def by_length(rows: Sequence[Row]) -> list[Verdict]:
    verdicts = []
    for row in rows:
        first = better(*map(len, row["responses"]))
        right = first if row["labels"]["best"] == 0 else 1 - first
        verdicts.append(Verdict(right=right, first=first, mass=1.0))
    return verdicts


def interval(values: Sequence[float]) -> str:
    rng = np.random.default_rng(0)
    draws = np.asarray(values)[rng.integers(len(values), size=(4000, len(values)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{np.mean(values):.2f} ({low:.2f}-{high:.2f})"


def show(name: str, verdicts: Sequence[Verdict], rows: Sequence[Row]) -> None:
    right = [one.right for one in verdicts]
    chosen, shown = right[::2], right[1::2]
    sets = [
        np.mean([one.right for one, row in zip(verdicts, rows, strict=True) if row["set"] == name])
        for name in FILES
    ]
    print(
        f"{name:<24}{np.mean(chosen):.2f}   {interval(shown)}  "
        + "  ".join(f"{share:.2f}" for share in sets)
        + f"   {np.mean([one.mass for one in verdicts]):.2f}"
        f"   {np.mean([one.first for one in verdicts]):.2f}"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lm", default="smollm2")
    parser.add_argument("--data", default=os.environ.get("STRUCTQ_DATA", "../shared/data"))
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--ways", default="", help="names, parted by semicolons; all by default")
    options = parser.parse_args(argv)
    folder = Path(options.data)
    if not (folder / "scoring").is_dir():
        print(f"no data at {folder}: nothing measured (--data DIR)")
        return
    rows = [
        {**row, "set": row["id"].partition("-")[0] if "set" not in row else row["set"]}
        for row in read_pairs(folder, options.pairs)
    ]
    lm = structq.lm(options.lm)
    print("command: python benchmarks/judging.py", *(sys.argv[1:] if argv is None else argv))
    print(f"{lm.model}: {len(rows)} pairs, the shortest {options.pairs or 'all'} of each set")
    print("way                     chosen shown on the other  " + "  ".join(FILES) + "  mass first")
    show("the longer response", by_length(rows), rows)
    results: dict[str, list[Verdict]] = {}
    for name in options.ways.split(";") if options.ways else WAYS:
        started = time.perf_counter()
        results[name] = judge(rows, lm, WAYS[name])
        show(name, results[name], rows)
        print(f"    {time.perf_counter() - started:.0f} s")
    sure = [n for n, v in results.items() if np.mean([one.mass for one in v]) >= LEAST_MASS]
    if sure:
        best = max(sure, key=lambda name: np.mean([one.right for one in results[name][::2]]))
        held = [one.right for one in results[best][1::2]]
        longer = [one.right for one in by_length(rows)[1::2]]
        gain = [a - b for a, b in zip(held, longer, strict=True)]
        print(f"chosen: {best}; on the other half {interval(held)}, chance .50")
        print(f"less the longer response, paired: {interval(gain)}")


if __name__ == "__main__":
    main()
