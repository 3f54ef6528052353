"""Tunes mutation templates and proves what it found; knows nothing of files of rows.

Two halves meet in ``trials``: a search is a generator of steps that knows no LM, and the driver
answers its steps from an LM, a budget and a journal.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .optimizer import TemplateOptimizer
    from .quality_gain import QualityGain
    from .result import Optimization, Progress

__all__ = ["Optimization", "Progress", "QualityGain", "TemplateOptimizer"]

_HOMES = {
    "Optimization": "result",
    "Progress": "result",
    "QualityGain": "quality_gain",
    "TemplateOptimizer": "optimizer",
}


def __getattr__(name: str) -> Any:
    # A search needs neither DSPy nor an LM: importing one must not load them.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
