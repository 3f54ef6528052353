"""Rows to tune with and held-out ones, by a hash of their ids; and what is finished."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from structq.texts import n_words

from .constraints import CHECKS

__all__ = ["SETS", "Rows", "Store", "evolving_rows", "labelled_rows"]

PROSE = ("vicuna80", "gpteacher_roleplay", "self_instruct_seed", "pandalm", "llmbar")
SETS = {
    "adds": PROSE, "concise": PROSE, "readable": PROSE, "constraints": ("ifeval",),
    "likelihood": PROSE,
}  # fmt: skip
LABELLED = ("llmbar", "hhh", "pandalm")
Rows = list[dict[str, Any]]


class Store:
    """Records of finished work, by what they are of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text("utf8").split("\n") if path.exists() else []
        found = [json.loads(line) for line in lines if line.endswith("}")]
        self.known = {self._key(one): one for one in found}

    @staticmethod
    def _key(record: Mapping[str, Any]) -> str:
        return json.dumps(record["of"], sort_keys=True)

    def get(self, of: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """The record of that, made now if it is not there."""
        key = json.dumps(of, sort_keys=True)
        if key not in self.known:
            record = {"of": dict(of), **make()}
            with self.path.open("a", encoding="utf8") as file:
                file.write(json.dumps(record) + "\n")
            self.known[key] = record
        return self.known[key]


def _by_hash(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: sha256(str(row["id"]).encode()).hexdigest())


def _read(path: Path) -> Rows:
    with path.open(encoding="utf8", newline="\n") as file:
        return [json.loads(line) for line in file if line.strip()]


def evolving_rows(data: Path, metric: str, words: Sequence[int], n: int) -> tuple[Rows, Rows]:
    """Rows to tune with and held-out ones, at most n each; sets take turns, each by its hash."""

    def fits(row: Mapping[str, Any]) -> bool:
        known = any(one["kind"] in CHECKS for one in row.get("constraints", ()))
        # Answers that keep limits are rare: there longer ones will do.
        most = words[1] * (2 if metric == "constraints" else 1)
        short = words[0] <= n_words(row["response"]) <= most and n_words(row["instruction"]) < 80
        letters = sum(sign.isalpha() or sign.isspace() for sign in row["response"])
        text = letters > 0.85 * len(row["response"])  # no tables, sums or grids
        return short and (known if metric == "constraints" else text)

    found = []
    for name in SETS[metric]:
        folder = data / ("scoring" if name in LABELLED else "evolving")
        rows = [{"response": "".join(row.get("responses", ())[:1]), **row}
                for row in _read(folder / f"{name}.jsonl")]  # fmt: skip
        kept = {row["instruction"]: row for row in _by_hash([r for r in rows if fits(r)])}
        rows = list(kept.values())  # no instruction is in both parts
        found += [(place // 2, name, place % 2, row) for place, row in enumerate(rows)]
    found.sort(key=lambda one: one[:3])
    tuning, rest = ([row for *_, half, row in found if half == side] for side in (0, 1))
    return tuning[:n], rest[:n]


def labelled_rows(data: Path, n: int) -> tuple[Rows, Rows]:
    """Short pairs of which one is the better, to tune with and held-out, at most n each."""
    rows = [row for name in LABELLED for row in _read(data / "scoring" / f"{name}.jsonl")]
    kept = {
        row["instruction"]: row
        for row in _by_hash(rows)
        if "best" in row["labels"]
        and n_words(" ".join([row["instruction"], *row["responses"]])) < 150
    }
    ordered = list(kept.values())[: 2 * n]
    return ordered[::2], ordered[1::2]
