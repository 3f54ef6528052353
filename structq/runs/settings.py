"""How a run goes over its rows; does not load DSPy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from structq.modules.settings import Settings

__all__ = ["RunSettings"]


class RunSettings(Settings):
    """Settings of a run over a file."""

    limit: int | None = Field(default=None, ge=1, description="Only the first N rows.")
    on_error: Literal["keep", "stop"] = Field(
        default="keep",
        description="Keep a failed row with its error, or stop the run at the first.",
    )
    window: int = Field(default=32, ge=1, le=100_000, description="Rows in flight at a time.")
