"""What is shown of models: the progress of a pull, the list, the options; fetches nothing.

Progress goes to standard error, and is a bar on a terminal only; the lists are results and go to
standard output.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from structq.cli.terminal import View, cell, console, one_line
from structq.engines.kinds import all_options
from structq.engines.options import Option
from structq.engines.store import Kept

__all__ = ["PullView", "show_models", "show_options"]


class PullView(View):
    """Lines and a bar for one pull; a `structq.engines.store.Watcher`."""

    def __init__(self) -> None:
        columns = TextColumn("{task.description}", markup=False), BarColumn()
        super().__init__(*columns, DownloadColumn(), TimeRemainingColumn(), visible=False)

    def say(self, text: str) -> None:
        """One line above the bar, which goes until the next step has one."""
        self._progress.update(self._task, visible=False)
        self._console.print(cell(text))

    def show(self, step: str, n_bytes: int, total: int) -> None:
        """How far a step is, in bytes."""
        self._progress.update(
            self._task,
            description=one_line(step),
            completed=n_bytes,
            total=total,
            visible=n_bytes < total,
        )


def show_models(known: Sequence[Kept]) -> None:
    """Every model that has a name, and where it is."""
    table = _table("name", "licence", "on disk", "where", "what it is")
    table.add_row("nano", "Apache-2.0", "-", "in this package", "the test LM: no downloads")
    for one in known:
        entry = one.entry
        size = f"{one.n_bytes / 1e6:,.1f} MB" if one.n_bytes else "-"
        where = f"structq pull {entry.name}" if one.path is None else str(one.path)
        table.add_row(*map(cell, (entry.name, entry.licence, size, where, entry.about)))
    _print(table)


def show_options() -> None:
    """Every option of every kind of LM, from the declaration that the registry reads."""
    table = _table("kind", "option", "type", "default", "what it does")
    for kind, options in all_options().items():
        if not options:
            table.add_row(*map(cell, (kind, "-", "", "", "no options of its own")))
        for i, (name, option) in enumerate(options.items()):
            table.add_row(*map(cell, _cells(kind if i == 0 else "", name, option)))
        table.add_section()
    _print(table)


def _print(table: Table) -> None:
    out = console(stderr=False)
    if not out.is_terminal:  # a line of a file need not end where a screen does
        out.width = 200
    out.print(table)


def _cells(kind: str, name: str, option: Option) -> tuple[str, ...]:
    return kind, name, option.type.__name__, option.default, option.help


def _table(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table
