"""Shows a few rows of a `structq run` output: ``python examples/show.py OUT [--rows 5]``."""

import argparse
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from structq.data import Contract, Row, read_jsonl

FINISHED = Contract(name="finished", required={})


def spread(rows: list[Row], n: int) -> list[Row]:
    """``n`` rows at even distances, the first among them: nobody picked the nice ones."""
    return [rows[i * len(rows) // n] for i in range(min(n, len(rows)))] if rows else []


def table_of(row: dict[str, Any]) -> Table:
    """Original and evolutions of one row with their expected scores; the best is marked."""
    table = Table(title=escape(row["instruction"]), title_justify="left", show_lines=True)
    table.add_column("score", justify="right")
    table.add_column("from")
    table.add_column("response", overflow="fold")
    scores = row["expected_scores"] or row["scores"]
    origins = ["original", *row["mutations"]]
    best = row["responses"].index(row["best_response"])
    for i, (text, score, origin) in enumerate(zip(row["responses"], scores, origins, strict=True)):
        shown = "-" if score is None else f"{score:.2f}"
        table.add_row(shown, f"★ {origin}" if i == best else origin, escape(text))
    return table


def main() -> None:
    """Reads the file and prints the rows; a failed row shows its reason."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--rows", type=int, default=5)
    arguments = parser.parse_args()
    console = Console(emoji=False, highlight=False)
    rows = list(read_jsonl(arguments.path, FINISHED))
    for row in spread(rows, arguments.rows):
        error = row.values["metadata"]["error"]
        if error:
            console.print(f"line {row.line}: {escape(error['message'])}")
        else:
            console.print(table_of(row.values))
    console.print(f"{len(rows)} rows in {arguments.path}")


if __name__ == "__main__":
    main()
