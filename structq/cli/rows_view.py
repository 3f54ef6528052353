"""Rows of a run, to be read by people: original and evolutions with their scores; runs nothing.

What a row holds is data: no markup in it is obeyed, and a terminal code is shown and not sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from structq.cli.terminal import cell
from structq.modules.derived import finest_scores

__all__ = ["show_rows", "spread"]

_BESIDE = 36
"""Characters that a text needs to stand beside another one."""


def show_rows(rows: Sequence[Mapping[str, Any]], console: Console, *, n: int) -> None:
    """Prints ``n`` of the rows that ``EvolveAndScore`` made; a failed one with its reason."""
    for row in spread(rows, n):
        console.print(cell(row.get("instruction", ""), style="bold"))
        error = row["metadata"]["error"]
        console.print(cell(f"failed: {error['message']}") if error else _table(row, console))
        console.print()


def spread(rows: Sequence[Any], n: int) -> list[Any]:
    """``n`` rows at even distances, the first among them: nobody picked the nice ones."""
    n = min(n, len(rows))
    return [rows[i * len(rows) // n] for i in range(n)]


def _table(row: Mapping[str, Any], console: Console) -> Table:
    """Side by side where there is room, else one below the other; the best has a star."""
    texts = list(map(cell, row["responses"]))
    names = ["original", *row["mutations"]]
    scores = finest_scores(row)
    best = row["responses"].index(row["best_response"])
    heads = [
        cell(f"{'* ' if i == best else ''}{name}, score {_score(score)}")
        for i, (name, score) in enumerate(zip(names, scores, strict=True))
    ]
    if len(texts) * _BESIDE <= console.width:
        table = Table(show_lines=True, expand=True)
        for head in heads:
            table.add_column(head, overflow="fold", ratio=1)
        table.add_row(*texts)
        return table
    table = Table(show_lines=True, show_header=False)
    table.add_column(overflow="fold", max_width=16)
    table.add_column(overflow="fold")
    for head, text in zip(heads, texts, strict=True):
        table.add_row(head, text)
    return table


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:.2f}"
