"""The rows of ``structq demo``: a dozen everyday questions with plain answers, written for it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ROWS"]

ROWS = Path(__file__).with_name("rows.jsonl")
"""JSON Lines with ``id``, ``instruction`` and ``response``."""
