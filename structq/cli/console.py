"""What a run shows on standard error while it goes and when it ends; knows no module and no file.

Everything goes to standard error, so that standard output stays free for rows. The bar appears on
a terminal only. `rich` is loaded when a run starts, not for ``--help``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from structq.cli.terminal import View, cell, one_line, two_columns
from structq.runs import Finished, Tally

if TYPE_CHECKING:
    from structq.modules.rows import RowModule

__all__ = ["RunView", "summary_lines", "tally_for"]


class RunView(View):
    """Progress, failed rows and the summary of one run.

    Args:
        title: What runs, in a word.
        total: Rows to expect, where known.
    """

    def __init__(self, *, title: str, total: int | None) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            TimeRemainingColumn(),
            title=title,
            total=total,
            failed="",
        )

    def show(self, row: Finished, tally: Tally) -> None:
        """One more row is finished; a failed one is named."""
        if row.error is not None:
            self._console.print(cell(one_line(str(row.error))))
        failed = f"{tally.n_failed} failed" if tally.n_failed else ""
        self._progress.update(self._task, completed=tally.n_rows, failed=failed)

    def summarise(self, tally: Tally) -> None:
        """The table at the end."""
        self._console.print(two_columns(summary_lines(tally), right=True))


def tally_for(task: RowModule) -> Tally:
    """An empty tally that knows what a module compares, and whether its LM judges itself."""
    compares = "best_response" in task.output_columns
    one = len({lm.model for lm in task.answering_lms()}) == 1
    return Tally(compares=compares, judged_by_writer=compares and one)


def summary_lines(tally: Tally) -> Iterator[tuple[str, str]]:
    """Names and values of the summary, without the lines that this run says nothing about."""
    yield "rows", f"{tally.n_rows:,}"
    yield "failed", f"{tally.n_failed:,}"
    if tally.n_short:
        yield "short: a later evolution failed", f"{tally.n_short:,}"
    if tally.before.value is not None and tally.after.value is not None:
        yield "mean score, original", f"{tally.before.value:.3f}"
        yield "mean score, best kept", f"{tally.after.value:.3f}"
        judge = ", judged by the LM itself" if tally.judged_by_writer else ""
        yield f"rows improved{judge}", f"{tally.share_improved:.1%}"
    elif tally.scores.value is not None:
        yield "responses scored", f"{tally.scores.n:,}"
        yield "mean score", f"{tally.scores.value:.3f}"
    yield "LM calls", f"{tally.n_lm_calls:,}"
    yield "tokens in", f"{tally.input_tokens:,}"
    yield "tokens out", f"{tally.output_tokens:,}"
    yield "seconds", f"{tally.seconds:.1f}"
    if tally.seconds > 0:
        yield "rows/s", f"{tally.n_rows / tally.seconds:.1f}"
