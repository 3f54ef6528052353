"""The purpose sentence, cut short: needs no LM.

What a purpose asks for beyond its first clause is a part of the text like any other: a metric may
be better off without it.
"""

from __future__ import annotations

import re

from structq.texts import n_words

from .brief import Brief, Proposals, Whole

__all__ = ["Shorten"]

_CLAUSE = re.compile(
    r"\s*[:;,：；，、—]\s*|\s+(?:so that|such that|in order to|with|by|and|while|which|because)\s+"
)
_FEWEST_WORDS = 2


class Shorten:
    """Leaves out all that follows one of the purpose's clauses, which one by the draw."""

    def propose(self, brief: Brief) -> Proposals:
        """No prompt, at most one text, which takes the purpose's place."""
        own = brief.purpose.rstrip()
        end = "。" if own.endswith("。") else "."
        heads = (own[: found.start()] for found in _CLAUSE.finditer(own))
        cuts = [f"{head}{end}" for head in heads if n_words(head) >= _FEWEST_WORDS]
        return [Whole(cuts[brief.seed % len(cuts)])] if cuts else []
        yield ""  # a generator that asks nothing
