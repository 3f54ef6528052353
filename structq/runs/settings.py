"""How a run goes over its rows; does not load DSPy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from structq.modules.settings import Settings, Shown

__all__ = ["RunSettings"]

FormatName = Literal["jsonl", "json", "csv", "parquet", "hf"]


class RunSettings(Settings):
    """Settings of a run over a file."""

    limit: int | None = Field(default=None, ge=1, description="Only the first N rows.")
    map: str | None = Field(
        default=None,
        description="Where columns come from: instruction=prompt,response=messages[1].content.",
    )
    format: FormatName | None = Field(
        default=None,
        description="Of input and output where their suffixes say nothing; JSON Lines by default.",
    )
    window: int = Field(default=32, ge=1, le=100_000, description="Calls in flight at most.")
    concurrency: Literal["auto", "fixed"] = Field(
        default="auto",
        description="auto: as much of the window as the server takes without refusing; fixed: the "
        "whole window from the start.",
    )
    rpm: int | None = Field(default=None, ge=1, description="Calls a minute that the account has.")
    tpm: int | None = Field(default=None, ge=1, description="Tokens a minute that it has.")
    deadline: float = Field(
        default=600.0,
        gt=0,
        description="Seconds for which a row's calls are sent again; the time that a server is "
        "down does not count.",
    )
    max_wait: float = Field(
        default=120.0, gt=0, description="Most seconds that a server may ask a call to wait."
    )
    on_error: Literal["keep", "stop"] = Field(
        default="keep",
        description="Keep a failed row with its error, or stop the run at the first.",
    )
    max_failures: Annotated[str | None, Shown("N|N%")] = Field(
        default=None, description="Failed rows at which the run ends; a share from 50 rows on."
    )
    max_calls: int | None = Field(default=None, ge=1, description="Calls at which it ends.")
    max_cost: float | None = Field(
        default=None, gt=0, description="US dollars at which it ends, by LiteLLM's table of prices."
    )
    journal: Annotated[str | None, Shown("FILE")] = Field(
        default=None, description="Where answers are kept; by default beside the output."
    )
    restart: bool = Field(default=False, description="Throw the journal away and begin anew.")
    retry_failed: bool = Field(default=False, description="Make rows that failed again.")
    overwrite: bool = Field(
        default=False, description="Replace an output that is not this run's own."
    )
    unordered: bool = Field(
        default=False, description="Rows go to standard output as they are done."
    )
    shard: Annotated[str | None, Shown("I/N")] = Field(
        default=None, description="Only part I of N; `structq merge` puts the parts together."
    )
    executor: Literal["local", "ray"] = Field(
        default="local",
        description="ray: the rows go to actors of Ray Data (structq[ray]), each with an LM of its "
        "own; RAY_ADDRESS names a cluster whose machines all see the folder of the journal.",
    )
    actors: int = Field(default=2, ge=1, description="Actors of Ray, which share the window.")
    dry_run: bool = Field(
        default=False, description="Show the first prompts, the calls and their cost; ask nothing."
    )
    judge_check: int | None = Field(
        default=None,
        ge=1,
        description="Score so many rows again at the end, their responses in the opposite order, "
        "and say whether the order decides.",
    )
    summary: Annotated[str | None, Shown("PATH")] = Field(
        default=None, description="Where the summary is written as JSON."
    )
    quiet: bool = Field(default=False, description="No progress and no summary.")
