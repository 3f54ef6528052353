"""What the modules return: DSPy predictions with typed fields, and a view of them for notebooks."""

from __future__ import annotations

from html import escape
from typing import Any

import dspy

__all__ = ["BestResult", "EvolveResult", "Result", "ScoreResult"]

_SHOWN = 2000


class Result(dspy.Prediction):  # type: ignore[misc]
    """What every module returns."""

    model_name: str
    """The model string of the LM."""
    metadata: dict[str, Any]
    """``calls``: what the LM was asked; ``error``: ``None``."""

    def _repr_html_(self) -> str:
        # Texts of rows are hostile: everything is escaped, and long ones are cut.
        cells = ((name, _shown(self[name])) for name in self.keys() if name != "metadata")
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{text}</td></tr>" for name, text in cells)
        return f"<table style='white-space: pre-wrap; text-align: left'>{rows}</table>"


class EvolveResult(Result):
    """What `EvolQuality` returns."""

    evolved_response: str
    """The last evolution."""
    evolved_responses: list[str]
    """All, in order, after the original if ``include_original_response``."""
    mutations: list[str]
    """One name a step."""


class ScoreResult(Result):
    """What `QualityScorer` returns."""

    scores: list[float | None]
    """One a response, in order; ``None`` where the text form has none."""
    expected_scores: list[float] | None
    """The mean under each response's label distribution; ``None`` where nothing was measured."""
    score_distributions: list[dict[str, float]] | None
    """Probability of each label."""


class BestResult(ScoreResult):
    """What `EvolveAndScore` returns."""

    responses: list[str]
    """The original, then every evolution: what the scores are of."""
    evolved_response: str
    """The last evolution."""
    best_response: str
    """The response with the highest score; the original on a tie."""
    mutations: list[str]
    """One name a step."""


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "".join(f"<div>{i}. {_shown(item)}</div>" for i, item in enumerate(value, 1))
    text = value if isinstance(value, str) else repr(value)
    return escape(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
