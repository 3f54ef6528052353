"""The best template that known sentences can make, under given effects; knows nothing of trials.

Sentences are added, left out, exchanged, or added two at a time, until none of that helps: effects
of pairs make this a search, and one that ends in a good place from a good start.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Effects", "recombine"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What sentences are worth in one mutation, beside the bare purpose sentence."""

    alone: Floats
    """Of each sentence; shape (n,)."""
    together: Floats | None = None
    """Of two, beyond each alone; symmetric, shape (n, n), zero diagonal."""
    bend: float = 0.0
    """Of k sentences, times k squared: below 0 if too many spoil it."""

    def worth(self, chosen: Sequence[int]) -> float:
        """Of a template with these sentences."""
        index = list(chosen)
        total = float(self.alone[index].sum()) + self.bend * len(index) ** 2
        if self.together is not None:
            total += 0.5 * float(self.together[np.ix_(index, index)].sum())
        return total


def recombine(
    effects: Effects, starts: Iterable[Sequence[int]], *, max_sentences: int
) -> tuple[int, ...]:
    """The best set of sentences that is found from any of the starts, ascending."""
    best: tuple[int, ...] = ()
    worth = -np.inf
    for start in starts:
        found = _climb(effects, start, max_sentences)
        if (value := effects.worth(found)) > worth + 1e-12:
            best, worth = found, value
    return best


def _climb(effects: Effects, start: Sequence[int], most: int) -> tuple[int, ...]:
    n = len(effects.alone)
    if not n:
        return ()
    inside = np.zeros(n, dtype=bool)
    inside[list(start)] = True
    while inside.sum() > most:
        inside[_least(effects, inside)] = False
    # Each move raises the worth, so this ends; the bound is for effects that are not numbers.
    for _ in range(4 * n + 8):
        move = _best_move(effects, inside, most)
        if not move:
            break
        inside[list(move)] ^= True
    return tuple(int(i) for i in np.flatnonzero(inside))


def _slopes(effects: Effects, inside: NDArray[np.bool_]) -> Floats:
    """What each sentence adds to the others that are inside, without the bend."""
    if effects.together is None:
        return effects.alone
    return effects.alone + effects.together @ inside


def _least(effects: Effects, inside: NDArray[np.bool_]) -> int:
    return int(np.where(inside, _slopes(effects, inside), np.inf).argmin())


def _best_move(effects: Effects, inside: NDArray[np.bool_], most: int) -> tuple[int, ...]:
    """The flips that raise the worth most; none if none does."""
    k = int(inside.sum())
    slopes = _slopes(effects, inside)
    add = np.where(inside, -np.inf, slopes)
    drop = np.where(inside, -slopes, -np.inf)
    options: list[tuple[float, tuple[int, ...]]] = []
    bend = effects.bend
    if k < min(most, len(add)):
        i = int(add.argmax())
        options.append((float(add[i]) + bend * (2 * k + 1), (i,)))
    if k:
        i = int(drop.argmax())
        options.append((float(drop[i]) + bend * (1 - 2 * k), (i,)))
    if effects.together is None:
        if 0 < k < len(add):
            i, j = int(drop.argmax()), int(add.argmax())
            options.append((float(drop[i] + add[j]), (i, j)))
    else:
        if 0 < k < len(add):
            swap = drop[:, None] + add[None, :] - effects.together
            i, j = divmod(int(swap.argmax()), len(add))
            options.append((float(swap[i, j]), (i, j)))
        if k + 2 <= min(most, len(add)):
            both = add[:, None] + add[None, :] + effects.together
            np.fill_diagonal(both, -np.inf)
            i, j = divmod(int(both.argmax()), len(add))
            options.append((float(both[i, j]) + bend * (4 * k + 4), (i, j)))
    gain, move = max(options, default=(0.0, ()))
    return move if gain > 1e-9 else ()
