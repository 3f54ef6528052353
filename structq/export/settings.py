"""What an export is made of; the command line takes its options from the model's fields."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from structq.errors import InputError
from structq.modules.settings import Settings

__all__ = ["ExportSettings", "Kind", "Trainer"]

Kind = Literal["dpo", "kto", "reward", "sft", "sharegpt", "alpaca"]
Trainer = Literal["trl", "axolotl", "llama-factory"]


class ExportSettings(Settings):
    """What to write, for whom, and which responses.

    Raises:
        InputError: A value is out of its bounds, or two do not go together.
    """

    to: Kind = Field(description="What the data trains.")
    trainer: Trainer = Field(
        default="trl",
        description="Whose columns to write; alpaca is read by axolotl and llama-factory only.",
    )
    pairs: Literal["best-worst", "best-original", "all"] = Field(
        default="best-worst",
        description="Which two responses of a row make a pair: the best against the worst, the "
        "best against the first, or every two.",
    )
    min_margin: float = Field(
        default=0.0,
        ge=0.0,
        description="Least difference between the two scores of a pair; equal scores never make "
        "one.",
    )
    threshold: float | None = Field(
        default=None,
        description="Least score of a response to learn from; with kto, what is below it is "
        "undesirable, in place of pairs.",
    )
    scores: Literal["expected_scores", "scores"] | None = Field(
        default=None,
        description="Column to rank by; by default expected_scores where a row has them, else the "
        "raw values that ranks are of, else scores.",
    )
    margin: bool = Field(
        default=True,
        description="Keep the difference of the two scores as a column (dpo, reward); TRL's reward "
        "trainer subtracts it in its loss.",
    )
    system_prompt: str | None = Field(
        default=None,
        description="System message of the conversations that have none of their own.",
    )

    def model_post_init(self, context: Any) -> None:
        """Refuses what no trainer could read."""
        if self.to == "alpaca" and self.trainer == "trl":
            reason = "TRL reads no alpaca columns (axolotl and llama-factory do; for TRL use sft)"
            raise InputError(f"to: alpaca for trl: {reason}", field="to")
        if self.to == "kto" and self.pairs == "all" and self.threshold is None:
            reason = "every two of a row would repeat its completions (give a threshold)"
            raise InputError(f"pairs: all with kto: {reason}", field="pairs")
