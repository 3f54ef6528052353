"""Who writes new texts; each knows a brief, and nothing of trials and budgets."""

from .brief import Brief, Case, Proposals, Proposer, Worth
from .crossover import Crossover
from .library import Library
from .paraphrase import Paraphrase
from .reflective import Reflective

__all__ = [
    "Brief",
    "Case",
    "Crossover",
    "Library",
    "Paraphrase",
    "Proposals",
    "Proposer",
    "Reflective",
    "Worth",
]
