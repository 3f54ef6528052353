"""``structq run``, ``evolve`` and ``score``: arguments in, exit code out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from structq.cli.options import Given, Lm, LmSettings, Out, Program, Source, lm_options, takes
from structq.cli.tasks import TWO_STEPS, evolver, opened, scorer
from structq.cli.terminal import EXIT_ROWS_FAILED
from structq.data import EVOLVING, SCORING, Contract, JsonlWriter, read_jsonl
from structq.modules.settings import EvolOptions, EvolSettings, ScorerOptions
from structq.runs.settings import RunSettings

if TYPE_CHECKING:
    from structq.modules.rows import RowModule

__all__ = ["evolve", "run", "score"]

_LIST_COLUMNS = ("store_evolutions", "include_original_response")
"""Settings of evolving that say nothing where all evolutions are scored and kept."""


@takes(
    EvolOptions, ScorerOptions, LmSettings, RunSettings,
    without=_LIST_COLUMNS, defaults=TWO_STEPS,
)  # fmt: skip
def run(source: Source, out: Out, lm: Lm, given: Given, program: Program = None) -> int:
    """Evolve each response, score original and evolutions side by side, keep the best."""

    def task() -> RowModule:
        import structq

        return structq.EvolveAndScore(evolver(given, program), scorer(given))

    return _finish(task, source, out, lm, given, EVOLVING)


@takes(EvolOptions, LmSettings, RunSettings, defaults=TWO_STEPS)
def evolve(source: Source, out: Out, lm: Lm, given: Given, program: Program = None) -> int:
    """Rewrite each response, each time with one of the mutations."""
    return _finish(lambda: evolver(given, program), source, out, lm, given, EVOLVING)


@takes(ScorerOptions, LmSettings, RunSettings)
def score(
    source: Source,
    out: Out,
    lm: Lm,
    given: Given,
    seed: Annotated[int, typer.Option(help="Fixes the draw of tokens, if not greedy.")] = 42,
) -> int:
    """Score the responses of each row against one another."""
    return _finish(lambda: scorer(given), source, out, lm, {**given, "seed": seed}, SCORING)


def _finish(
    make_task: Callable[[], RowModule],
    source: str,
    out: str,
    lm: str,
    given: Given,
    contract: Contract,
) -> int:
    """Reads, finishes and writes every row; what can fail before the first LM call fails first."""
    settings = RunSettings.picked(given)
    rows = opened(read_jsonl(source, contract), limit=settings.limit)
    task = make_task()
    import structq

    task.lm = structq.lm(lm, **lm_options(given, seed=given.get("seed", EvolSettings().seed)))
    task.n_in_flight = settings.window
    # Failed rows are reported with their place: a second report would only break the bar.
    logging.getLogger("dspy").setLevel(logging.ERROR)
    task.load()
    total = _count_rows(source, limit=settings.limit)
    # These bring packages that `--help` does not need.
    from structq.cli.console import RunView, tally_for
    from structq.runs import finish_rows

    tally = tally_for(task)
    with (
        JsonlWriter(out, source=source) as writer,
        RunView(title=type(task).__name__, total=total) as view,
        closing(finish_rows(rows, task, path=source)) as finished,
    ):
        for row in finished:
            tally.add(row)
            view.show(row, tally)
            if row.error is not None and settings.on_error == "stop":
                break
            writer.write(row.values)
    view.summarise(tally)
    return EXIT_ROWS_FAILED if tally.n_failed else 0


def _count_rows(path: str, *, limit: int | None) -> int | None:
    """Lines of a file, for the bar; ``None`` where nobody looks or nobody can know."""
    if not sys.stderr.isatty() or not Path(path).is_file():
        return None
    with Path(path).open("rb") as file:
        return sum(1 for line in islice(file, limit) if line.strip())
