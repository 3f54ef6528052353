"""Rows as `structq run` writes them."""

from __future__ import annotations

from typing import Any


def run_row(**changes: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "instruction": "Name a prime.",
        "responses": ["7", "7 is prime.", "9"],
        "scores": [2.0, 3.0, 1.0],
        "expected_scores": [2.25, 2.75, 1.25],
        "best_response": "7 is prime.",
        "mutations": ["details", "creativity"],
        "model_name": "lm-a",
        "metadata": {"calls": [], "error": None},
    }
    return row | changes
