"""Who writes new texts; each knows a brief, and nothing of trials and budgets."""

from .brief import EVOLVING, Brief, Case, Proposals, Proposer, Whole, Worth
from .library import Library
from .shorten import Shorten
from .writers import Paraphrase, Reflective

__all__ = [
    "EVOLVING",
    "Brief",
    "Case",
    "Library",
    "Paraphrase",
    "Proposals",
    "Proposer",
    "Reflective",
    "Shorten",
    "Whole",
    "Worth",
]
