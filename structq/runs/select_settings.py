"""How rows are selected: what the command line takes its options from; loads no numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from structq.errors import InputError
from structq.modules.settings import Settings, Shown

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
    embed: Annotated[str | None, Shown("LM")] = Field(
        default=None,
        description="Local LM, such as smollm2: compare the mean of its last hidden states over "
        "instruction and response, by cosine.",
    )
    score: Literal["best", "first"] = Field(
        default="best",
        description="Whose score orders the rows: the best response's or the first's.",
    )
    complexity: str | None = Field(
        default=None, description="Column with a number that the score is multiplied by."
    )

    @model_validator(mode="after")
    def _check_compared(self) -> SelectSettings:
        if self.embed is not None and self.embeddings is not None:
            raise InputError(
                f"embed: {self.embed!r} and embeddings={self.embeddings!r} are two ways to compare "
                "rows (one of them is allowed)",
                field="embed",
            )
        return self
