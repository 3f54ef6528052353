"""Who tunes templates best: shares of the reachable gain in simulated worlds, at equal LM calls.

    python benchmarks/optimizer_worlds.py --seeds 20 --store worlds.jsonl
    python benchmarks/optimizer_worlds.py --seeds 20 --methods structq ridge --calls 500 \
        --proposer ignorant --metric judge --judge length
    python benchmarks/optimizer_worlds.py --seeds 100 --null --calls 500
    python benchmarks/optimizer_worlds.py --seeds 20 --options '{"proposer": "auto"}' --label auto

The truth of a world is exact (see ``worlds/``), so a result is computed and not estimated: share =
(result - seed) / (best - seed), where best is the best that can be written of the sentences that
the proposing LM knows. A result that a method's own test refused counts 0. The table has means and
standard errors over worlds. With ``--null`` all templates are worth the same, and it has how often
templates were changed all the same, with exact (Clopper-Pearson) 95 % intervals.

The methods: ``structq``, by its public interface; ``ridge``, a plain reference (a ridge on
sentences, Thompson sampling, one test); ``random`` with full evaluation; DSPy's ``copro``,
``mipro`` (MIPROv2 without demos) and ``gepa``. All ask the same LM for proposals and pay one call
for each, one for an evolution and, with ``--metric judge``, one for its scores; the world counts.

Each run that has ended is a line of the store; what is there already is not run again. Lines are
known by their settings, and not by structq's code: give ``--label`` where that changes.

``--held-out`` runs the family that nothing was developed with, in place of the others. It is there
to be run once.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import product
from pathlib import Path
from typing import Any

# Small matrices: more threads than one wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.stats import binomtest
from worlds import DEVELOPMENT, HELD_OUT, JUDGES, PROPOSERS
from worlds.compare import METHODS, Job, Run, run
from worlds.trials import METRICS


class Store:
    """Runs that have ended, one JSON line each; without a file, only those of this process."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.runs: dict[str, Run] = {}
        if path is None or not path.exists():
            return
        whole, _, torn = path.read_bytes().rpartition(b"\n")
        if torn:
            print(f"{path}: its last line is incomplete, and left out", flush=True)
            path.write_bytes(whole + b"\n" if whole else b"")
        for line in whole.splitlines():
            self._keep(Run.from_json(json.loads(line)))

    def add(self, run: Run) -> None:
        self._keep(run)
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(run.to_json()) + "\n")

    def get(self, job: Job) -> Run | None:
        return self.runs.get(_key(job))

    def _keep(self, run: Run) -> None:
        self.runs[_key(run.job)] = run


def _key(job: Job) -> str:
    return json.dumps(vars(job), sort_keys=True)


def finish(jobs: Sequence[Job], store: Store, n_processes: int) -> None:
    """Runs what the store has not."""
    todo = [job for job in jobs if store.get(job) is None]
    if not todo:
        return
    print(f"{len(jobs) - len(todo)} of {len(jobs)} runs are done already", flush=True)
    if n_processes == 1:
        for job in todo:
            store.add(run(job))
        return
    pool = ProcessPoolExecutor(n_processes)
    try:
        for future in as_completed([pool.submit(run, job) for job in todo]):
            store.add(future.result())
    finally:
        pool.shutdown(cancel_futures=True)


def shares(runs: Sequence[Run]) -> str:
    """Mean and standard error over worlds."""
    values = np.array([run.share for run in runs])
    error = f"{values.std(ddof=1) / len(values) ** 0.5:.2f}" if len(values) > 1 else "?"
    refused = sum(run.refused for run in runs)
    return f"{values.mean():.2f} +- {error}" + (f" ({refused} refused)" if refused else "")


def false_promises(runs: Sequence[Run]) -> str:
    """How many changed templates, and the exact interval of how many do."""
    k, n = sum(run.changed for run in runs), len(runs)
    low, high = binomtest(k, n).proportion_ci(0.95, method="exact")
    return f"{k}/{n} [{low:.2f}, {high:.2f}]"


def table(jobs: Sequence[Job], store: Store, *, null: bool) -> Iterator[str]:
    """One line a family and number of calls, one column a method; last, all families together."""
    methods = list(dict.fromkeys(job.method for job in jobs))
    families = list(dict.fromkeys(job.family for job in jobs))
    cell = false_promises if null else shares
    yield "| world | calls | " + " | ".join(methods) + " |"
    yield "|---" * (2 + len(methods)) + "|"
    groups = [(family, [family]) for family in families]
    groups += [("all", families)] if len(families) > 1 else []
    for (name, members), calls in product(groups, dict.fromkeys(job.calls for job in jobs)):
        cells = []
        for method in methods:
            wanted = [job for job in jobs if (job.method, job.calls) == (method, calls)]
            runs = [store.get(job) for job in wanted if job.family in members]
            cells.append(cell([run for run in runs if run is not None]))
        yield f"| {name} | {calls} | " + " | ".join(cells) + " |"


def jobs_of(args: argparse.Namespace) -> list[Job]:
    families = [HELD_OUT] if args.held_out else args.families
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    own: dict[str, Any] = {"options": args.options, "label": args.label}
    return [
        Job(
            method=method, family=family, seed=seed, calls=calls, proposer=args.proposer,
            judge=args.judge, metric=args.metric, null=args.null,
            **(own if method == "structq" else {}),
        )
        for calls, seed, family, method in product(args.calls, seeds, families, args.methods)
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--families", nargs="+", default=list(DEVELOPMENT), choices=DEVELOPMENT)
    which.add_argument("--held-out", action="store_true", help="the held-out family alone")
    parser.add_argument("--seeds", type=int, default=10, help="worlds of each family")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--calls", nargs="+", type=int, default=[500, 2_000])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--proposer", default="good", choices=PROPOSERS)
    parser.add_argument("--metric", default="direct", choices=METRICS)
    parser.add_argument("--judge", default="fair", choices=JUDGES, help="for --metric judge")
    parser.add_argument("--null", action="store_true", help="nothing matters: false promises")
    parser.add_argument("--options", type=json.loads, default={}, help="structq's, a JSON object")
    parser.add_argument("--label", default="", help="which code of structq this is")
    parser.add_argument("--store", type=Path, help="a JSON Lines file of runs that have ended")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args(arguments)
    print(f"python {shlex.join(sys.argv)}", flush=True)
    jobs, store = jobs_of(args), Store(args.store)
    finish(jobs, store, args.processes)
    print("\n".join(table(jobs, store, null=args.null)), flush=True)


if __name__ == "__main__":
    main()
