"""``structq report``: runs in, one HTML file and an exit code out."""

from __future__ import annotations

from typing import Annotated

import typer

from structq.cli.terminal import exit_code, say

__all__ = ["report"]

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Output or journal of a run, finished or not (two are compared), journal of an "
        "optimize --checkpoint, or what judge-check --json wrote.",
    ),
]
Page = Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The HTML file.")]
MostRows = Annotated[
    int,
    typer.Option("--rows", min=1, help="Most rows to look at in it; the numbers are of all rows."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is no report.")]


def report(
    runs: Runs, out: Page, most_rows: MostRows = 20_000, overwrite: Overwrite = False
) -> None:
    """Show what runs did in one HTML file: what it was worth, and every row."""

    def action() -> int:
        from structq.report import write_report

        write_report(runs, out, most_rows=most_rows, overwrite=overwrite)
        say(f"report in {out}")
        return 0

    raise typer.Exit(exit_code(action))
