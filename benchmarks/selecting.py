"""What `structq select` keeps, in which time and memory.

* ``clusters``: 200 clusters of 5 near-copies; the bar is 200 kept, by embeddings and by words.
* ``size``: rows of random numbers, none near another: nothing can be left out, so every row is
  compared with all before it. The bar for 100,000 rows of 256 numbers is a minute on two cores
  and 1 GB. ``copies`` is the same with every row five times, slightly changed; ``n`` stops at a
  tenth of the rows. The first pass makes the rows and takes their numbers over.
* ``lm``: cosines between the hidden states of ``--lm``, of rows of ``--data`` with copies in which
  two words are others, and what is kept at the default bound.

Seconds are of the clock and of the processor. On cores that others use, the threads of the linear
algebra wait for one another: OPENBLAS_NUM_THREADS=1 shows what the work itself costs. Memory is the
peak of the whole process so far.

    python benchmarks/selecting.py [--rows N] [--numbers N] [--jobs clusters size copies n]
    python benchmarks/selecting.py --jobs lm [--lm smollm2] --data ROWS.jsonl...
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from structq.errors import InputError
from structq.export.scored import read_scored
from structq.runs.select import choose_rows
from structq.runs.select_settings import SelectSettings
from structq.runs.similarity import Matrix, distinct_rows
from structq.runs.vectors import LMVectors

JOBS = ("clusters", "size", "copies", "n", "lm")
OTHER_WORDS = ("also", "very", "here", "simply", "new", "large", "blue", "quickly")
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


def short_rows(files: Sequence[Path], *, most: int, length: int = 400) -> Iterator[tuple[str, str]]:
    """Instructions and responses that are short together, so many at most of each file."""
    for file in files:
        rows = map(json.loads, file.read_text("utf8").splitlines())
        pairs = ((one["instruction"], one["response"]) for one in rows)
        yield from [pair for pair in pairs if sum(map(len, pair)) < length and all(pair)][:most]


class WithoutCentre(LMVectors):
    """Keeps the means as they are, too."""

    def _prepared(self, vectors: Matrix) -> Matrix:
        self.means = vectors.copy()
        return super()._prepared(vectors)


def states_of_lm(spec: str, files: Sequence[Path], *, most: int) -> None:
    pairs = list(short_rows(files, most=most))
    if not pairs:
        print("lm                     skipped: no --data with short rows")
        return
    try:
        features = WithoutCentre(spec)
    except InputError as error:
        print(f"lm                     skipped: {error}")
        return
    pick, started = random.Random(1), time.perf_counter()
    for edited in (False, True):
        for instruction, response in pairs:
            words = response.split(" ")
            for _ in range(2 if edited else 0):
                words[pick.randrange(len(words))] = pick.choice(OTHER_WORDS)
            texts = {"instruction": instruction, "responses": [" ".join(words)], "scores": [1]}
            features.add(texts, read_scored(texts))
    seconds, n = time.perf_counter() - started, len(pairs)
    found = features.directions(np.arange(2 * n))
    near = np.einsum("ij,ij->i", found[:n], found[n:])
    apart = (found[:n] @ found[:n].T)[np.triu_indices(n, 1)]
    parts = ((near, "copies", (0, 5, 50)), (apart, "other rows", (50, 95, 99, 100)))
    for cosines, name, shares in parts:
        told = (f"{share}% {np.percentile(cosines, share):.3f}" for share in shares)
        print(f"lm {spec}, {name:<12} cosines: {', '.join(told)}")
    for name, vectors in (("", found), (", no centre", features.means)):
        kept = np.array(list(distinct_rows(vectors, 0.9)))
        n_rows = int(np.sum(kept < n))
        print(f"lm {spec}, kept at .9{name}: {n_rows} of {n} rows, {len(kept) - n_rows} copies")
    print(f"lm {spec}, {1000 * seconds / (2 * n):.0f} ms a row of {_words(pairs):.0f} words")


def _words(pairs: Sequence[tuple[str, str]]) -> float:
    return float(np.mean([len(" ".join(pair).split()) for pair in pairs]))


_MAC = sys.platform == "darwin"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--numbers", type=int, default=256)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--lm", default="smollm2")
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--most", type=int, default=5, help="rows of a file of --data")
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
    if "lm" in chosen.jobs:
        states_of_lm(chosen.lm, chosen.data, most=chosen.most)


if __name__ == "__main__":
    main()
