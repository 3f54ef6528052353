"""Which test of paired differences holds its level on the null simulator, and which sees a gain.

    python benchmarks/acceptance.py
    python benchmarks/acceptance.py --repeats 10000

For each number of rows, differences of two templates that are worth the same (``null``) and of the
best template of one sentence against the seed (``plain``) are drawn many times; printed is how
often each test says "better" at the 5 % level, with two standard errors. ``adjusted`` is the
sign-flip of differences from which the chance readings of the original are taken out; with fewer
than 15 rows it leaves them as they are.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from typing import get_args

import numpy as np
from simulated.wording import PURPOSES
from simulated.world import World, make_world

from structq.optimize.acceptance import Test, adjust, p_value


def differences(world: World, n: int, first: int, added: str) -> np.ndarray:
    """Gains of a template with a sentence more, less those of the seed's; and of the originals."""
    name, text = "details", PURPOSES["details"]
    found = []
    for row in range(first, first + n):
        mine, theirs = world.reading(row, name, f"{text} {added}"), world.reading(row, name, text)
        found.append((mine.gain - theirs.gain, mine.original - theirs.original))
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2_000)
    parser.add_argument("--rows", nargs="+", type=int, default=[6, 10, 35, 75])
    args = parser.parse_args()
    print(f"python {shlex.join(sys.argv)}", flush=True)
    null, plain = make_world("null", 0), make_world("plain", 0)
    helpful = " ".join(plain.sentences[int(i)] for i in np.argsort(-plain.main)[:3])
    for n in args.rows:
        for world, added in ((null, null.sentences[0]), (plain, helpful)):
            pool = differences(world, 5_000, 0, added)
            if world is null:
                # Rows are drawn from a finite pool, whose mean has to be the null's.
                pool -= pool.mean(axis=0)
            rng = np.random.default_rng(n)
            found = dict.fromkeys([*get_args(Test), "adjusted"], 0)
            for _ in range(args.repeats):
                drawn, readings = rng.choice(pool, n).T
                for test in get_args(Test):
                    found[test] += p_value(drawn, test, rng) <= 0.05
                less = adjust(drawn.tolist(), readings.tolist())
                found["adjusted"] += p_value(less, "sign-flip", rng) <= 0.05
            shown = "  ".join(
                f"{test} {p:.3f} +- {2 * math.sqrt(p * (1 - p) / args.repeats):.3f}"
                for test, p in ((test, k / args.repeats) for test, k in found.items())
            )
            print(f"{world.kind:<6} {n:>3} rows  {shown}", flush=True)


if __name__ == "__main__":
    main()
