"""What a run shows on standard error while it goes and when it ends; knows no module and no file.

Everything goes to standard error, so that standard output stays free for rows. The bar appears on
a terminal only. `rich` is loaded when a run starts, not for ``--help``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from structq.cli.terminal import View, cell, one_line, two_columns
from structq.runs import Finished, Gate, Run, Tally

if TYPE_CHECKING:
    from structq.modules.rows import RowModule
    from structq.runs.ray_run import RayRun

__all__ = ["RunView", "summary_lines", "summary_of", "tally_for"]


class RunView(View):
    """Progress, failed rows and the summary of one run.

    Args:
        title: What runs, in a word.
        total: Rows to expect, where known.
        quiet: Show nothing.
    """

    def __init__(self, *, title: str, total: int | None, quiet: bool = False) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[facts]}"),
            TimeRemainingColumn(),
            title=title,
            total=total,
            facts="",
        )
        self._quiet = quiet

    def show(self, row: Finished, tally: Tally, gate: Gate | None = None) -> None:
        """One more row is finished; the first failed one of each cause is named."""
        if self._quiet:
            return
        ends = (row.values["metadata"].get("error") or {}).get("fatal")  # is told once, at the end
        if row.cause is not None and tally.causes[row.cause] == 1 and not ends:
            self._console.print(cell(one_line(str(row.error))))
        if self._console.is_terminal:
            facts = ", ".join(_facts(tally, gate))
            self._progress.update(self._task, completed=tally.n_rows, facts=facts)

    def summarise(
        self, tally: Tally, run: Run | RayRun | None = None, causes: Mapping[str, int] | None = None
    ) -> None:
        """The table at the end."""
        if self._quiet:
            return
        self._console.print(two_columns(summary_lines(tally, run), right=True))
        if causes:
            lines = [(f"failed: {one_line(cause)}", f"{n:,}") for cause, n in causes.items()]
            self._console.print(two_columns(lines[:10], right=True))


def _facts(tally: Tally, gate: Gate | None) -> Iterator[str]:
    """What stands beside the bar."""
    if tally.seconds > 1:
        yield f"{tally.n_rows / tally.seconds:.1f} rows/s"
    if tally.n_failed:
        yield f"{tally.n_failed:,} failed"
    if tally.scores.value is not None:
        yield f"mean score {tally.scores.value:.2f}"
    if gate is not None and gate.cost:
        yield f"${gate.cost:.2f}"
    for _, pace in gate.status if gate is not None else ():
        yield f"{pace.in_flight} of {int(pace.level)} calls: {pace.reason}"


def summary_of(
    tally: Tally, run: Run | RayRun, causes: Mapping[str, int], *, ended_by: str | None
) -> dict[str, Any]:
    """The summary as JSON values."""
    return {
        "rows": tally.n_rows,
        "failed": tally.n_failed,
        "short": tally.n_short,
        "resumed": run.n_resumed,
        "causes": dict(causes),
        "lm_calls": run.gate.n_calls,
        "cost_dollars": round(run.gate.cost, 6) or None,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "mean_score": tally.scores.value,
        "mean_score_original": tally.before.value,
        "mean_score_best": tally.after.value,
        "share_improved": tally.share_improved,
        "judge_check": tally.judge_check,
        "calibrated": tally.calibrated,
        "refused_for_rate": run.gate.n_refused,
        "seconds": round(tally.seconds, 3),
        "ended_by": ended_by,
    }


def tally_for(task: RowModule) -> Tally:
    """An empty tally that knows what a module compares, and whether its LM judges itself."""
    compares = "best_response" in task.output_columns
    one = len({lm.model for lm in task.answering_lms()}) == 1
    return Tally(compares=compares, judged_by_writer=compares and one)


def summary_lines(tally: Tally, run: Run | RayRun | None = None) -> Iterator[tuple[str, str]]:
    """Names and values of the summary, without the lines that this run says nothing about."""
    yield "rows", f"{tally.n_rows:,}"
    yield "failed", f"{tally.n_failed:,}"
    if tally.n_short:
        yield "short: a later evolution failed", f"{tally.n_short:,}"
    if tally.before.value is not None and tally.after.value is not None:
        yield "mean score, original", f"{tally.before.value:.3f}"
        yield "mean score, best kept", f"{tally.after.value:.3f}"
    elif tally.scores.value is not None:
        yield "responses scored", f"{tally.scores.n:,}"
        yield "mean score", f"{tally.scores.value:.3f}"
    if tally.share_improved is not None:
        judge = ", judged by the LM itself" if tally.judged_by_writer else ""
        yield f"rows improved{judge}", f"{tally.share_improved:.1%}"
    yield from _of_the_judge(tally)
    if run is not None and run.n_resumed:
        yield "of an earlier run", f"{run.n_resumed:,}"
    yield "LM calls", f"{tally.n_lm_calls if run is None else run.gate.n_calls:,}"
    if run is not None and run.gate.cost:
        yield "cost", f"${run.gate.cost:,.4f}"
    yield "tokens in", f"{tally.input_tokens:,}"
    yield "tokens out", f"{tally.output_tokens:,}"
    yield "seconds", f"{tally.seconds:.1f}"
    if tally.seconds > 0:
        yield "rows/s", f"{tally.n_rows / tally.seconds:.1f}"


def _of_the_judge(tally: Tally) -> Iterator[tuple[str, str]]:
    if tally.judge_check is not None:
        if tally.compares and tally.judge_check["rows"]:
            won = "{last_wins} of {rows} rows".format(**tally.judge_check)
            yield "better in both orders", won
        yield "judge check", tally.judge_check["sentence"]
    found = tally.calibrated or {}
    if mean := found.get("mean"):
        yield "mean on the labels' scale", "{:.3f} ({:.3f} to {:.3f})".format(*mean)
    if shift := found.get("shift"):
        yield "unlike the labelled rows", shift
