"""Reading likelihoods on labelled pairs: the rule from one half, its worth on the other.

A response's value is log p(response | instruction) - log p(response | nothing), divided by its
tokens to a power. The sum (power 0) favours what says more, the mean (power 1) what says only what
the instruction asks for. So one power cannot be best for all data, and the rule is stated on the
first half alone: for each data set the power that is best there. The second half shows accuracy,
and paired differences to chance and to the longer response, with 95 % bootstraps over rows. Beside
it stand the expected score that the LM gives where it is asked (independent scoring, 1 to 6) and
two logistic curves, fitted to the first half: over sum, mean and length, and over these with the
asked score. At last, what `structq calibrate` makes of each set, as `trust.py` tells it.

    python benchmarks/likelihood.py [--lm smollm2] [--rows N] [--store FILE] [--data DIR]

N rows of each set are taken (0: all). Values are stored as they come, and a run that was stopped
goes on. The halves are those of a hash of the row's id. The data is the folder that STRUCTQ_DATA
names, or ``../shared/data``; nothing of it is shipped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

from trust import calibrated

import structq
from structq.evaluation import Labelled, Labels, bootstrap_interval, pairwise_agreement

SETS = ("llmbar", "hhh", "pandalm")
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
Kept = Mapping[str, Any]


def read_pairs(folder: Path, n: int) -> list[dict[str, Any]]:
    pairs = []
    for name in SETS:
        with (folder / "scoring" / f"{name}.jsonl").open(encoding="utf8", newline="\n") as file:
            rows = [json.loads(line) | {"set": name} for line in file]
        rows = [row for row in rows if "best" in row["labels"] and len(row["responses"]) == 2]
        pairs += sorted(rows, key=lambda row: hashed(row["id"]))[: n or None]
    return pairs


def hashed(id_: str) -> int:
    return int(sha256(id_.encode()).hexdigest(), 16)


def measure(rows: Sequence[dict[str, Any]], lm: str, store: Path) -> dict[str, Kept]:
    """What is stored of the rows, and what was missing."""
    store.parent.mkdir(parents=True, exist_ok=True)
    lines = store.read_text(encoding="utf8").splitlines() if store.exists() else []
    kept = {one["id"]: one for one in map(json.loads, lines)}
    missing = [row for row in rows if row["id"] not in kept]
    if missing:
        opened = structq.lm(lm)
        reads = structq.QualityScorer(scoring="likelihood", lm=opened)
        asks = structq.QualityScorer(scoring="independent", scale=(1, 6), lm=opened)
    with store.open("a", encoding="utf8") as file:
        for part in _parts(missing, 8):
            both = zip(part, next(reads.process(part)), next(asks.process(part)), strict=True)
            for row, read, asked in both:
                kept[row["id"]] = one = _stored(row, read["metadata"])
                one["asked"] = asked["expected_scores"]
                file.write(json.dumps(one) + "\n")
            file.flush()
            print(f"\r{len(kept)} of {len(rows)} rows", end="", flush=True)
    print()
    whole = (kept[row["id"]] for row in rows)
    return {one["id"]: one for one in whole if one["gains"] and one["asked"]}


def _parts(rows: Iterable[Any], n: int) -> Iterable[list[Any]]:
    rows = list(rows)
    return (rows[i : i + n] for i in range(0, len(rows), n))


def _stored(row: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    calls = facts.get("calls", ())
    return {
        "id": row["id"],
        "set": row["set"],
        "subset": row.get("subset"),
        "best": row["labels"]["best"],
        "gains": facts.get("log_probability_gains"),
        "n_tokens": facts.get("n_tokens"),
        "words": [len(text.split()) for text in row["responses"]],
        "passes": sum(call.get("n_passes") or 0 for call in calls),
    }


def right(rows: Iterable[Kept], values: Callable[[Kept], Sequence[float]]) -> list[float]:
    """Of each pair: 1, 0, or a half for a tie."""
    return [
        pairwise_agreement(values(row), [float(row["best"] == i) for i in (0, 1)])[0]
        for row in rows
    ]


def divided(power: float) -> Callable[[Kept], list[float]]:
    return lambda row: [
        gain / max(1, n) ** power for gain, n in zip(row["gains"], row["n_tokens"], strict=True)
    ]


def by_length(row: Kept) -> list[float]:
    return [float(n) for n in row["words"]]


def best_power(rows: Sequence[Kept]) -> float:
    """The power that is best on the rows; the lowest of equal ones."""
    return max(POWERS, key=lambda power: (sum(right(rows, divided(power))), -power))


def fitted(first: Sequence[Kept], *, asked: bool) -> Callable[[Kept], list[float]]:
    """A logistic curve over sum, mean, length and, if wanted, the asked score of the first half."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def features(row: Kept) -> list[float]:
        values = [divided(0.0)(row), divided(1.0)(row), [math.log(1 + n) for n in row["words"]]]
        found = [one[0] - one[1] for one in (*values, *([row["asked"]] if asked else []))]
        return [math.copysign(math.log1p(abs(one)), one) for one in found]  # tails are heavy

    x, y = [features(row) for row in first], [row["best"] == 0 for row in first]
    model = make_pipeline(StandardScaler(with_mean=False), LogisticRegression(fit_intercept=False))
    model.fit(x + [[-v for v in one] for one in x], y + [not one for one in y])
    return lambda row: [float(model.decision_function([features(row)])[0]), 0.0]


def shown(values: Sequence[float], *, signed: bool = False) -> str:
    found = bootstrap_interval(values)
    form = "{:+.3f}" if signed else "{:.3f}"
    return f"{form.format(found.value)} ({form.format(found.low)} to {form.format(found.high)})"


def report(name: str, rows: Sequence[Kept], values: Callable[[Kept], Sequence[float]]) -> None:
    if not rows:
        return
    judged, longer = right(rows, values), right(rows, by_length)
    over_length = [a - b for a, b in zip(judged, longer, strict=True)]
    over_chance = [one - 0.5 for one in judged]
    print(
        f"{name:28} {len(rows):4} {shown(judged)} chance {shown(over_chance, signed=True)} "
        f"length {shown(over_length, signed=True)}"
    )


def labelled(row: Kept, values: Callable[[Kept], Sequence[float]]) -> Labelled:
    labels = Labels(values=tuple(float(row["best"] == i) for i in (0, 1)), kind="best")
    return Labelled(raw=list(values(row)), labels=labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("STRUCTQ_DATA", "../shared/data")
    )
    parser.add_argument("--lm", default="smollm2")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--store", type=Path, default=Path(".benchmarks/likelihood.jsonl"))
    args = parser.parse_args()
    if not (Path(args.data) / "scoring").is_dir():
        print(f"nothing measured: there is no {args.data}/scoring")
        return
    kept = list(measure(read_pairs(Path(args.data), args.rows), args.lm, args.store).values())
    first = [row for row in kept if hashed(row["id"]) % 2 == 0]
    second = [row for row in kept if hashed(row["id"]) % 2 == 1]
    print(f"first half, {len(first)} pairs: accuracy by power {POWERS}")
    powers = {}
    for name in SETS:
        rows = [row for row in first if row["set"] == name]
        powers[name] = best_power(rows)
        shares = [sum(right(rows, divided(power))) / max(1, len(rows)) for power in POWERS]
        told = " ".join(f"{share:.3f}" for share in shares)
        print(f"  {name:10} {len(rows):4} {told}  the rule: {powers[name]}")
    print("second half: accuracy, and what it is above chance and above the longer response")
    by_rule = {power: divided(power) for power in POWERS}
    rule = lambda row: by_rule[powers[row["set"]]](row)  # noqa: E731
    report("all, by the rule", second, rule)
    for name in SETS:
        report(f"  {name}", [row for row in second if row["set"] == name], rule)
    for group in ("Natural", "Adversarial"):
        some = [row for row in second if str(row["subset"] or "").startswith(group)]
        report(f"    {group}", some, rule)
    for power in (0.0, 1.0):
        report(f"all, power {power:g}", second, divided(power))
    report("all, asked", second, lambda row: row["asked"])
    report("all, with length, fitted", second, fitted(first, asked=False))
    report("all, and asked, fitted", second, fitted(first, asked=True))
    print("calibration over all pairs: Brier's score on folds of five (base rate's), folds refused")
    ways = {"by the rule": rule, "asked": lambda row: row["asked"]}
    for name, (way, values) in product(SETS, ways.items()):
        rows = [labelled(row, values) for row in kept if row["set"] == name]
        print(f"  {name:10} {way:12} {calibrated(rows)}")
    passes = [row["passes"] for row in kept if row["passes"]]
    if passes:
        print(f"{sum(passes) / len(passes):.1f} forward passes a pair")


if __name__ == "__main__":
    main()
