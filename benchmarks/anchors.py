"""Published verdicts through structq's statistics: every average of LLMBar's authors comes out.

Each of 325 runs of an evaluator on LLMBar (Zeng et al., arXiv 2310.07641; MIT licence) has its
verdicts in both orders and a published average: half of the share that is right as the pairs stand
and half of the share that is right with them swapped. A verdict that names no winner is wrong.

    python benchmarks/anchors.py [--data DIR]

The data is the folder that STRUCTQ_DATA names, or ``../shared/data``.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from structq.evaluation import pairwise_agreement


def average_percent(labels: str, orders: Iterable[Sequence[str]]) -> float:
    """The mean over both orders of the pairs that are right, in percent."""
    shares = []
    for winners in orders:
        right = 0.0
        for label, winner in zip(labels, winners, strict=True):
            if winner in ("1", "2"):
                scores, wanted = (_chosen(winner), _chosen(label))
                right += pairwise_agreement(scores, wanted)[0]
        shares.append(right / len(labels))
    return 100 * sum(shares) / len(shares)


def _chosen(winner: str) -> tuple[float, float]:
    return float(winner == "1"), float(winner == "2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("STRUCTQ_DATA", "../shared/data")
    )
    path = Path(parser.parse_args().data) / "anchors" / "llmbar_verdicts.jsonl"
    if not path.is_file():
        print(f"nothing measured: there is no {path}")
        return
    with path.open(encoding="utf8") as file:
        runs = [json.loads(line) for line in file]
    off = []
    for run in runs:
        found = average_percent(run["labels"], (run["winners"], run["winners_swapped"]))
        if abs(found - run["published_average_percent"]) > 1e-9:
            off.append((run["subset"], run["evaluator"], found, run["published_average_percent"]))
    print(f"{len(runs) - len(off)} of {len(runs)} published averages come out, to 1e-9")
    for one in off:
        print("off:", *one)


if __name__ == "__main__":
    main()
