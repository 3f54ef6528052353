"""What LMs are worth as judges: each way to score on labelled rows, beside length and chance.

For each data set, LM and way to score: pairwise accuracy with its 95 % interval (bootstrap over
rows), its paired difference to the longer response, and Spearman's correlation with the labels.
Sets of one response a row have a correlation only. Adversarial and natural pairs of LLMBar stand
apart. The last column is what a calibration is worth: Brier's score of the labels' base rate, and
of curves on rows that they were not fitted to (five folds; a fold whose curve is refused has the
base rate), or why there is none.

    python benchmarks/trust.py [--lm smollm2 ...] [--scoring joint ...] [--form json] [--rows N]
        [--store DIR]

N rows of each set are taken by a hash of their id (0: all), and twice as many where a row has one
response. A likelihood is read once and divided by its tokens or not (sum, mean). Of several LMs,
such as one set of weights behind several engines (which ask alike in one form), each is held
against the first. Answers are kept under DIR: a table that was stopped goes on, and one of more
rows sends only what is missing. The data is the folder that STRUCTQ_DATA names, or
``../shared/data``; nothing of it is shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import structq
from structq.data import SCORING, Row, read_rows
from structq.errors import InputError
from structq.evaluation import Calibration, Judged, Labelled, fit_calibration, judge_report
from structq.journal import Journal
from structq.runs.facts import answers_depend_on
from structq.runs.judging import JudgedRows, judge_rows
from structq.schemas import Form

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
    "likelihood": {"scoring": "likelihood", "length_exponent": 0.0},
}
_FOLDS = 5


def rows_of(folder: Path, name: str, n: int) -> list[Row]:
    rows = list(read_rows(str(folder / "scoring" / f"{name}.jsonl"), SCORING))
    for row in rows:
        subset = str(row.values.get("subset") or "")
        row.values["group"] = subset.split("/")[0] if name == "llmbar" else ""
    rows.sort(key=lambda row: sha256(str(row.values["id"]).encode()).hexdigest())
    if n and sum(len(row.values["responses"]) for row in rows[:n]) < 1.5 * n:
        n *= 2
    return rows[: n or None]


def measure(
    lm: str, way: str, name: str, rows: list[Row], kind: str | None, store: Path,
    form: Form | None,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    scorer = structq.QualityScorer(lm=structq.lm(lm), form=form, **WAYS[way])
    slug = "-".join([lm, way, *([form] if form else []), name]).replace("/", "_")
    started = time.monotonic()
    with Journal(store / f"{slug}.journal", answers_depend_on(scorer)) as journal:
        found = judge_rows(scorer, rows, kind=kind, group="group", journal=journal)
    seconds = time.monotonic() - started
    readings, ids = {way: found.rows}, [identity(values) for values in found.values]
    if way == "likelihood":
        readings = {"likelihood, sum": found.rows, "likelihood, mean": divided(found)}
    for told, judged in readings.items():
        report = judge_report(judged, name=f"{lm}, {told}", cost=found.cost) if judged else {}
        yield {"set": name, "lm": lm, "way": told, "seconds": seconds, "report": report,
               "calibration": calibrated(map(labelled, judged)),
               "values": {i: list(row.over_orders) for i, row in zip(ids, judged, strict=True)
                          if row.measured},
               "left_out": dict(found.left_out)}  # fmt: skip


def identity(values: Mapping[str, Any]) -> str:
    told = repr((values["instruction"], list(values["responses"])))
    return sha256(told.encode()).hexdigest()[:16]


def labelled(row: Judged) -> Labelled:
    return Labelled(raw=row.over_orders, labels=row.labels)


def divided(found: JudgedRows) -> list[Judged]:
    """The same readings, each divided by the tokens of its response."""
    return [
        replace(row, means=[raw / max(1, n) for raw, n in zip(row.best, tokens, strict=True)])
        for row, values in zip(found.rows, found.values, strict=True)
        for tokens in [values["metadata"]["n_tokens"]]
    ]


def calibrated(rows: Iterable[Labelled]) -> str:
    """What curves are worth on rows that they have not seen."""
    known = [one for one in rows if not (one.labels.compares and 0.5 in one.labels.values)]
    levels = sorted({value for one in known for value in one.labels.values})
    errors = {"base rate": list[float](), "calibrated": list[float]()}
    refused = list[str]()
    for fold in range(_FOLDS):
        seen = [one for i, one in enumerate(known) if i % _FOLDS != fold]
        labels = [value for one in seen for value in one.labels.values]
        rate = {f"{level:g}": labels.count(level) / max(1, len(labels)) for level in levels}
        fitted: Calibration | None = None
        try:
            fitted = fit_calibration(seen)
        except InputError as error:
            refused.append(str(error).removeprefix("calibration: "))
        for one in known[fold::_FOLDS]:
            shares = fitted.distributions(one.raw) if fitted else [rate] * len(one.raw)
            for value, found in zip(one.labels.values, shares, strict=True):
                errors["base rate"] += squares(rate, value, levels)
                errors["calibrated"] += squares(found, value, levels)
    if len(refused) == _FOLDS:
        return f"refused: {refused[0]}"
    shown = {name: sum(some) / len(some) for name, some in errors.items()}
    return f"Brier {shown['calibrated']:.4f} ({shown['base rate']:.4f}), {len(refused)} refused"


def squares(shares: Mapping[str, float], label: float, levels: Sequence[float]) -> list[float]:
    """Squared errors of the probability of each level or more."""
    return [
        (sum(p for name, p in shares.items() if float(name) >= level) - (label >= level)) ** 2
        for level in levels[1:]
    ]


def agreement(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """How far each LM agrees with the first on the rows that both have scored, for each way."""
    ways = dict.fromkeys(result["way"] for result in results)
    for way in ways:
        first, *others = [result for result in results if result["way"] == way]
        for other in others:
            mine, theirs = first["values"], other["values"]
            both = [(mine[i], theirs[i]) for i in mine if i in theirs]
            apart = [abs(a - b) for one, two in both for a, b in zip(one, two, strict=True)]
            pairs = [same for one, two in both for same in same_order(one, two)]
            if apart:
                yield (
                    f"  {way}: {other['lm']} beside {first['lm']}, {len(both)} rows: values apart "
                    f"by {sum(apart) / len(apart):.4f} (most {max(apart):.4f}), "
                    f"{sum(pairs)} of {len(pairs)} pairs in the same order"
                )


def same_order(one: Sequence[float], two: Sequence[float]) -> Iterator[bool]:
    """Whether each pair of responses stands in the same order by both; ties are an order too."""
    for i, j in combinations(range(len(one)), 2):
        yield (one[i] > one[j]) - (one[i] < one[j]) == (two[i] > two[j]) - (two[i] < two[j])


def lines(result: dict[str, Any]) -> Iterator[str]:
    report = result["report"]
    head = f"{result['set']:20} {result['lm']:10} {result['way']:17}"
    if not report:
        yield f"{head} no row could be scored: {result['left_out']}"
        return
    figures = list(report["figures"].values())[-1]
    yield f"{head} {told(figures):66} {result['calibration']}"
    yield from (f"  {warning}" for warning in report["warnings"])
    for group, part in report["groups"].items():
        yield f"{'  ' + group:20} {result['lm']:10} {result['way']:17} {told(part)}"


def told(figures: dict[str, Any]) -> str:
    rho = "-" if figures["spearman"] is None else f"{figures['spearman']:+.2f}"
    if not figures["n_pairs"]:
        return f"{figures['n_rows']:5} {'one response a row':51} {rho}"
    accuracy, paired = shown(figures["accuracy"], ".3f"), shown(figures["minus_length"], "+.3f")
    return f"{figures['n_rows']:5} {accuracy} {paired} {rho}"


def shown(figure: Sequence[float | None], form: str) -> str:
    """A figure and its interval, which a single row does not have."""
    value, low, high = ("-" if end is None else format(end, form) for end in figure)
    return f"{value} ({low} to {high})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("STRUCTQ_DATA", "../shared/data")
    )
    parser.add_argument("--lm", nargs="+", default=["smollm2"])
    parser.add_argument("--scoring", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--form", choices=("json", "text"), help="else each LM's own")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--store", type=Path, default=Path(".benchmarks/trust"))
    args = parser.parse_args()
    if not (Path(args.data) / "scoring").is_dir():
        print(f"nothing measured: there is no {args.data}/scoring")
        return
    args.store.mkdir(parents=True, exist_ok=True)
    print(
        f"{'set':20} {'LM':10} {'way':17}  rows accuracy               over length       Spearman  "
        "calibration: Brier's score (base rate's), folds of five refused"
    )
    with (args.store / "results.jsonl").open("a", encoding="utf8") as kept:
        for name in args.sets:
            rows, results = rows_of(Path(args.data), name, args.rows), list[dict[str, Any]]()
            for lm in args.lm:
                for way in args.scoring:
                    for result in measure(lm, way, name, rows, SETS[name], args.store, args.form):
                        kept.write(json.dumps(result) + "\n")
                        print(*lines(result), sep="\n", flush=True)
                        results.append(result)
            print(*agreement(results), sep="\n", end="", flush=True)


if __name__ == "__main__":
    main()
