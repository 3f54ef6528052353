"""What ``judge-check`` and ``calibrate`` show: a bar while they ask, a table when they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from structq.cli.terminal import View, cell, console, one_line, two_columns

if TYPE_CHECKING:
    from structq.evaluation import Calibration

__all__ = ["JudgeView"]

_COLUMNS = ("accuracy", "over length", "ties", "Spearman", "tau-b", "NDCG")


class JudgeView(View):
    """Progress of one judge after the other, then how they compare.

    Args:
        quiet: Show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            title="",
            total=None,
        )
        self._quiet = quiet

    def bar(self, name: str, total: int) -> Callable[[], None]:
        """Begins the bar of a judge; what is returned moves it on by a row."""
        self._progress.update(self._task, description=one_line(name), completed=0, total=total)
        return lambda: self._progress.advance(self._task)

    def show(self, result: Mapping[str, Any]) -> None:
        """The judges beside one another, on standard output, and what is wrong with them."""
        if self._quiet:
            return
        from rich.table import Table

        out = console(stderr=False)
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column("judge, reading", overflow="fold")
        for name in _COLUMNS:
            table.add_column(name, justify="right")
        judges = result["judges"]
        for judge in judges:
            for reading, figures in judge["figures"].items():
                table.add_row(*map(cell, (f"{judge['name']}, {reading}", *_figures(figures))))
        for name, figures in judges[0]["baselines"].items():
            told = {"length": "the longer wins", "first": "the first wins"}[name]
            table.add_row(*(cell(text, "dim") for text in (told, *_figures(figures))))
        table.add_row(*(cell(text, "dim") for text in ("at random", ".500", *[""] * 5)))
        out.print(table)
        for judge in judges:
            self._tell(out, judge)

    def show_calibration(self, fitted: Calibration, path: str, left_out: Mapping[str, int]) -> None:
        """How well the curve predicts labels that it did not see."""
        if self._quiet:
            return
        lines = [
            ("labelled responses", f"{len(fitted.labels):,}"),
            ("levels", ", ".join(f"{level:g}" for level in fitted.levels[:8])),
            ("curve", fitted.method),
            *(
                (f"held-out Brier score, {name}", _number(value, 4))
                for name, value in fitted.held_out_brier.items()
            ),
            *((f"left out: {one_line(why)}", f"{n:,}") for why, n in left_out.items()),
            ("written to", path),
        ]
        self._console.print(two_columns(lines))

    def _tell(self, out: Any, judge: Mapping[str, Any]) -> None:
        out.print()
        out.print(cell(judge["name"], "bold"))
        for warning in judge["warnings"]:
            out.print(cell(f"  {warning}", "bold red"))
        out.print(two_columns([(f"  {name}", told) for name, told in _facts(judge)]))


def _facts(judge: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    figures = list(judge["figures"].values())[-1]
    yield "rows, pairs", f"{figures['n_rows']:,}, {figures['n_pairs']:,}"
    if judge["unmeasured"]:
        yield "left out: no mean", f"{judge['unmeasured']:,}"
    for group, part in judge["groups"].items():
        if part["n_pairs"]:
            yield (
                f"accuracy, {one_line(group)}",
                f"{_interval(part['accuracy'])} of {part['n_pairs']:,}",
            )
    if order := judge["order"]:
        yield "order", order["sentence"]
        yield "the first response wins", _number(order["first_wins"], 3)
    if calibration := judge["calibration"]:
        brier, ece = calibration["brier"], calibration["ece"]
        yield "chance of being better", f"Brier score {brier:.3f}, calibration error {ece:.3f}"
    cost = judge["cost"]
    yield "cost", ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in cost.items())
    for why, n in judge["left_out"].items():
        yield f"left out: {one_line(why)}", f"{n:,}"


def _figures(figures: Mapping[str, Any]) -> Iterator[str]:
    if not figures["n_pairs"]:
        yield from ["-"] * 3
        yield from (_number(figures[name], 2) for name in ("spearman", "kendall"))
        yield "-"
        return
    yield _interval(figures["accuracy"])
    yield _interval(figures["minus_length"], signed=True)
    yield f"{figures['ties']:.0%}"
    for name in ("spearman", "kendall", "ndcg"):
        yield _number(figures[name], 2)


def _interval(found: Any, *, signed: bool = False) -> str:
    value, low, high = found
    form = "{:+.3f}" if signed else "{:.3f}"
    shown = [
        ("-" if one is None else form.format(one).replace("0.", ".", 1))
        for one in (value, low, high)
    ]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
