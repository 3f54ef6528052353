"""What `structq select` keeps, in which time and memory.

* ``clusters``: 200 clusters of 5 near-copies; the bar is 200 kept, by embeddings and by words.
* ``size``: rows of random numbers, none near another: nothing can be left out, so every row is
  compared with all before it. The bar for 100,000 rows of 256 numbers is a minute on two cores
  and 1 GB. ``copies`` is the same with every row five times, slightly changed; ``n`` stops at a
  tenth of the rows. The first pass makes the rows and takes their numbers over.

Seconds are of the clock and of the processor. On cores that others use, the threads of the linear
algebra wait for one another: OPENBLAS_NUM_THREADS=1 shows what the work itself costs. Memory is the
peak of the whole process so far.

    python benchmarks/selecting.py [--rows N] [--numbers N] [--jobs clusters size copies n]
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from structq.runs.select import choose_rows
from structq.runs.select_settings import SelectSettings

JOBS = ("clusters", "size", "copies", "n")
Row = dict[str, Any]


def row(score: float, text: str = "yes", vector: list[float] | None = None) -> Row:
    return {"instruction": "?", "responses": [text], "scores": [score], "vector": vector}


def clusters(kind: str) -> Iterator[Row]:
    draw = np.random.default_rng(1)
    words = [f"word{place}" for place in range(3_000)]
    pick = random.Random(1)
    for _ in range(200):
        centre, text = draw.standard_normal(256), pick.choices(words, k=60)
        for _ in range(5):
            near, copy = centre + 0.1 * draw.standard_normal(256), list(text)
            copy[pick.randrange(60)] = "other"
            vector = near.tolist() if kind == "embeddings" else None
            yield row(pick.random(), " ".join(copy), vector)


def random_rows(n_rows: int, n_numbers: int, *, copies: int = 1) -> Iterator[Row]:
    draw = np.random.default_rng(2)
    for _ in range(n_rows // copies):
        centre = draw.standard_normal(n_numbers)
        for _ in range(copies):
            vector = centre + (0.1 * draw.standard_normal(n_numbers) if copies > 1 else 0)
            yield row(float(draw.random()), vector=vector.tolist())


def measure(name: str, rows: Iterator[Row], settings: SelectSettings) -> None:
    read = [0.0]

    def timed() -> Iterator[Row]:
        started = time.perf_counter()
        yield from rows
        read[0] = time.perf_counter() - started

    clock, processor = time.perf_counter(), time.process_time()
    found = choose_rows(timed(), settings)
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if _MAC else 1 << 10)
    print(
        f"{name:<22} {found.n_rows:>8,} rows, {len(found.kept):>7,} kept, {clock:6.1f} s "
        f"(first pass {read[0]:5.1f}), processor {processor:6.1f} s, peak {peak:5.0f} MB"
    )


_MAC = sys.platform == "darwin"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--numbers", type=int, default=256)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    chosen = parser.parse_args(arguments)
    by_vector = SelectSettings(embeddings="vector")
    sizes = (chosen.rows, chosen.numbers)
    if "clusters" in chosen.jobs:
        measure("clusters, embeddings", clusters("embeddings"), by_vector)
        measure("clusters, words", clusters("words"), SelectSettings())
    if "n" in chosen.jobs:
        measure("n", random_rows(*sizes), SelectSettings(embeddings="vector", n=chosen.rows // 10))
    if "copies" in chosen.jobs:
        measure("copies", random_rows(*sizes, copies=5), by_vector)
    if "size" in chosen.jobs:
        measure("size", random_rows(*sizes), by_vector)


if __name__ == "__main__":
    main()
