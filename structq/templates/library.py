"""The texts that ship with the package; knows nothing of how they are rendered."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from structq.schemas.forms import Form

__all__ = ["criteria_for", "default_criteria", "default_mutations", "read_template"]

MUTATIONS = ("helpfulness", "relevance", "deepening", "creativity", "details")


@lru_cache(maxsize=64)
def read_template(name: str) -> str:
    """The text of a packaged template such as ``"forms/text/evolve"``."""
    path = Path(__file__).parent / f"{name}.jinja2"
    return path.read_text(encoding="utf-8").removesuffix("\n")


def default_mutations() -> dict[str, str]:
    """The five default mutation templates by name: a new dict at each call."""
    return {name: read_template(f"mutations/{name}") for name in MUTATIONS}


def default_criteria() -> str:
    """What the scorer judges by, unless it is told otherwise."""
    return read_template("criteria")


def criteria_for(criteria: str, form: Form) -> str:
    """The criteria, in the words that the form's LM was trained on where they are the default."""
    if form == "compact" and criteria == default_criteria():
        return read_template("forms/compact/criteria")
    return criteria
