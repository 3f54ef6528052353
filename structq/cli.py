"""The command line: arguments in, exit code out; knows nothing of how anything works.

Exit codes: 0 every row is good; 1 some rows failed and are in the output with their error (or,
with ``--on-error stop``, ended the run); 2 wrong usage, unreadable input, unwritable output or no
such LM; 130 interrupted; 141 the reader of standard output has gone.

Only `typer` is imported here: ``--help`` must not wait for DSPy.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from enum import Enum
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structq.data import EVOLVING, SCORING, Contract, JsonlWriter, Row, read_jsonl
from structq.errors import InputError, StructqError

if TYPE_CHECKING:
    import dspy

    from structq.modules.rows import RowModule


__all__ = ["app", "main"]

EXIT_ROWS_FAILED = 1
EXIT_UNUSABLE = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141

app = typer.Typer(
    help="Evolve and score instruction/response rows; every answer obeys its schema.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class OnError(str, Enum):
    """What happens when a row fails."""

    keep = "keep"
    stop = "stop"


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
SystemPrompt = Annotated[str | None, typer.Option(help="System message of every LM call.")]
Scale = Annotated[
    str | None,
    typer.Option(metavar="LOW-HIGH", help="Score labels; by default 1 to K+1 for K responses."),
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


def _version(wanted: bool) -> None:
    if wanted:
        import structq

        typer.echo(f"structq {structq.__version__}")
        raise typer.Exit


@app.callback()
def _structq(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Evolve and score instruction/response rows; every answer obeys its schema."""


# The commands declare their options; `_finish` takes them from the context, so that each is named
# once. Settings of a module have the names that they have there.


@app.command()
def run(
    ctx: typer.Context,
    source: Source,
    out: Out,
    lm: Lm,
    api_base: ApiBase = None,
    num_evolutions: NumEvolutions = 2,
    scale: Scale = None,
    permutations: Permutations = 1,
    system_prompt: SystemPrompt = None,
    seed: Seed = 42,
    limit: Limit = None,
    on_error: ErrorChoice = OnError.keep,
    window: Window = 32,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
) -> None:
    """Evolve each response, score original and evolutions side by side, keep the best."""
    _finish(ctx, "EvolveAndScore", EVOLVING)


@app.command()
def evolve(
    ctx: typer.Context,
    source: Source,
    out: Out,
    lm: Lm,
    api_base: ApiBase = None,
    num_evolutions: NumEvolutions = 2,
    store_evolutions: StoreEvolutions = False,
    include_original_response: IncludeOriginal = False,
    system_prompt: SystemPrompt = None,
    seed: Seed = 42,
    limit: Limit = None,
    on_error: ErrorChoice = OnError.keep,
    window: Window = 32,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
) -> None:
    """Rewrite each response, each time with one of the mutations."""
    _finish(ctx, "EvolQuality", EVOLVING)


@app.command()
def score(
    ctx: typer.Context,
    source: Source,
    out: Out,
    lm: Lm,
    api_base: ApiBase = None,
    scale: Scale = None,
    permutations: Permutations = 1,
    system_prompt: SystemPrompt = None,
    seed: Seed = 42,
    limit: Limit = None,
    on_error: ErrorChoice = OnError.keep,
    window: Window = 32,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
) -> None:
    """Score the responses of each row against one another."""
    _finish(ctx, "QualityScorer", SCORING)


@dataclass(kw_only=True)
class _Settings:
    """What all commands share."""

    source: str
    out: str
    lm: str
    api_base: str | None
    limit: int | None
    on_error: OnError
    window: int
    max_tokens: int | None
    temperature: float | None
    seed: int

    def open_lm(self) -> dspy.LM:
        """The LM, with the options that were given and its own defaults else."""
        import structq

        options: dict[str, Any] = {
            "api_base": self.api_base,
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }
        given = {name: value for name, value in options.items() if value is not None}
        if self.temperature:  # greedy answers need no seed, and some servers refuse one
            given["seed"] = self.seed
        return structq.lm(self.lm, **given)


def _finish(ctx: typer.Context, module: str, contract: Contract) -> None:
    """Runs one command and leaves with its exit code."""
    settings = _Settings(**_some(ctx.params, [setting.name for setting in fields(_Settings)]))
    try:
        code = _run(settings, module, dict(ctx.params), contract)
    except (StructqError, OSError) as error:
        code = _closed_pipe() if isinstance(error, BrokenPipeError) else _complain(error)
    except KeyboardInterrupt:
        message = f"structq: interrupted (finished rows, if any, are in {settings.out!r})"
        typer.echo(message, err=True)
        code = EXIT_INTERRUPTED
    raise typer.Exit(code)


def _run(settings: _Settings, module: str, options: dict[str, Any], contract: Contract) -> int:
    """Reads, finishes and writes every row; what can fail before the first LM call fails first."""
    rows = _opened(read_jsonl(settings.source, contract), limit=settings.limit)
    task = _make_task(settings, module, options)
    # Both bring packages that `--help` does not need.
    from structq.console import RunView
    from structq.runs import Tally, finish_rows

    tally = Tally(compares="best_response" in task.output_columns)
    total = _count_rows(settings.source, limit=settings.limit)
    with (
        JsonlWriter(settings.out, source=settings.source) as writer,
        RunView(title=module, total=total) as view,
        closing(finish_rows(rows, task, path=settings.source)) as finished,
    ):
        for row in finished:
            tally.add(row)
            view.show(row, tally)
            if row.error is not None and settings.on_error == OnError.stop:
                break
            writer.write(row.values)
    view.summarise(tally)
    return EXIT_ROWS_FAILED if tally.n_failed else 0


def _make_task(settings: _Settings, module: str, options: dict[str, Any]) -> RowModule:
    """The module of a command, with its LM warm."""
    if options.get("include_original_response") and not options["store_evolutions"]:
        message = "--include-original-response needs --store-evolutions"
        raise InputError(message, field="include_original_response")
    if "scale" in options:
        options["scale"] = _parse_scale(options["scale"])
    import structq

    shared = {"lm": settings.open_lm(), "n_in_flight": settings.window}
    task: RowModule
    if module == "EvolQuality":
        task = structq.EvolQuality(**_some(options, _EVOLVING), **shared)
    elif module == "QualityScorer":
        task = structq.QualityScorer(**_some(options, _SCORING), **shared)
    else:
        evolve = structq.EvolQuality(**_some(options, _EVOLVING))
        scorer = structq.QualityScorer(**_some(options, _SCORING))
        task = structq.EvolveAndScore(evolve, scorer, **shared)
    # DSPy is loaded by now. Failed rows are reported with their place: a second report would only
    # break the bar.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    task.load()
    return task


_EVOLVING = (
    "num_evolutions",
    "store_evolutions",
    "include_original_response",
    "seed",
    "system_prompt",
)
_SCORING = ("scale", "permutations", "system_prompt")


def _some(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _opened(rows: Iterator[Row], *, limit: int | None) -> Iterator[Row]:
    """The same rows, the first of them already read: a file that cannot be read fails here."""
    first = list(islice(rows, 1))
    return islice(chain(first, rows), limit)


def _count_rows(path: str, *, limit: int | None) -> int | None:
    """Lines of a file, for the bar; ``None`` where nobody looks or nobody can know."""
    if not sys.stderr.isatty() or not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return sum(1 for line in islice(file, limit) if line.strip())


def _parse_scale(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(-?\d+)\s*(?:-|\.\.)\s*(-?\d+)", text.strip())
    if match is None:
        raise InputError(f"--scale: {text!r} (must be LOW-HIGH, such as 1-6)", field="scale")
    return int(match[1]), int(match[2])


def _complain(error: Exception) -> int:
    typer.echo(f"structq: {error}", err=True)
    return EXIT_UNUSABLE


def _closed_pipe() -> int:
    """The reader of standard output has gone: nothing to say, and nothing left to flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_PIPE_CLOSED


def main() -> None:
    """Entry point of the ``structq`` command."""
    app()


if __name__ == "__main__":
    main()
