"""Which test of paired differences holds its level on the null simulator, and which sees a gain.

    python benchmarks/acceptance.py
    python benchmarks/acceptance.py --repeats 10000

For each number of rows, differences of two templates that are worth the same (``null``) and of the
best template of one sentence against the seed (``plain``) are drawn many times; printed is how
often each test says "better" at the 5 % level, with two standard errors.
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

from structq.optimize.acceptance import Test, p_value


def differences(world: World, n: int, first: int, added: str) -> list[float]:
    """Gains of a template with a sentence more, less those of the seed's."""
    name, text = "details", PURPOSES["details"]
    return [
        world.reading(row, name, f"{text} {added}").gain - world.reading(row, name, text).gain
        for row in range(first, first + n)
    ]


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
            pool = np.array(differences(world, 5_000, 0, added))
            if world is null:
                # Rows are drawn from a finite pool, whose mean has to be the null's.
                pool -= pool.mean()
            rng = np.random.default_rng(n)
            found = dict.fromkeys(get_args(Test), 0)
            for _ in range(args.repeats):
                drawn = rng.choice(pool, n)
                for test in found:
                    found[test] += p_value(drawn, test, rng) <= 0.05
            shown = "  ".join(
                f"{test} {p:.3f} +- {2 * math.sqrt(p * (1 - p) / args.repeats):.3f}"
                for test, p in ((test, k / args.repeats) for test, k in found.items())
            )
            print(f"{world.kind:<6} {n:>3} rows  {shown}", flush=True)


if __name__ == "__main__":
    main()
