"""Columns that follow from others of a row; what an earlier run derived never contradicts them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

__all__ = [
    "best_of", "best_response", "facts_of", "finest_scores", "orders_rows", "without_derived",
    "without_score_facts",
]  # fmt: skip

_EVOLVED = ("evolved_response", "evolved_responses", "mutations", "model_name")
_COMPARED = ("responses", "scores", "expected_scores", "score_distributions", "best_response")
_SCORE_FACTS = frozenset({
    "unscored", "sampled", "turn_scores", "turn_expected_scores", "raw_scores", "uncalibrated",
    "uncalibrated_scores", "win_probabilities", "log_probabilities", "log_probability_gains",
    "n_tokens",
})  # fmt: skip
"""What a way to score says in ``metadata``: of no use once the row is scored anew."""


def best_of(scores: Sequence[float | None]) -> int:
    """Position of the highest score, the first of equal ones; unscored ones lose."""
    return max(
        range(len(scores)), key=lambda i: (-float("inf") if scores[i] is None else scores[i], -i)
    )


def best_response(row: Mapping[str, Any]) -> str | None:
    """The best of a row's responses by the scores beside them; ``None`` where there are none."""
    ranks = finest_scores(row)
    responses: Any = row.get("responses")
    return responses[best_of(ranks)] if ranks else None


def finest_scores(row: Mapping[str, Any]) -> list[Any]:
    """What a row's responses are compared by: measured means, raw values, or scores.

    Ranks stand for the raw values that they are of; an empty list where nothing is scored.
    """
    columns = (row.get("expected_scores"), facts_of(row).get("raw_scores"), row.get("scores"))
    return next((one for one in columns if isinstance(one, list) and one), [])


def orders_rows(row: Mapping[str, Any]) -> bool:
    """Whether those can be held against other rows': not where only this row's were compared."""
    facts = facts_of(row)
    alone = "raw_scores" in facts and "log_probability_gains" not in facts
    return bool(row.get("expected_scores")) or not alone


def without_derived(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row to evolve, without what an earlier run of structq made of its response.

    Responses and scores go only where that run wrote them: a best response stands beside them.
    """
    if not _is_ours(row):
        return row
    stale = {*_EVOLVED, *(_COMPARED if "best_response" in row else ())}
    kept = {name: value for name, value in row.items() if name not in stale}
    return _without_facts(kept, {"short", *_SCORE_FACTS})


def without_score_facts(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row to score, without what an earlier scoring of structq says in its ``metadata``."""
    return _without_facts(row, _SCORE_FACTS) if _is_ours(row) else row


def _is_ours(row: Mapping[str, Any]) -> bool:
    """Whether a run of structq wrote the facts; others' may have the same names."""
    return isinstance(facts_of(row).get("calls"), list)


def _without_facts(row: Mapping[str, Any], names: Set[str]) -> Mapping[str, Any]:
    facts = facts_of(row)
    if facts.keys().isdisjoint(names):
        return row
    return {**row, "metadata": {k: fact for k, fact in facts.items() if k not in names}}


def facts_of(row: Any) -> Mapping[str, Any]:
    """The ``metadata`` of a row, where it is one and has some."""
    metadata = row.get("metadata") if hasattr(row, "get") else None
    return metadata if isinstance(metadata, Mapping) else {}
