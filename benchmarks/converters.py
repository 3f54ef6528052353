"""Judge benchmarks that may not be shipped, from the reader's own copy to labelled rows.

    python benchmarks/converters.py judgebench|rm-bench|rewardbench FILE > labelled.jsonl
    structq judge-check labelled.jsonl --lm LM --scoring likelihood --group subset

JudgeBench (arXiv 2410.12784): its JSON Lines file. RM-Bench (2410.16184): ``total_dataset.json``;
each of three chosen answers beside each of three rejected ones, ``subset`` the domain. RewardBench
(2403.13787): its rows as JSON Lines, with ``prompt``, ``chosen``, ``rejected`` and ``subset``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def judgebench(rows: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """``question``, ``response_A``, ``response_B`` and ``label`` (``A>B`` or ``B>A``)."""
    for row in rows:
        responses = [row["response_A"], row["response_B"]]
        better = {"A>B": 0, "B>A": 1}.get(row["label"])
        if better is not None:
            yield _row(row.get("pair_id"), row["question"], responses, better, row.get("source"))


def rm_bench(rows: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """``prompt``, and three ``chosen`` and ``rejected`` answers of rising length and style."""
    for row in rows:
        for i, chosen in enumerate(row["chosen"]):
            for j, rejected in enumerate(row["rejected"]):
                better = (i + j) % 2  # which stands first says nothing
                pair = [rejected, chosen] if better else [chosen, rejected]
                yield _row(
                    f"{row.get('id')}-{i}{j}", row["prompt"], pair, better, row.get("domain")
                )


def rewardbench(rows: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    """``prompt``, ``chosen``, ``rejected`` and ``subset``."""
    for i, row in enumerate(rows):
        better = i % 2
        pair = [row["rejected"], row["chosen"]] if better else [row["chosen"], row["rejected"]]
        yield _row(row.get("id", i), row["prompt"], pair, better, row.get("subset"))


def _row(id_: Any, instruction: str, responses: list[str], best: int, subset: Any) -> Row:
    return {
        "id": str(id_),
        "instruction": instruction,
        "responses": responses,
        "labels": {"best": best},
        "subset": str(subset or ""),
    }


CONVERTERS: Mapping[str, Callable[[Iterable[Mapping[str, Any]]], Iterator[Row]]] = {
    "judgebench": judgebench,
    "rm-bench": rm_bench,
    "rewardbench": rewardbench,
}


def read(path: Path) -> list[Mapping[str, Any]]:
    """JSON Lines, or one JSON array."""
    text = path.read_text(encoding="utf8")
    if text.lstrip().startswith("["):
        return list(json.loads(text))
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", choices=CONVERTERS)
    parser.add_argument("file", type=Path)
    args = parser.parse_args()
    for row in CONVERTERS[args.benchmark](read(args.file)):
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
