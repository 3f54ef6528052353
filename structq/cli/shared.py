"""What the commands share: their options by name, exit codes, and how errors are told."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from structq.data import Row
from structq.errors import InputError

if TYPE_CHECKING:
    from structq.modules import EvolQuality
    from structq.modules.rows import RowModule

__all__ = [
    "EXIT_INTERRUPTED",
    "EXIT_PIPE_CLOSED",
    "EXIT_ROWS_FAILED",
    "EXIT_UNUSABLE",
    "ApiBase",
    "ErrorChoice",
    "Form",
    "FormChoice",
    "IncludeOriginal",
    "Keep",
    "Limit",
    "Lm",
    "MaxAddedWords",
    "MaxGrowth",
    "MaxTokens",
    "MinAddedWords",
    "NumEvolutions",
    "OnError",
    "Out",
    "Permutations",
    "Preserve",
    "Program",
    "Scale",
    "Scoring",
    "ScoringChoice",
    "Seed",
    "Source",
    "StoreEvolutions",
    "SystemPrompt",
    "Temperature",
    "Window",
    "closed_pipe",
    "complain",
    "judges_itself",
    "load_program",
    "opened",
    "parse_scale",
]

EXIT_ROWS_FAILED = 1
EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141


class Scoring(StrEnum):
    """Whether the responses of a row are scored together or each alone."""

    joint = "joint"
    independent = "independent"


class OnError(StrEnum):
    """What happens when a row fails."""

    keep = "keep"
    stop = "stop"


class Form(StrEnum):
    """How the LM is asked to answer."""

    text = "text"
    json = "json"
    compact = "compact"


class Keep(StrEnum):
    """What of a response stays in its evolutions, word for word."""

    none = "none"
    blocks = "blocks"
    all = "all"


Source = Annotated[str, typer.Argument(metavar="IN", help="JSON Lines file, or - for stdin.")]
Out = Annotated[str, typer.Option("--output", "-o", help="JSON Lines file, or - for stdout.")]
Lm = Annotated[
    str,
    typer.Option(
        "--lm",
        envvar="STRUCTQ_LM",
        help="nano, vllm/MODEL, openai/gpt-4o-mini, ...: the README lists them.",
    ),
]
ApiBase = Annotated[
    str | None, typer.Option(metavar="URL", help="Address of a server of your own.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first N rows.")]
Seed = Annotated[int, typer.Option(help="Fixes every draw: mutations, and tokens if not greedy.")]
NumEvolutions = Annotated[int, typer.Option(min=1, help="Evolutions of a row, one after another.")]
Preserve = Annotated[
    Keep, typer.Option(help="Keep code, tables and formulas (blocks) or all of it verbatim.")
]
MaxAddedWords = Annotated[
    int | None, typer.Option(min=1, help="Words that an evolution may be longer by.")
]
MinAddedWords = Annotated[
    int | None, typer.Option(min=1, help="Words that an evolution must be longer by.")
]
MaxGrowth = Annotated[
    float, typer.Option(help="How many times as long an evolution may grow; 0 is no budget.")
]
FormChoice = Annotated[
    Form | None,
    typer.Option("--form", help="How the LM is asked to answer; by default what is best for it."),
]
SystemPrompt = Annotated[str | None, typer.Option(help="System message of every LM call.")]
Scale = Annotated[
    str | None,
    typer.Option(metavar="LOW-HIGH", help="Score labels; by default 1 to K+1 for K responses."),
]
ScoringChoice = Annotated[
    Scoring,
    typer.Option("--scoring", help="All responses in one prompt, or each alone (needs --scale)."),
]
Permutations = Annotated[
    int, typer.Option(min=1, help="Orders of the responses to score, averaged.")
]
StoreEvolutions = Annotated[
    bool, typer.Option("--store-evolutions", help="Write every evolution, not only the last.")
]
IncludeOriginal = Annotated[
    bool, typer.Option("--include-original-response", help="Put the original in front of them.")
]
ErrorChoice = Annotated[
    OnError, typer.Option(help="Keep a failed row with its error, or stop the run at the first.")
]
Window = Annotated[int, typer.Option(min=1, help="Rows in flight at a time.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Longest answer, in tokens.")]
Temperature = Annotated[float | None, typer.Option(min=0.0, help="0 is greedy.")]
Program = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="A saved EvolQuality; options that are given win over it."),
]


def opened(rows: Iterator[Row], *, limit: int | None) -> Iterator[Row]:
    """The same rows, the first of them already read: a file that cannot be read fails here."""
    first = list(islice(rows, 1))
    return islice(chain(first, rows), limit)


def parse_scale(text: str | None) -> tuple[int, int] | None:
    """The two ends of ``LOW-HIGH``.

    Raises:
        InputError: It is something else.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(-?\d+)\s*(?:-|\.\.)\s*(-?\d+)", text.strip())
    if match is None:
        raise InputError(f"--scale: {text!r} (must be LOW-HIGH, such as 1-6)", field="scale")
    return int(match[1]), int(match[2])


def load_program(path: str) -> EvolQuality:
    """The EvolQuality that ``save`` or ``structq optimize`` wrote.

    Raises:
        InputError: There is no such file, or it holds something else.
    """
    import structq

    evolve = structq.EvolQuality()
    try:
        evolve.load(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"--program: {path!r} is no saved EvolQuality: {error}") from error
    return evolve


def judges_itself(task: RowModule) -> bool:
    """Whether one LM answers every call of a module, those that write and those that score."""
    return len({lm.model for lm in task.answering_lms()}) == 1


def complain(error: Exception) -> int:
    """Says what was wrong; returns the exit code."""
    typer.echo(f"structq: {error}", err=True)
    return EXIT_UNUSABLE


def closed_pipe() -> int:
    """The reader of standard output has gone: nothing to say, and nothing left to flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_PIPE_CLOSED
