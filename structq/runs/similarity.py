"""Which rows are unlike all that were kept before them; knows vectors and signatures alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["distinct_rows"]

Matrix = NDArray[np.float32]

_BLOCK = 512
"""Rows that are compared at a time."""
_TILE = 2_048
"""Kept rows that they are compared with at a time: 4 MB, which stay near the processor."""
_SAMPLE = 2_048


def distinct_rows(vectors: Matrix, max_similarity: float) -> Iterator[int]:
    """Rows whose cosine to every row kept before them is at most a bound, in order.

    Exact: a cheap upper bound spares most comparisons, and what it does not spare is compared in
    full. The vectors are turned so that their first numbers say most; by Cauchy and Schwarz, a
    cosine is at most the product of those plus the product of the lengths of the rest.

    Args:
        vectors: Shape ``(n_rows, n_numbers)``, of length 1 each; overwritten.
        max_similarity: Largest cosine, from -1 to 1.
    """
    n_rows = len(vectors)
    if max_similarity >= 1:  # rounding must not make copies more than alike
        yield from range(n_rows)
        return
    _turn(vectors)
    heads = _heads(vectors, _best_head(vectors, max_similarity))
    n_kept = 0
    for start in range(0, n_rows, _BLOCK):
        block, bounds = vectors[start : start + _BLOCK], heads[start : start + _BLOCK]
        alive = np.ones(len(block), dtype=bool)
        for first in range(0, n_kept, _TILE):
            tile = slice(first, min(first + _TILE, n_kept))
            (left,) = np.nonzero(alive)
            alike = _alike(block[left], bounds[left], vectors[tile], heads[tile], max_similarity)
            alive[left[alike]] = False
        for row in _distinct_in(block, alive, max_similarity):
            yield start + row
            # What was kept moves to the front: nothing there is still to be compared.
            vectors[n_kept], heads[n_kept] = block[row], bounds[row]
            n_kept += 1


def _turn(vectors: Matrix) -> None:
    """Turns all vectors onto the axes of their second moments, the largest first."""
    n_numbers = vectors.shape[1]
    moments = np.zeros((n_numbers, n_numbers))
    for start in range(0, len(vectors), _TILE):
        part = vectors[start : start + _TILE]
        moments += part.T @ part
    axes = np.linalg.eigh(moments)[1][:, ::-1].astype(np.float32)
    for start in range(0, len(vectors), _TILE):
        vectors[start : start + _TILE] = vectors[start : start + _TILE] @ axes


def _heads(vectors: Matrix, n_numbers: int) -> Matrix:
    """The first numbers of each vector and the length of the rest: their products are bounds."""
    head = vectors[:, :n_numbers]
    rest = np.sqrt(np.clip(1 - np.einsum("ij,ij->i", head, head), 0, 1)) + np.float32(1e-4)
    return np.ascontiguousarray(np.concatenate([head, rest[:, None]], axis=1))


def _best_head(vectors: Matrix, max_similarity: float) -> int:
    """How many numbers make the cheapest bound, from a sample."""
    n_numbers = int(vectors.shape[1])
    step = max(1, len(vectors) // _SAMPLE)
    sample = vectors[::step]

    def cost(n: int) -> float:
        heads = _heads(sample, n)
        # A pair that the bound does not spare costs about fifty times its share of a product.
        return n / n_numbers + 50 * float(np.mean(heads[:64] @ heads.T > max_similarity))

    return min({max(1, n_numbers * part // 16) for part in range(1, 17)}, key=cost)


def _alike(
    block: Matrix, bounds: Matrix, tile: Matrix, heads: Matrix, max_similarity: float
) -> NDArray[np.bool_]:
    """Which rows of a block are too similar to one of a tile."""
    close = bounds @ heads.T > max_similarity
    found = np.zeros(len(block), dtype=bool)
    n_close = np.count_nonzero(close)
    if n_close == 0:
        return found
    if n_close * 50 > close.size:
        return np.asarray((block @ tile.T > max_similarity).any(axis=1))
    rows, columns = np.divmod(np.flatnonzero(close), len(tile))  # nonzero of two axes is slow
    for start in range(0, len(rows), _TILE):
        pairs = slice(start, start + _TILE)
        cosines = np.einsum("ij,ij->i", block[rows[pairs]], tile[columns[pairs]])
        found[rows[pairs][cosines > max_similarity]] = True
    return found


def _distinct_in(block: Matrix, alive: NDArray[np.bool_], max_similarity: float) -> Iterator[int]:
    alike = np.asarray(block @ block.T > max_similarity)
    for row in range(len(block)):
        if alive[row]:
            yield row
            alive &= ~alike[row]
