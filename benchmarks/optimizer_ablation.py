"""What each part of the search is worth: the same worlds with the part and without it.

    python benchmarks/optimizer_ablation.py --seeds 8 --first-seed 20 --calls 500

The search is driven without DSPy, by the direct metric and the reflective proposer, so that a run
takes a second or two. An effect is the mean of (all parts - without this one) over all worlds, with
its standard error, in shares of the reachable gain: of what the user gets, and of the candidate,
whether or not its test refused it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

# Small matrices: more threads than one wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from worlds import DEVELOPMENT, PROPOSERS, world
from worlds.engine import Written

from structq.optimize import belief, columns, search
from structq.optimize.proposers import Reflective
from structq.optimize.trials import Answers, Evaluate, Outcome, Space, Trial

Patches = list[tuple[Any, str, Any]]


def _without(*groups: str) -> Patches:
    """Columns of the regression that explain nothing."""
    small = {**belief._START, **dict.fromkeys(groups, 1e-6)}
    tuned = tuple(group for group in belief._TUNED if group not in groups)
    return [(belief, "_START", small), (belief, "_TUNED", tuned)]


_judge: Callable[..., Any] = search.judge
PARTS: dict[str, Patches] = {
    "all": [],
    "patience with long texts": [(belief, "_PATIENCE", {np.inf: 1.0})],
    "pairs": [(columns, "_FEWEST_FOR_PAIRS", 10**9)],
    "whole texts": [
        *_without("text"), (search._Run, "_tried", lambda self, n: []),
    ],
    "tuning of priors": [(belief, "_TUNED", ())],
    "pruning": [(search._Run, "_prune", lambda self, level: None)],
    "test of parts": [(search, "judge", lambda *a, order, **k: (*_judge(*a, **k)[:2], {*order}))],
    "short texts": [(search.Sizes, "draw", lambda self, rng, noise: self._limits[-1])],
    "draws from the belief": [
        (belief.Values, "draw", lambda self, rng: self),
    ],
}  # fmt: skip


def share(family: str, seed: int, calls: int, proposer: str) -> tuple[float, float]:
    """Of the reachable gain: what the user gets, and the candidate."""
    place = world(family, seed, proposer=proposer)
    rows = {"train": place.train, "val": place.val}
    known: dict[Trial, Outcome] = {}
    asked: dict[str, int] = {}
    n_left = calls
    steps = search.template_search(
        Space.of(place.seeds), n_train=len(place.train), n_val=len(place.val), max_calls=calls,
        calls_per_trial=1, proposers=[Reflective()], seed=seed,
        rows=[(row["instruction"], row["response"]) for row in place.train],
    )  # fmt: skip
    answers: Answers | None = None
    while True:
        try:
            step = next(steps) if answers is None else steps.send(answers)
        except StopIteration as end:
            return place.share(end.value.chosen), place.share(end.value.best)
        if isinstance(step, Evaluate):
            for trial in (t for t in step.trials if t not in known):
                row = rows[trial.split][trial.row]
                text = trial.texts[0][1]
                evolved = place._write(Written(text, row["instruction"], row["response"]))
                gain = place.metric(None, SimpleNamespace(evolved_response=evolved))
                known[trial] = Outcome(trial=trial, gain=gain, n_calls=1, evolved=evolved)
                n_left -= 1
            outcomes = tuple(known[trial] for trial in step.trials)
            answers = Answers(n_left=n_left, outcomes=outcomes)
        else:
            replies = []
            for prompt in step.prompts:
                asked[prompt] = asked.get(prompt, -1) + 1
                replies.append(place.engine.propose(prompt, asked[prompt]))
            n_left -= len(replies)
            answers = Answers(n_left=n_left, replies=tuple(replies))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8, help="worlds of each family")
    parser.add_argument("--first-seed", type=int, default=20)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--proposer", default="good", choices=PROPOSERS)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    args = parser.parse_args(arguments)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    found = {}
    print(f"| without | {' | '.join(DEVELOPMENT)} | all: effect | of the candidate |", flush=True)
    print("|---" * (3 + len(DEVELOPMENT)) + "|", flush=True)
    for part in dict.fromkeys(["all", *args.parts]):
        with ExitStack() as stack:
            for where, name, value in PARTS[part]:
                stack.enter_context(patch.object(where, name, value))
            found[part] = np.array(
                [[share(f, s, args.calls, args.proposer) for s in seeds] for f in DEVELOPMENT]
            )
        means = " | ".join(f"{mean:.2f}" for mean in found[part][:, :, 0].mean(axis=1))
        effects = " | ".join(_effect(found["all"][..., i] - found[part][..., i]) for i in (0, 1))
        print(f"| {part} | {means} | {effects} |", flush=True)


def _effect(differences: np.ndarray) -> str:
    """Mean over families, and its standard error over worlds."""
    n_families, n = differences.shape
    error = np.sqrt((differences.var(axis=1, ddof=1) / n).sum()) / n_families
    return f"{differences.mean():+.3f} +- {error:.3f}"


if __name__ == "__main__":
    main()
