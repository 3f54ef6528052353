"""A better text that known sentences can make, under given effects; knows nothing of trials.

Sentences are added, left out, exchanged, or added two at a time, as long as that helps.
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
    """What sentences are worth in one text, beside the bare purpose sentence.

    The worth of a text is (its sentences + its pairs) * patience / (patience + words).
    """

    alone: Floats
    """Of each sentence; shape (n,)."""
    together: Floats
    """Of two, beyond each alone; symmetric, shape (n, n), zero diagonal."""
    words: Floats
    """Length of each; shape (n,)."""
    patience: float = np.inf
    """Words after which half of a text is heeded."""

    def worth(self, chosen: Sequence[int]) -> float:
        """Of a text with these sentences."""
        index = list(chosen)
        total = float(self.alone[index].sum())
        total += 0.5 * float(self.together[np.ix_(index, index)].sum())
        return float(self.at(np.array(total), self.words[index].sum()))

    def at(self, total: Floats, words: Floats | float) -> Floats:
        """The worth of texts by the sum of their sentences and their lengths."""
        return np.asarray(total / (1.0 + np.asarray(words) / self.patience))


def recombine(
    effects: Effects, starts: Iterable[Sequence[int]], *, max_sentences: int
) -> tuple[int, ...]:
    """The best set of sentences that is found near any of the starts, ascending."""
    best: tuple[int, ...] = ()
    worth = -np.inf
    for start in starts:
        found = _climb(effects, start, max_sentences)
        if (value := effects.worth(found)) > worth + 1e-12:
            best, worth = found, value
    return best


def _climb(effects: Effects, start: Sequence[int], most: int) -> tuple[int, ...]:
    inside = np.zeros(len(effects.alone), dtype=bool)
    inside[list(start)] = True
    while move := _best_move(effects, inside, most):
        inside[list(move)] ^= True
    return tuple(int(i) for i in np.flatnonzero(inside))


def _best_move(effects: Effects, inside: NDArray[np.bool_], most: int) -> tuple[int, ...]:
    """The flips that raise the worth most; none if none does."""
    sign = np.where(inside, -1.0, 1.0)
    slopes = sign * (effects.alone + effects.together @ inside)
    size = inside.sum()
    total = float(effects.alone @ inside) + 0.5 * float(inside @ effects.together @ inside)
    words = float(effects.words @ inside)
    lengths = sign * effects.words
    one = np.where(
        size + sign <= np.maximum(most, size - 1),
        effects.at(total + slopes, words + lengths), -np.inf,
    )  # fmt: skip
    here = float(effects.at(np.array(total), words)) if size <= most else -np.inf
    i = int(one.argmax()) if len(one) else 0
    options: list[tuple[float, tuple[int, ...]]] = [(float(one[i]), (i,))] if len(one) else []
    if size <= most and len(one) > 1:
        both = total + slopes[:, None] + slopes[None, :]
        both += np.outer(sign, sign) * effects.together
        # Nothing can be left out twice: no text has fewer than no words.
        two = effects.at(both, np.maximum(words + lengths[:, None] + lengths[None, :], 0.0))
        two[size + sign[:, None] + sign[None, :] > most] = -np.inf
        np.fill_diagonal(two, -np.inf)
        i, j = divmod(int(two.argmax()), len(one))
        options.append((float(two[i, j]), (i, j)))
    worth, move = max(options, default=(here, ()))
    return move if worth > here + 1e-9 else ()
