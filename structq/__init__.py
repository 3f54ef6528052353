"""Structured-output prompting with DSPy modules: evolve and score responses under a schema.

Public names are found on first use, so that ``import structq`` costs nothing that is not needed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    BudgetExceededError,
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

if TYPE_CHECKING:
    from structq.judgments import JudgmentClient

    from .adapter import StructAdapter
    from .modules import EvolQuality, EvolveAndScore, QualityScorer
    from .optimize import QualityGain, TemplateOptimizer
    from .signatures import EvolveResponse, ScoreResponses

__version__ = "0.2.0"

__all__ = [
    "BudgetExceededError",
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


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value  # the next use does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
