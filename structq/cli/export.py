"""``structq select``, ``export`` and ``merge``: what becomes of a run's rows; exit code out."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from structq.cli.options import Given, Out, takes
from structq.cli.terminal import View, console, exit_code, say, two_columns
from structq.data import Contract, read_rows, write_rows
from structq.errors import InputError
from structq.export.settings import ExportSettings
from structq.runs.output import check_output, write_line
from structq.runs.select_settings import SelectSettings

__all__ = ["export", "merge", "select"]

_ANY = Contract(name="any", required={})
Rows = Annotated[str, typer.Argument(metavar="IN", help="What run or score wrote, or - for stdin.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]


@takes(ExportSettings, flags={"trainer": "--for"})
def export(
    source: Rows,
    out: Annotated[str, typer.Option("--output", "-o", metavar="DIR", help="Folder to make.")],
    given: Given,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Write what run or score left as trainers read it: the data, and a card that tells of it."""
    from structq.export import write_export

    if source != "-" and Path(source).is_dir() and Path(source).samefile(out):
        raise InputError(f"the output is the input: {out!r}", field="output")
    settings = ExportSettings.picked(given)
    with _read_again(source) as rows:
        tally = write_export(rows(), out, settings, about=_about(source), overwrite=overwrite)
    dropped = [(f"left out: {why}", f"{one.n:,}") for why, one in tally.dropped.items()]
    lines = [("rows", f"{tally.n_rows:,}"), ("records", f"{tally.n_records:,}"), *dropped]
    if not quiet:
        console().print(two_columns(lines, right=True))
    return 0


@takes(SelectSettings)
def select(
    source: Rows, out: Out, given: Given, overwrite: Overwrite = False, quiet: Quiet = False
) -> int:
    """Keep the best rows that are unlike one another (DEITA's third step)."""
    from structq.runs.select import choose_rows, select_rows

    settings = SelectSettings.picked(given)
    check_output(out, None, overwrite=overwrite, format=None, source=source)
    with _read_again(source) as rows:
        if settings.embed is None or quiet:
            selection = choose_rows(rows(), settings)
        else:
            with _Counted(sum(1 for _ in rows())) as counted:
                selection = choose_rows(counted.of(rows()), settings)
        if out == "-":
            for row in select_rows(rows(), selection):
                write_line(row)
        else:
            write_rows(lambda: select_rows(rows(), selection), out)
    lines = [
        ("rows", f"{selection.n_rows:,}"),
        ("kept", f"{len(selection.kept):,}"),
        ("too similar to one that is kept", f"{selection.n_similar:,}"),
        *((f"left out: {why}", f"{one.n:,}") for why, one in selection.dropped.items()),
    ]
    if not quiet:
        console().print(two_columns(lines, right=True))
    return 0


def merge(
    parts: Annotated[list[str], typer.Argument(metavar="PART...", help="Outputs of all parts.")],
    out: Out,
    overwrite: Overwrite = False,
) -> None:
    """Put the outputs of a run with --shard together, in the order of its rows."""

    def action() -> int:
        from structq.journal import Journal
        from structq.runs.output import journal_of
        from structq.runs.shards import merged_outputs

        check_output(out, None, overwrite=overwrite, format=None, source="-")
        with ExitStack() as stack:
            journals = [
                stack.enter_context(Journal(journal_of(part, None) or part, None)) for part in parts
            ]
            if out == "-":
                for line in merged_outputs(journals):
                    write_line(json.loads(line))
            else:
                write_rows(lambda: map(json.loads, merged_outputs(journals)), out)
            say(f"{sum(journal.n_finished() for journal in journals):,} rows of {len(parts)} parts")
        return 0

    raise typer.Exit(exit_code(action))


class _Counted(View):
    """A bar of the rows that have passed: an LM takes its time over each."""

    def __init__(self, total: int) -> None:
        bar = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        super().__init__(TextColumn("{task.description}"), *bar, title="embed", total=total)

    def of(self, rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The rows."""
        for row in rows:
            yield row
            self._progress.advance(self._task)


@contextmanager
def _read_again(source: str) -> Iterator[Callable[[], Iterator[Mapping[str, Any]]]]:
    """Gives the rows of a source as often as they are asked for; a pipe is kept in a file."""
    if source != "-":
        yield lambda: _values(source)
        return
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield lambda: _values(file.name)


def _values(source: str) -> Iterator[Mapping[str, Any]]:
    for row in read_rows(source, _ANY):
        if row.error is not None:
            raise row.error
        yield row.values


def _about(source: str) -> dict[str, str]:
    """What the journal beside a run's output knows of it."""
    from structq.journal import Journal

    about = {"Made from": "standard input" if source == "-" else Path(source).name}
    place = Path(f"{source}.journal")
    if not place.is_file():
        return about
    try:
        with Journal(place, None) as journal:
            facts = journal.facts()
    except InputError:  # a run that still goes on, or somebody else's file
        return about
    lms = [str(facts[name]["model"]) for name in sorted(facts) if name == "lm" or name[:3] == "lm "]
    seeds = sorted({str(v) for name, v in facts.items() if name.endswith("settings.seed")})
    known = {"LMs": ", ".join(lms), "Seed": ", ".join(seeds), "structq": str(facts["structq"])}
    return {**about, **{name: value for name, value in known.items() if value}}
