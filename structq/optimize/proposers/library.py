"""Sentences that people wrote: needs no LM.

A sentence asks for one thing that can be done to any response. None says what the mutation is for
(its own first sentence does), and none speaks of how the result is assessed.
"""

from __future__ import annotations

import re
from importlib import resources

import numpy as np

from structq.optimize.sentences import join_sentences

from .brief import EVOLVING, Brief, Proposals

__all__ = ["CRITERIA", "GENERAL", "SENTENCES", "Library"]


def _read() -> dict[str, tuple[str, ...]]:
    """The sentences of ``library.txt``, by the mutation that they suit."""
    text = resources.files(__package__).joinpath("library.txt").read_text("utf8")
    parts = re.split(r"^\[(\w+)\]$", text, flags=re.MULTILINE)[1:]
    return {
        name: tuple(line for line in body.splitlines() if line)
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


SENTENCES = _read()
GENERAL = SENTENCES.pop("general")
CRITERIA = SENTENCES.pop("score")
"""For the predictor of a ``QualityScorer``, which writes no text."""


class Library:
    """Draws sentences for the mutation, or of all if it does not know its name; none twice.

    Args:
        n_texts: Texts a round.
        n_sentences: Sentences of each.
    """

    def __init__(self, n_texts: int = 1, n_sentences: int = 2) -> None:
        self._n_texts = n_texts
        self._n_sentences = n_sentences

    def propose(self, brief: Brief) -> Proposals:
        """No prompt."""
        rng = np.random.default_rng((brief.seed, 13))
        known = {worth.text for worth in (*brief.helped, *brief.harmed)} | set(brief.sentences)
        every = tuple(s for part in SENTENCES.values() for s in part)
        fitting, rest = SENTENCES.get(brief.mutation, every), GENERAL
        if brief.mutation == "score" and brief.task != EVOLVING:
            fitting, rest = CRITERIA, ()
        fresh = [s for s in (*fitting, *rest) if s not in known]
        texts = []
        for _ in range(self._n_texts):
            if not fresh:
                break
            # The mutation's own sentences come first in the list and are drawn more often.
            pull = np.array([2.0 if s in fitting else 1.0 for s in fresh])
            n = min(self._n_sentences, len(fresh))
            chosen = rng.choice(len(fresh), n, replace=False, p=pull / pull.sum())
            texts.append(join_sentences([*brief.sentences, *(fresh[int(i)] for i in chosen)]))
            fresh = [s for i, s in enumerate(fresh) if i not in set(chosen.tolist())]
        return texts
        yield ""  # a generator that asks nothing
