"""Structured-output prompting with DSPy modules: evolve and score responses under a schema.

Public names are found on first use, so that ``import structq`` costs nothing that is not needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import (
    BudgetExceededError,
    ClosedError,
    InputError,
    LMError,
    OutputError,
    PromptTooLongError,
    PullError,
    ResumeError,
    RowError,
    SchemaError,
    StructqError,
    TemplateError,
)
from .lazy import lazy_names
from .version import __version__

if TYPE_CHECKING:
    from structq.judgments import JudgmentClient

    from .adapter import StructAdapter
    from .engines import lm
    from .modules import EvolQuality, EvolveAndScore, QualityScorer
    from .optimize import QualityGain, TemplateOptimizer
    from .signatures import EvolveResponse, ScoreResponses

__all__ = [
    "BudgetExceededError",
    "ClosedError",
    "EvolQuality",
    "EvolveAndScore",
    "EvolveResponse",
    "InputError",
    "JudgmentClient",
    "LMError",
    "OutputError",
    "PromptTooLongError",
    "PullError",
    "QualityGain",
    "QualityScorer",
    "ResumeError",
    "RowError",
    "SchemaError",
    "ScoreResponses",
    "StructAdapter",
    "StructqError",
    "TemplateError",
    "TemplateOptimizer",
    "__version__",
    "lm",
]

_HOMES = {
    "EvolQuality": "modules",
    "EvolveAndScore": "modules",
    "EvolveResponse": "signatures",
    "JudgmentClient": "judgments",
    "QualityGain": "optimize",
    "QualityScorer": "modules",
    "ScoreResponses": "signatures",
    "StructAdapter": "adapter",
    "TemplateOptimizer": "optimize",
    "lm": "engines",
}


if not TYPE_CHECKING:  # a checker shall find misspelled names
    __getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
