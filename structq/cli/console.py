"""What a run shows on standard error while it goes and when it ends; knows no module and no file.

Everything goes to standard error, so that standard output stays free for rows. The bar appears on
a terminal only. `rich` is loaded when a run starts, not for ``--help``.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from structq.runs import Finished, Tally

__all__ = ["RunView", "summary_lines"]


class RunView:
    """Progress, failed rows and the summary of one run.

    Args:
        title: What runs, in a word.
        total: Rows to expect, where known.
    """

    def __init__(self, *, title: str, total: int | None) -> None:
        self._console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[failed]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(title, total=total, failed="")

    def __enter__(self) -> RunView:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, row: Finished, tally: Tally) -> None:
        """One more row is finished; a failed one is named."""
        if row.error is not None:
            self._console.print(_one_line(str(row.error)), markup=False)
        failed = f"{tally.n_failed} failed" if tally.n_failed else ""
        self._progress.update(self._task, completed=tally.n_rows, failed=failed)

    def summarise(self, tally: Tally) -> None:
        """The table at the end."""
        table = Table.grid(padding=(0, 2))
        table.add_column()
        table.add_column(justify="right")
        for name, value in summary_lines(tally):
            table.add_row(name, value)
        self._console.print(table)


def _one_line(text: str) -> str:
    """The text without line ends and terminal codes, which a row or a server may hold."""
    return "".join(char if char.isprintable() else " " for char in text)


def summary_lines(tally: Tally) -> Iterator[tuple[str, str]]:
    """Names and values of the summary, without the lines that this run says nothing about."""
    yield "rows", f"{tally.n_rows:,}"
    yield "failed", f"{tally.n_failed:,}"
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
