"""Sentences of two good texts in one."""

from __future__ import annotations

import numpy as np

from structq.optimize.sentences import join_sentences, split_sentences

from .brief import Brief, Proposals

__all__ = ["Crossover"]


class Crossover:
    """Draws two of the best whole texts and keeps about half of the sentences of each.

    Args:
        n_texts: Texts a round.
        n_parents: How many of the best texts take part.
    """

    def __init__(self, n_texts: int = 1, n_parents: int = 6) -> None:
        self._n_texts = n_texts
        self._n_parents = n_parents

    def propose(self, brief: Brief) -> Proposals:
        """No prompt."""
        parents = [split_sentences(worth.text) for worth in brief.texts[: self._n_parents]]
        parents = [parent for parent in parents if parent]
        if len(parents) < 2:
            return []
        rng = np.random.default_rng((brief.seed, 11))
        texts = []
        for _ in range(self._n_texts):
            one, other = rng.choice(len(parents), 2, replace=False)
            both = dict.fromkeys(parents[int(one)] + parents[int(other)])
            kept = [sentence for sentence in both if rng.random() < 0.6]
            if kept:
                texts.append(join_sentences(kept))
        return texts
        yield ""  # a generator that asks nothing
