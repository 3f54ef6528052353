"""EvolQuality, QualityScorer and EvolveAndScore; know nothing of files and engines.

One row's way through a module is a generator of questions (``calls.Ask``): the same steps run sync
and async.
"""

from .evol_quality import EvolQuality
from .evolve_and_score import EvolveAndScore
from .quality_scorer import QualityScorer
from .stream import run_async, run_stream, stream

__all__ = ["EvolQuality", "EvolveAndScore", "QualityScorer", "run_async", "run_stream", "stream"]
