"""The command line: arguments in, exit code out; knows nothing of how anything works.

Exit codes: 0 every row is good; 1 some rows failed and are in the output with their error (or,
with ``--on-error stop``, ended the run); 2 wrong usage, unreadable input, unwritable output or no
such LM; 130 interrupted; 141 the reader of standard output has gone.

Only `typer` is imported here: ``--help`` must not wait for DSPy.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structq.cli.demo import demo
from structq.cli.models import models, pull
from structq.cli.optimize import optimize
from structq.cli.shared import (
    EXIT_INTERRUPTED,
    EXIT_ROWS_FAILED,
    ApiBase,
    ErrorChoice,
    FormChoice,
    IncludeOriginal,
    Keep,
    Limit,
    Lm,
    MaxAddedWords,
    MaxGrowth,
    MaxTokens,
    MinAddedWords,
    NumEvolutions,
    OnError,
    Out,
    Permutations,
    Preserve,
    Program,
    Scale,
    Scoring,
    ScoringChoice,
    Seed,
    Source,
    StoreEvolutions,
    SystemPrompt,
    Temperature,
    Window,
    closed_pipe,
    complain,
    judges_itself,
    load_program,
    opened,
    parse_scale,
)
from structq.data import EVOLVING, SCORING, Contract, JsonlWriter, read_jsonl
from structq.errors import InputError, StructqError

if TYPE_CHECKING:
    import dspy

    from structq.modules import EvolQuality
    from structq.modules.rows import RowModule

__all__ = ["app", "main"]

app = typer.Typer(
    help="Evolve and score instruction/response rows; every answer obeys its schema.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
    program: Program = None,
    num_evolutions: NumEvolutions = 2,
    preserve: Preserve = Keep.none,
    min_added_words: MinAddedWords = None,
    max_added_words: MaxAddedWords = None,
    max_growth: MaxGrowth = 3.0,
    form: FormChoice = None,
    scale: Scale = None,
    scoring: ScoringChoice = Scoring.joint,
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
    program: Program = None,
    num_evolutions: NumEvolutions = 2,
    store_evolutions: StoreEvolutions = False,
    include_original_response: IncludeOriginal = False,
    preserve: Preserve = Keep.none,
    min_added_words: MinAddedWords = None,
    max_added_words: MaxAddedWords = None,
    max_growth: MaxGrowth = 3.0,
    form: FormChoice = None,
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
    scoring: ScoringChoice = Scoring.joint,
    permutations: Permutations = 1,
    form: FormChoice = None,
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


for _command in (optimize, pull, models, demo):
    app.command()(_command)


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
        code = _run(settings, module, _options(ctx), contract)
    except (StructqError, OSError) as error:
        code = closed_pipe() if isinstance(error, BrokenPipeError) else complain(error)
    except KeyboardInterrupt:
        message = f"structq: interrupted (finished rows, if any, are in {settings.out!r})"
        typer.echo(message, err=True)
        code = EXIT_INTERRUPTED
    raise typer.Exit(code)


def _options(ctx: typer.Context) -> dict[str, Any]:
    """The options by name; where a program is loaded, only those of its own that were given."""
    options = dict(ctx.params)
    if options.get("program") is not None:
        for name in _EVOLVING:
            source = ctx.get_parameter_source(name)
            if source is None or source.name in ("DEFAULT", "DEFAULT_MAP"):
                options.pop(name, None)
    return options


def _run(settings: _Settings, module: str, options: dict[str, Any], contract: Contract) -> int:
    """Reads, finishes and writes every row; what can fail before the first LM call fails first."""
    rows = opened(read_jsonl(settings.source, contract), limit=settings.limit)
    task = _make_task(settings, module, options)
    # Both bring packages that `--help` does not need.
    from structq.cli.console import RunView
    from structq.runs import Tally, finish_rows

    compares = "best_response" in task.output_columns
    tally = Tally(compares=compares, judged_by_writer=compares and judges_itself(task))
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
    if options.get("include_original_response") and not options.get("store_evolutions", True):
        message = "--include-original-response needs --store-evolutions"
        raise InputError(message, field="include_original_response")
    if "preserve" in options:
        options["preserve"] = options["preserve"].value
    if options.get("form") is not None:
        options["form"] = options["form"].value
    if options.get("max_growth") == 0:
        options["max_growth"] = None
    if "scale" in options:
        options["scale"] = parse_scale(options["scale"])
        options["scoring"] = options["scoring"].value
    import structq

    shared = {"lm": settings.open_lm(), "n_in_flight": settings.window}
    task: RowModule
    if module == "EvolQuality":
        task = _evolver(options)
        task.lm, task.n_in_flight = shared["lm"], shared["n_in_flight"]
    elif module == "QualityScorer":
        task = structq.QualityScorer(**_some(options, _SCORING), **shared)
    else:
        evolve = _evolver(options)
        scorer = structq.QualityScorer(**_some(options, _SCORING))
        task = structq.EvolveAndScore(evolve, scorer, **shared)
    # DSPy is loaded by now. Failed rows are reported with their place: a second report would only
    # break the bar.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    task.load()
    return task


def _evolver(options: Mapping[str, Any]) -> EvolQuality:
    """A new EvolQuality, or the saved one with the settings that were given."""
    import structq

    given, path = _some(options, _EVOLVING), options.get("program")
    if path is None:
        return structq.EvolQuality(**given)
    evolve = load_program(path)
    for name, value in given.items():
        setattr(evolve, name, value)
    return evolve


_EVOLVING = (
    "num_evolutions",
    "store_evolutions",
    "include_original_response",
    "preserve",
    "min_added_words",
    "max_added_words",
    "max_growth",
    "form",
    "seed",
    "system_prompt",
)
_SCORING = ("scale", "scoring", "permutations", "form", "system_prompt")


def _some(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _count_rows(path: str, *, limit: int | None) -> int | None:
    """Lines of a file, for the bar; ``None`` where nobody looks or nobody can know."""
    if not sys.stderr.isatty() or not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return sum(1 for line in islice(file, limit) if line.strip())


def main() -> None:
    """Entry point of the ``structq`` command."""
    app()


if __name__ == "__main__":
    main()
