"""Columns that follow from others of a row; what an earlier run derived never contradicts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["best_of", "best_response", "facts_of", "without_derived", "without_facts"]

_EVOLVED = ("evolved_response", "evolved_responses", "mutations", "model_name")
_COMPARED = ("responses", "scores", "expected_scores", "score_distributions", "best_response")


def best_of(scores: Sequence[float | None]) -> int:
    """Position of the highest score, the first of equal ones; unscored ones lose."""
    return max(
        range(len(scores)), key=lambda i: (-float("inf") if scores[i] is None else scores[i], -i)
    )


def best_response(row: Mapping[str, Any]) -> str | None:
    """The best of a row's responses by the scores beside them; ``None`` where there are none."""
    ranks = row.get("expected_scores") or row.get("scores")
    responses: Any = row.get("responses")
    return responses[best_of(ranks)] if ranks else None


def without_derived(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row to evolve, without what an earlier run of structq made of its response.

    Responses and scores go only where that run wrote them: a best response stands beside them.
    """
    if not isinstance(facts_of(row).get("calls"), list):
        return row
    stale = {*_EVOLVED, *(_COMPARED if "best_response" in row else ())}
    kept = {name: value for name, value in row.items() if name not in stale}
    return without_facts(kept, "short", "unscored", "turn_scores", "turn_expected_scores")


def without_facts(row: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A row without these facts of an earlier run in its ``metadata``."""
    facts = facts_of(row)
    if facts.keys().isdisjoint(names):
        return row
    return {**row, "metadata": {k: fact for k, fact in facts.items() if k not in names}}


def facts_of(row: Any) -> Mapping[str, Any]:
    """The ``metadata`` of a row, where it is one and has some."""
    metadata = row.get("metadata") if isinstance(row, Mapping) else None
    return metadata if isinstance(metadata, Mapping) else {}
