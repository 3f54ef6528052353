"""Templates tuned for smollm2 beside the defaults, COPRO and GEPA, on rows that none has seen.

Metrics need no judge but the last: `adds` (keeps numbers, names and code, and adds two sentences of
content), `concise` (keeps them and its content in up to 40 % fewer words), `readable` (after six
years of school, and says the same), `constraints` (IFEval's limits still hold), `likelihood`
(QualityGain, read from smollm2's own probabilities, 0.5 for no difference). All methods have the
same rows, the same student and as many LM calls; a held-out row meets one mutation, the same for
all.

    python benchmarks/optimize_real.py --data DIR [--metrics adds ...] [--methods structq ...]
        [--calls 600] [--seeds 0 1 2] [--store FILE]
    python benchmarks/optimize_real.py --texts TEXT ... --data DIR [--metrics adds ...]
    python benchmarks/optimize_real.py --criteria --data DIR

TEXT takes the place of each template, which "{template}" in it stands for: what texts of one's own
are worth, on the rows to tune with.

Each finished run and each held-out row is a line of the store, and answers of the LM are kept
beside it: what was stopped goes on. Of the data nothing is shipped.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

import dspy
import numpy as np
from real.answers import Answers, counted
from real.constraints import keeps_constraints
from real.rivals import copro, gepa
from real.rows import SETS, Rows, Store, evolving_rows, labelled_rows

import structq
from structq.cli.options import lm_options
from structq.errors import StructqError
from structq.evaluation import Agreement
from structq.optimize.metrics import adds, concise, readable

COST = {"likelihood": 5}
"""LM calls of a trial, where not one: an evolution and four readings."""


def metric_of(name: str, lm: dspy.LM) -> Any:
    """The metric, from 0 to 1."""
    if name == "likelihood":
        scorer = structq.QualityScorer(scoring="likelihood", lm=lm)
        return structq.QualityGain(scorer, shifted=True)
    plain: dict[str, Any] = {
        "adds": adds, "concise": concise, "readable": partial(readable, grade=6),
        "constraints": keeps_constraints,
    }  # fmt: skip
    return plain[name]


def told(metric: Any, example: Any, prediction: Any) -> Any:
    """Score and feedback, also of a ``QualityGain``."""
    if not isinstance(metric, structq.QualityGain):
        return metric(example, prediction)
    return metric(example, prediction, None, "program", None)


def tune(
    method: str, name: str, rows: Rows, lm: dspy.LM, options: argparse.Namespace, seed: int
) -> dict[str, Any]:
    """One run of one method: templates, calls, seconds."""
    student = structq.EvolQuality(lm=lm, max_growth=options.growth, n_in_flight=16)
    metric, started = metric_of(name, lm), time.monotonic()
    if method == "structq":
        optimizer = structq.TemplateOptimizer(metric, max_lm_calls=options.calls, seed=seed)
        found = optimizer.compile(student, trainset=rows).optimization
        result = {
            "templates": dict(found.finding.chosen), "candidate": dict(found.candidate),
            "accepted": found.verdict.accepted, "ended": found.verdict.reason,
            "n_calls": found.n_calls, "history": list(found.history),
        }  # fmt: skip
    else:
        rival = {"copro": copro, "gepa": gepa}[method]
        cost = COST.get(name, 1)
        judged = partial(told, metric)
        result = rival(student, lm, judged, rows, calls=options.calls, cost=cost, seed=seed)
        result["n_calls"] = lm.engine.calls
    return {**result, "seconds": round(time.monotonic() - started, 1)}


def held_out(
    name: str, templates: Mapping[str, str], rows: Rows, lm: dspy.LM, store: Store,
    given: Mapping[str, Any],
) -> list[float]:  # fmt: skip
    """The metric of each row, by the mutation that is its turn; a failure counts 0."""
    student = structq.EvolQuality(
        lm=lm, max_growth=given["growth"], mutation_templates=dict(templates)
    )
    metric, names = metric_of(name, lm), list(templates)

    def measured(row: Mapping[str, Any], mutation: str) -> dict[str, Any]:
        example = dspy.Example(**row).with_inputs("instruction", "response")
        try:
            prediction = student(**example.inputs(), mutation=mutation)
        except StructqError as error:
            return {"value": 0.0, "failure": str(error)[:300]}
        found = told(metric, example, prediction)
        return {"value": float(found.score), "evolved": prediction.evolved_response}

    def one(place: int) -> float:
        row, mutation = rows[place], names[place % len(names)]
        template = sha256(templates[mutation].encode()).hexdigest()[:12]
        of = {"metric": name, "row": row["id"], "mutation": mutation, "template": template}
        return float(store.get({**of, **given}, lambda: measured(row, mutation))["value"])

    run = dspy.Parallel(num_threads=16, disable_progress_bar=True, max_errors=10**6)
    return list(run([(one, (place,)) for place in range(len(rows))]))


def interval(differences: Sequence[float]) -> tuple[float, float, float]:
    """Mean and its 95 % interval by a bootstrap over rows."""
    values = np.asarray(differences)
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (9_999, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(values.mean()), float(low), float(high)


def compare(lm: dspy.LM, options: argparse.Namespace) -> Iterator[str]:
    """The lines of the table, as they are known."""
    store, answers = Store(options.store), Answers(options.store.with_suffix(".answers"))
    yield f"{'metric':11} {'method':9} {'default':>7} {'tuned':>6} {'difference, 95 %':25} seeds"
    for name in options.metrics:
        tuning, rows = evolving_rows(options.data, name, options.words, options.rows)
        given = {"lm": options.lm, "growth": options.growth}
        free = partial(held_out, name, rows=rows, lm=counted(lm, answers), store=store, given=given)
        base = free(structq.EvolQuality().mutation_templates)
        for method in options.methods:
            runs, tuned = [], []
            for seed in options.seeds:
                limit = None if method == "structq" else options.calls
                own = counted(lm, answers, calls=limit, seed=seed)
                of = {"metric": name, "method": method, "calls": options.calls, "seed": seed,
                      "rows": len(tuning), "words": list(options.words), **given}  # fmt: skip
                run = store.get(of, partial(tune, method, name, tuning, own, options, seed))
                runs.append(run)
                tuned.append(free(run["templates"]))
                if run.get("accepted") is False and run["candidate"] != run["templates"]:
                    yield f"  refused (seed {seed}): {fmean(free(run['candidate'])):.3f} held out"
            yield _line(name, method, base, tuned, runs)
            yield from _texts(runs)


def by_hand(lm: dspy.LM, options: argparse.Namespace) -> Iterator[str]:
    """What texts that were not searched for are worth, beside the defaults; and what fails."""
    store, answers = Store(options.store), Answers(options.store.with_suffix(".answers"))
    defaults = structq.EvolQuality().mutation_templates
    given = {"lm": options.lm, "growth": options.growth}
    for name in options.metrics:
        rows, _ = evolving_rows(options.data, name, options.words, options.rows)
        base: list[float] = []
        for text in ("{template}", *options.texts):
            templates = {key: text.replace("{template}", own) for key, own in defaults.items()}
            values = held_out(name, templates, rows, counted(lm, answers), store, given)
            base = base or values
            mean, low, high = interval(np.asarray(values) - np.asarray(base))
            yield (
                f"{name:11} {fmean(values):.3f} {mean:+.3f} ({low:+.3f} to {high:+.3f}) "
                f"{failures(name, templates, rows, store, given)} {text}"
            )


def failures(
    name: str, templates: Mapping[str, str], rows: Rows, store: Store, given: Mapping[str, Any]
) -> str:
    """How many of the rows failed, and how many of them because nothing had changed."""
    marks = {sha256(text.encode()).hexdigest()[:12] for text in templates.values()}
    here, ids = {"metric": name, **given}.items(), {row["id"] for row in rows}
    told = [
        one["failure"] for one in store.known.values()
        if "failure" in one and here <= one["of"].items()
        and one["of"]["template"] in marks and one["of"]["row"] in ids
    ]  # fmt: skip
    return f"{len(told)} failed, {sum('unchanged' in one for one in told)} unchanged:"


def _line(name: str, method: str, base: list[float], tuned: list[list[float]], runs: Rows) -> str:
    each = [fmean(values) - fmean(base) for values in tuned]
    mean, low, high = interval(np.mean(tuned, axis=0) - np.asarray(base))
    seconds, calls = fmean(r["seconds"] for r in runs), fmean(r["n_calls"] for r in runs)
    return (
        f"{name:11} {method:9} {fmean(base):7.3f} {fmean(base) + mean:6.3f} "
        f"{mean:+.3f} ({low:+.3f} to {high:+.3f}) {' '.join(f'{e:+.3f}' for e in each)}; "
        f"{len(base)} rows, {calls:.0f} calls, {seconds:.0f} s"
    )


def _texts(runs: Rows) -> Iterator[str]:
    for run in runs:
        yield f"  seed {run['of']['seed']}: {run['ended']}"
        for mutation, text in run.get("candidate", run["templates"]).items():
            if text != structq.EvolQuality().mutation_templates[mutation]:
                yield f"    {mutation}: {text}"


def criteria(lm: dspy.LM, options: argparse.Namespace) -> Iterator[str]:
    """A scorer's criteria tuned on one half of the labelled pairs, and the verdict on the other."""
    store, answers = Store(options.store), Answers(options.store.with_suffix(".answers"))
    tuning, rest = labelled_rows(options.data, options.rows)

    def judge(lm: dspy.LM, text: str | None = None) -> structq.QualityScorer:
        return structq.QualityScorer(lm=lm, permutations=2, criteria=text, n_in_flight=16)

    def found(seed: int) -> dict[str, Any]:
        own, started = counted(lm, answers, seed=seed), time.monotonic()
        optimizer = structq.TemplateOptimizer(Agreement(), max_lm_calls=options.calls, seed=seed)
        result = optimizer.compile(judge(own), trainset=tuning).optimization
        return {"candidate": result.candidate["score"], "accepted": result.verdict.accepted,
                "ended": result.verdict.reason, "n_calls": result.n_calls,
                "seconds": round(time.monotonic() - started, 1)}  # fmt: skip

    def agreement(text: str | None) -> list[float]:
        batches = judge(counted(lm, answers), text).process(rest)
        done = [scored for batch in batches for scored in batch]
        return [Agreement()(row, scored) for row, scored in zip(rest, done, strict=True)]

    base = agreement(None)
    yield f"default criteria: {fmean(base):.3f} of {len(rest)} held-out pairs, both orders"
    for seed in options.seeds:
        of = {
            "criteria": "tuned",
            "lm": options.lm,
            "calls": options.calls,
            "seed": seed,
            "rows": len(tuning),
        }
        run = store.get(of, partial(found, seed))
        values = agreement(run["candidate"])
        mean, low, high = interval(np.asarray(values) - np.asarray(base))
        verdict = "kept" if run["accepted"] else "refused"
        yield (
            f"seed {seed}: {fmean(values):.3f}, {mean:+.3f} ({low:+.3f} to {high:+.3f}), {verdict} "
            f"by its own test ({run['ended']}), {run['n_calls']} calls, {run['seconds']:.0f} s"
        )
        yield f"    {run['candidate']}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("STRUCTQ_DATA", "../shared/data"))
    )
    parser.add_argument("--lm", default="smollm2")
    parser.add_argument("--metrics", nargs="+", choices=SETS, default=list(SETS))
    methods = ("structq", "copro", "gepa")
    parser.add_argument("--methods", nargs="+", choices=methods, default=list(methods))
    parser.add_argument("--calls", type=int, default=600)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rows", type=int, default=60, help="at most, to tune and held out each")
    parser.add_argument("--words", nargs=2, type=int, default=[12, 45], help="of the original")
    parser.add_argument("--growth", type=float, default=2.0, help="max_growth of the student")
    parser.add_argument("--max-tokens", type=int, default=160)
    parser.add_argument("--lm-option", nargs="*", default=[], metavar="NAME=VALUE")
    parser.add_argument("--texts", nargs="+", help="instead: what texts of your own are worth")
    parser.add_argument("--criteria", action="store_true", help="a scorer's criteria instead")
    parser.add_argument(
        "--store", type=Path, default=Path(".benchmarks/optimize_real/results.jsonl")
    )
    options = parser.parse_args(arguments)
    if not (options.data / "evolving").is_dir():
        print(f"nothing measured: there is no {options.data}/evolving")
        return
    told_lm = {"max_tokens": options.max_tokens, "lm_option": options.lm_option}
    lm = structq.lm(options.lm, **lm_options(told_lm, seed=0))
    job = criteria if options.criteria else by_hand if options.texts else compare
    for line in job(lm, options):
        print(line, flush=True)


if __name__ == "__main__":
    main()
