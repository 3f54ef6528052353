"""How the calls of a search are divided; knows nothing of who spends them."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["FEW_CALLS", "SearchSettings"]

FEW_CALLS = 1_500
"""Below this many calls a search is a different one: simpler templates, no race, a larger test."""


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the calls are divided; the defaults are what the benchmark measures."""

    n_arms: int = 8
    """Programs in a batch."""
    n_fresh: int = 3
    """Of them, new texts as they were proposed."""
    min_cells: int = 3
    """Fewest cells of a batch."""
    max_sentences: int = 12
    """Most sentences after the purpose sentence."""
    max_sentences_if_few: int = 6
    """The same below 1,500 calls: few calls tell few sentences apart."""
    proposal_share: float = 0.08
    """Share of the search's calls that goes to proposals."""
    proposal_share_if_few: float = 0.2
    """The same below 1,500 calls: a proposal costs less than a trial and tells more."""
    proposals_first: float = 0.7
    """Share of the proposals that is asked for before anything is tried."""
    most_first: int = 64
    """No more than this many then: later ones are told what was found."""
    specific: bool = True
    """Whether a sentence may be worth something else in each mutation; not below 1,500 calls."""
    race_share: float = 0.12
    """Share that goes to the last race; none below 1,500 calls."""
    n_finalists: int = 4
    """Programs in the last race."""
    test_above: float = 0.7
    """Belief that the candidate is better, below which it is not tested."""

    def fitted(self, max_calls: int) -> SearchSettings:
        """What of it suits a budget of that many calls."""
        if max_calls >= FEW_CALLS:
            return self
        return replace(
            self,
            max_sentences=self.max_sentences_if_few,
            proposal_share=self.proposal_share_if_few,
            specific=False,
            race_share=0.0,
        )
