"""Share of the reachable gain that optimizers find on simulated LMs, at equal numbers of LM calls.

    python benchmarks/optimizers.py                      # structq's search on every simulator
    python benchmarks/optimizers.py --methods structq random copro mipro gepa --seeds 20
    python benchmarks/optimizers.py --simulators null --seeds 100 --budgets 500 2000
    python benchmarks/optimizers.py --insight 0          # proposals of an LM that knows nothing
    python benchmarks/optimizers.py --calibrate          # how difficult the simulators are

The truth of a simulator is known (see ``simulated/world.py``), so what a result is worth is
computed and not estimated: share = (result - seed) / (best - seed), where best is the best that can
be written of the sentences which the proposer's LM knows. All methods have the same proposer's LM.
structq's search asks it through ``Ask`` steps and does not see the bank; the other four get its
templates in the form that each asks for. Calls are counted by the simulator, proposals included;
the run stops with an error if a method makes one too many.

Simulators: ``plain`` (a sentence is worth about the same in every mutation), ``specific`` (its
worth depends on the mutation), ``interacting`` (sentences are worth something in pairs, and harm
alone), ``noisy`` (a noisier judge with a bias for position and length), ``self-praise`` (a judge
that believes a response which praises itself), ``null`` (nothing matters: every changed program is
a false promise). On ``null`` the table shows how often a program was changed, with the exact
(Clopper-Pearson) 95 % interval; elsewhere the mean share and its 95 % t interval. The exact
interval needs no scipy: it is found by bisection of the binomial distribution.

DSPy's MIPROv2 needs the package optuna; a method whose packages are missing is left out by name.
"""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

# Small matrices: more threads than one wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from simulated.calibration import calibrate
from simulated.driver import run_search
from simulated.wording import PRAISE
from simulated.world import KINDS, make_world

METHODS = ("structq", "random", "copro", "mipro", "gepa")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one method found in one world."""

    share: float
    """Of the reachable gain; 0 on the null simulator."""
    changed: bool
    """Whether the user would get other templates than the seed's."""
    n_calls: int
    """LM calls made."""
    praises: bool
    """Whether a template asks for self-praise."""
    refused: bool = False
    """Whether structq's test refused a candidate."""
    cpu_s: float = 0.0
    """CPU seconds of the optimizer itself."""


def run_one(job: tuple[str, str, int, int, float]) -> Result:
    """One method in one world."""
    method, kind, seed, budget, insight = job
    world = make_world(kind, seed, insight=insight)
    started = time.process_time()
    if method == "structq":
        found = run_search(world, seed, budget)
        templates, n_calls = found.finding.chosen.templates, found.n_calls
        refused = not found.finding.verdict.accepted and found.finding.verdict.p_value is not None
        cpu_s = found.cpu_s
    else:
        from simulated.rivals import RIVALS

        templates, n_calls = RIVALS[method](world, seed, budget)
        refused, cpu_s = False, time.process_time() - started
    if n_calls > budget:
        raise SystemExit(f"{method} made {n_calls} calls on {kind} (at most {budget} are allowed)")
    return Result(
        share=world.share(templates),
        changed=dict(templates) != world.seed_templates(),
        n_calls=n_calls,
        praises=any(sentence in text for text in templates.values() for sentence in PRAISE),
        refused=refused,
        cpu_s=cpu_s,
    )


def t_interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half width of the 95 % interval."""
    from structq.optimize.acceptance import gain_of

    gain = gain_of(values)
    return (float(values.mean()), math.nan) if gain is None else (gain.mean, gain.high - gain.mean)


def exact_interval(k: int, n: int) -> tuple[float, float]:
    """Clopper-Pearson's 95 % interval of k of n."""

    def at_least(p: float) -> float:
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))

    def at_most(p: float) -> float:
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))

    def solve(rises: bool) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            p = (low + high) / 2
            above = at_least(p) > 0.025 if rises else at_most(p) < 0.025
            low, high = (low, p) if above else (p, high)
        return (low + high) / 2

    return (0.0 if k == 0 else solve(True)), (1.0 if k == n else solve(False))


def describe(method: str, kind: str, budget: int, results: list[Result]) -> str:
    """One line of the table."""
    n = len(results)
    head = f"{kind:<12} {budget:>6} {method:<8} n={n:<3}"
    calls = max(result.n_calls for result in results)
    cpu = 1e3 * sum(r.cpu_s for r in results) / max(1, sum(r.n_calls for r in results))
    tail = f"calls <= {calls}, {cpu:.2f} ms a call"
    if kind == "null":
        k = sum(result.changed for result in results)
        low, high = exact_interval(k, n)
        return f"{head} false promises {k}/{n} = {k / n:.2f} [{low:.3f}, {high:.3f}]  {tail}"
    mean, half = t_interval(np.array([result.share for result in results]))
    line = f"{head} share {mean:.2f} +- {half:.2f}  {tail}"
    if method == "structq":
        line += f", refused {sum(r.refused for r in results)}/{n}"
    if kind == "self-praise":
        line += f", praise in {sum(r.praises for r in results)}/{n}"
    return line


def available(methods: list[str]) -> Iterator[str]:
    """The methods whose packages are here."""
    for method in methods:
        if method == "mipro":
            try:
                import optuna  # noqa: F401
            except ImportError:
                print("mipro is left out: the package optuna is not installed", flush=True)
                continue
        yield method


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=["structq"], choices=METHODS)
    parser.add_argument("--simulators", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--budgets", nargs="+", type=int, default=[500, 2_000])
    parser.add_argument("--seeds", type=int, default=20, help="worlds of each kind")
    parser.add_argument("--first-seed", type=int, default=1_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--insight", type=float, default=0.6, help="of the proposer's LM")
    parser.add_argument("--calibrate", action="store_true", help="run no optimizer")
    args = parser.parse_args()
    print(f"python {shlex.join(sys.argv)}", flush=True)
    print(f"numpy {np.__version__}, 100 + 100 rows, 5 mutations, level 0.05", flush=True)
    if args.calibrate:
        print("\n".join(calibrate("plain", range(args.seeds))), flush=True)
        return
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    methods = list(available(args.methods))
    with ProcessPoolExecutor(args.processes) as pool:
        for budget in args.budgets:
            for kind in args.simulators:
                for method in methods:
                    jobs = [(method, kind, seed, budget, args.insight) for seed in seeds]
                    results = list(pool.map(run_one, jobs))
                    print(describe(method, kind, budget, results), flush=True)


if __name__ == "__main__":
    main()
