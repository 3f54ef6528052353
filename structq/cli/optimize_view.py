"""What an optimization shows on standard error; knows nothing of how templates are found."""

from __future__ import annotations

from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from structq.cli.terminal import View, cell, one_line, two_columns
from structq.optimize.result import Gain, Optimization
from structq.optimize.result import Progress as Standing

__all__ = ["OptimizeView", "result_lines"]


class OptimizeView(View):
    """Progress in LM calls, and the summary.

    Args:
        total: Most LM calls.
    """

    def __init__(self, *, total: int) -> None:
        super().__init__(
            TextColumn("optimize"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("LM calls  {task.fields[lead]}"),
            TimeElapsedColumn(),
            title="optimize",
            total=total,
            lead="",
        )

    def show(self, standing: Standing) -> None:
        """Where the search stands: calls, and the lead of the best, which is no proof."""
        lead = f"best so far {standing.lead:+.3f}" if standing.lead else "nothing leads yet"
        if standing.n_failed:
            lead = f"{lead}, {standing.n_failed} trials failed"
        self._progress.update(self._task, completed=standing.n_calls, lead=lead)

    def summarise(
        self, result: Optimization, *, written: str | None = None, kept: str | None = None
    ) -> None:
        """The verdict, the gain of each mutation, what it cost, and where it is."""
        for note in result.notes:
            self._console.print(cell(note))
        self._console.print(two_columns(result_lines(result)))
        if result.gains:
            self._console.print()
            self._console.print(_gains(result))
            self._console.print()
        if written is not None:
            what = "tuned" if result.verdict.accepted else "unchanged"
            self._console.print(cell(f"{what} program in {written}"))
        elif kept is not None:
            again = f"the same command goes on from {kept}"
            self._console.print(cell(f"no program was written; {again}"))
        else:
            self._console.print("no program was written (--checkpoint FILE would keep the answers)")


def result_lines(result: Optimization) -> Iterator[tuple[str, str]]:
    """Names and values of the summary."""
    verdict = result.verdict
    yield "verdict", "proven better" if verdict.accepted else "not proven: the templates stay"
    yield "why", verdict.reason
    if verdict.gain is not None:
        yield "gain, whole program", _interval(verdict.gain)
    if verdict.n_calls_to_settle is not None:
        yield "calls to settle it", f"about {verdict.n_calls_to_settle:,}"
    if result.changed:
        changed = "templates changed" if verdict.accepted else "best candidate changes"
        yield changed, ", ".join(result.changed)
        yield "words, templates", "{:,} before, {:,} after".format(*result.template_words)
    if verdict.n_words is not None:
        yield "words, output", "{:,} before, {:,} after".format(*verdict.n_words)
    if verdict.n_calls is not None:
        yield "calls, a row", "{:g} before, {:g} after".format(*verdict.n_calls)
    for title, changes in (("helped most", verdict.helped), ("hurt most", verdict.hurt)):
        if changes:
            yield title, ", ".join(f"row {c.row + 1} {c.gain:+.2f}" for c in changes)
    yield "LM calls", f"{result.n_calls:,} of {result.max_lm_calls:,}"
    yield "trials", f"{result.n_trials:,}"
    if result.failures:
        reason, n = max(result.failures.items(), key=lambda item: item[1])
        shown = one_line(reason[:120])
        yield "failed trials", f"{sum(result.failures.values()):,} ({n:,} times: {shown})"
    yield "seconds", f"{result.seconds:.1f}"


def _gains(result: Optimization) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column("mutation")
    table.add_column("gain")
    for name, gain in result.gains.items():
        kept = "" if name in result.changed else "  (same template)"
        table.add_row(cell(name), cell(f"{_interval(gain)}{kept}"))
    return table


def _interval(gain: Gain) -> str:
    return f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}, 95 %) on {gain.n} rows"
