"""EvolQuality, QualityScorer and EvolveAndScore; know nothing of files and engines.

One row's way through a module is a generator of questions (``calls.Ask``): the same steps run sync
and async. What may be set is in ``settings``, which does not load DSPy: hence the names on demand.
"""

from typing import TYPE_CHECKING

from structq.lazy import lazy_names

if TYPE_CHECKING:
    from .evol_quality import EvolQuality
    from .evolve_and_score import EvolveAndScore
    from .quality_scorer import QualityScorer

__all__ = ["EvolQuality", "EvolveAndScore", "QualityScorer"]

__getattr__ = lazy_names(
    __name__,
    {
        "EvolQuality": "evol_quality",
        "EvolveAndScore": "evolve_and_score",
        "QualityScorer": "quality_scorer",
    },
)
