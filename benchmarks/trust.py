"""What LMs are worth as judges: each way to score on labelled rows, beside length and chance.

For each data set, LM and way to score: pairwise accuracy with its 95 % interval (bootstrap over
rows), its paired difference to the longer response, Spearman's correlation with the labels, and
forward passes a row where the LM counts them. Sets of one response a row have a correlation only.
Adversarial and natural pairs of LLMBar stand apart.

    python benchmarks/trust.py [--lm smollm2 ...] [--scoring joint ...] [--rows N] [--store DIR]

N rows of each set are taken by a hash of their id (0: all). Answers are kept under DIR: a table
that was stopped goes on, and one of more rows sends only what is missing. The data is the folder
that STRUCTQ_DATA names, or ``../shared/data``; nothing of it is shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import structq
from structq.data import SCORING, Row, read_rows
from structq.evaluation import judge_report
from structq.journal import Journal
from structq.runs.facts import answers_depend_on
from structq.runs.judging import judge_rows

SETS: dict[str, str | None] = {
    "llmbar": "best",
    "pandalm": "best",
    "hhh": "best",
    "gsm8k_solutions": "correct",
    "prometheus_vicuna": "model_scores",
    "prometheus_mt_bench": "model_scores",
}
WAYS: dict[str, dict[str, Any]] = {
    "joint": {},
    "independent": {"scoring": "independent", "scale": (1, 6)},
    "pairwise": {"scoring": "pairwise"},
    "likelihood, sum": {"scoring": "likelihood", "length_exponent": 0.0},
    "likelihood, mean": {"scoring": "likelihood", "length_exponent": 1.0},
}


def rows_of(folder: Path, name: str, n: int) -> list[Row]:
    rows = list(read_rows(str(folder / "scoring" / f"{name}.jsonl"), SCORING))
    for row in rows:
        subset = str(row.values.get("subset") or "")
        row.values["group"] = subset.split("/")[0] if name == "llmbar" else ""
    rows.sort(key=lambda row: sha256(str(row.values["id"]).encode()).hexdigest())
    return rows[: n or None]


def measure(
    lm: str, way: str, name: str, rows: list[Row], kind: str | None, store: Path
) -> dict[str, Any]:
    scorer = structq.QualityScorer(lm=structq.lm(lm), **WAYS[way])
    slug = f"{lm}-{way}-{name}".replace("/", "_").replace(", ", "-")
    started = time.monotonic()
    with Journal(store / f"{slug}.journal", answers_depend_on(scorer)) as journal:
        found = judge_rows(scorer, rows, kind=kind, group="group", journal=journal)
    report = judge_report(found.rows, name=f"{lm}, {way}", cost=found.cost) if found.rows else {}
    seconds = time.monotonic() - started
    return {"set": name, "lm": lm, "way": way, "seconds": seconds, "report": report,
            "left_out": dict(found.left_out)}  # fmt: skip


def lines(result: dict[str, Any]) -> Iterator[str]:
    report = result["report"]
    head = f"{result['set']:20} {result['lm']:10} {result['way']:17}"
    if not report:
        yield f"{head} no row could be scored: {result['left_out']}"
        return
    figures = list(report["figures"].values())[-1]
    yield f"{head} {told(figures)} {', '.join(report['warnings'])}"
    for group, part in report["groups"].items():
        yield f"{'  ' + group:20} {result['lm']:10} {result['way']:17} {told(part)}"


def told(figures: dict[str, Any]) -> str:
    rho = "-" if figures["spearman"] is None else f"{figures['spearman']:+.2f}"
    if not figures["n_pairs"]:
        return f"{figures['n_rows']:5} {'one response a row':51} {rho}"
    shown = [
        f"{v:+.3f} ({lo:+.3f} to {hi:+.3f})" if signed else f"{v:.3f} ({lo:.3f} to {hi:.3f})"
        for (v, lo, hi), signed in ((figures["accuracy"], False), (figures["minus_length"], True))
    ]
    return f"{figures['n_rows']:5} {shown[0]} {shown[1]} {rho}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("STRUCTQ_DATA", "../shared/data")
    )
    parser.add_argument("--lm", nargs="+", default=["smollm2"])
    parser.add_argument("--scoring", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--store", type=Path, default=Path(".benchmarks/trust"))
    args = parser.parse_args()
    if not (Path(args.data) / "scoring").is_dir():
        print(f"nothing measured: there is no {args.data}/scoring")
        return
    args.store.mkdir(parents=True, exist_ok=True)
    print(
        f"{'set':20} {'LM':10} {'way':17}  rows accuracy               over length       Spearman"
    )
    with (args.store / "results.jsonl").open("a", encoding="utf8") as kept:
        for name in args.sets:
            rows = rows_of(Path(args.data), name, args.rows)
            for lm in args.lm:
                for way in args.scoring:
                    result = measure(lm, way, name, rows, SETS[name], args.store)
                    kept.write(json.dumps(result) + "\n")
                    print(*lines(result), sep="\n", flush=True)


if __name__ == "__main__":
    main()
