"""The texts that ship with the package; knows nothing of how they are rendered."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

__all__ = ["default_criteria", "default_mutations", "read_template"]

MUTATIONS = ("helpfulness", "relevance", "deepening", "creativity", "details")


@lru_cache(maxsize=32)
def read_template(name: str) -> str:
    """The text of a packaged template such as ``"evolve"`` or ``"mutations/details"``."""
    path = Path(__file__).parent / f"{name}.jinja2"
    return path.read_text(encoding="utf-8").removesuffix("\n")


def default_mutations() -> dict[str, str]:
    """The five default mutation templates by name: a new dict at each call."""
    return {name: read_template(f"mutations/{name}") for name in MUTATIONS}


def default_criteria() -> str:
    """What the scorer judges by, unless it is told otherwise."""
    return read_template("score_criteria")
