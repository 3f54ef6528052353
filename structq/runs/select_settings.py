"""How rows are selected: what the command line takes its options from; loads no numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from structq.modules.settings import Settings

__all__ = ["SelectSettings"]


class SelectSettings(Settings):
    """How many rows to keep, in which order they are looked at, and what makes two alike.

    Raises:
        InputError: A value is out of its bounds.
    """

    n: int | None = Field(
        default=None, ge=1, description="Rows to keep; by default all that are unlike the others."
    )
    max_similarity: float | None = Field(
        default=None,
        ge=-1.0,
        le=1.0,
        description="Largest similarity to a row that is kept already; by default .9 between "
        "embeddings, .7 between texts.",
    )
    embeddings: str | None = Field(
        default=None,
        description="Column with a list of numbers to compare by cosine; by default the words of "
        "instruction and response are compared (needs structq[select]).",
    )
    score: Literal["best", "first"] = Field(
        default="best",
        description="Whose score orders the rows: the best response's or the first's.",
    )
    complexity: str | None = Field(
        default=None, description="Column with a number that the score is multiplied by."
    )
