"""The page: everything in one file that needs no network, under a policy that allows none."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup

from structq.errors import InputError
from structq.report.answers import Answers, answers_of
from structq.report.checks import check_section
from structq.report.compare import compare, pair_rows, row_names
from structq.report.html import data_block, tag
from structq.report.rows import CHUNK, Frames, chosen_pairs, index_of, text_blocks
from structq.report.sections import (
    about_run,
    delta_plot,
    facts_table,
    run_plots,
    sentences_block,
)
from structq.report.sources import RunSource, Sources, open_sources
from structq.report.tuning import search_numbers, search_section
from structq.version import __version__

__all__ = ["MOST_ROWS", "write_report"]

MOST_ROWS = 20_000
_MARK = b'<!doctype html>\n<html lang="en" data-made-by="structq report">'


def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    most_rows: int = MOST_ROWS,
    overwrite: bool = False,
) -> None:
    """Writes one HTML file that shows what runs did, with every row to be looked at.

    Args:
        runs: Outputs or journals of runs (finished or not; at most two, to be compared), journals
            of ``structq optimize``, files of ``structq judge-check --json``.
        out: The file; an earlier report there is replaced.
        most_rows: Rows whose texts are in it, at even distances; numbers are of all rows.
        overwrite: Whether it may replace what is no report.

    Raises:
        InputError: One of the runs cannot be read, or the file is something else.
    """
    place = Path(out)
    _check_place(place, runs, overwrite=overwrite)
    with open_sources([str(run) for run in runs]) as sources:
        page = _Page(sources=sources, most_rows=most_rows).render()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        made = place.with_name(f".{place.name}.{os.getpid()}")
        made.write_bytes(page)
        made.replace(place)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {str(out)!r}: {reason}", field="output") from error


def _check_place(place: Path, runs: Sequence[str | Path], *, overwrite: bool) -> None:
    if place.is_dir():
        raise InputError(f"cannot write {str(place)!r}: it is a folder", field="output")
    if not place.exists():
        return
    if any(Path(run).exists() and place.samefile(run) for run in runs):
        raise InputError(f"the output is the input: {str(place)!r}", field="output")
    with place.open("rb") as file:
        ours = file.read(len(_MARK)) == _MARK
    if not ours and not overwrite:
        message = f"{str(place)!r} exists and is no report (--overwrite replaces it)"
        raise InputError(message, field="output")


@dataclass(kw_only=True)
class _Page:
    sources: Sources
    most_rows: int
    answers: dict[str, Any] = field(default_factory=dict)
    """All numbers that the sentences are made of."""

    def render(self) -> bytes:
        runs = self.sources.runs
        sections, blocks, chunks = self._runs(runs) if runs else ([], [], [])
        for i, (name, lines) in enumerate(self.sources.searches):
            numbers = search_numbers(lines)
            self.answers.setdefault("searches", []).append(numbers)
            sections.append(search_section(name, numbers, f"-{i}"))
        for i, (name, check) in enumerate(self.sources.checks):
            self.answers.setdefault("checks", []).append(check)
            sections.append(check_section(name, check, f"-{i}"))
        names = [run.name for run in runs] + [n for n, _ in self.sources.searches]
        names += [n for n, _ in self.sources.checks]
        title = " and ".join(dict.fromkeys(names))
        return _whole(title, sections, [*blocks, data_block("answers", self.answers)], chunks)

    def _runs(self, runs: Sequence[RunSource]) -> tuple[list[Markup], list[Markup], list[Markup]]:
        pairs = pair_rows(runs)
        marks = [""] if len(runs) == 1 else ["-1", "-2"]
        checked = bool(self.sources.checks)
        told = [answers_of(run, row_names(run.rows), checked=checked) for run in runs]
        sections = []
        if len(runs) > 1:
            between = compare(runs, pairs)
            self.answers["compare"] = between.numbers
            plot = tag("div", delta_plot(pairs, [run.name for run in runs]), class_="plots")
            heading = tag("h2", f"{runs[0].name} and {runs[1].name}")
            sections += [tag("section", heading, sentences_block(between), plot), facts_table(runs)]
        for run, answers, mark in zip(runs, told, marks, strict=True):
            sections.append(_run_section(run, answers, mark, alone=len(runs) == 1))
        self.answers["runs"] = [
            {"name": run.name, **one.numbers} for run, one in zip(runs, told, strict=True)
        ]
        shown, frames = chosen_pairs(pairs, self.most_rows), Frames()
        heads, chunks = text_blocks(shown, runs, frames)
        index = {
            "columns": index_of(shown, marks, row_names([pair.row for pair in shown])),
            "marks": marks,
            "runs": [run.name for run in runs],
            "frames": list(frames.found),
            "chunk": CHUNK,
            "report": _digest([str((run.name, run.facts)) for run in runs]),
        }
        sections.append(_rows_section(len(shown), len(pairs)))
        sections += [_about(run) for run in runs]
        return sections, [data_block("index", index), heads], chunks


def _run_section(run: RunSource, answers: Answers, mark: str, *, alone: bool) -> Markup:
    heading = None if alone else tag("h2", run.name)
    said = [(q, a, f"{plot}{mark}") for q, a, plot in answers.sentences]
    block = sentences_block(Answers(numbers=answers.numbers, sentences=said))
    return tag("section", heading, block, run_plots(run, answers, mark))


def _rows_section(n_shown: int, n_rows: int) -> Markup:
    some = (
        f"{n_shown:,} of the {n_rows:,} rows are here, at even distances."
        if n_shown < n_rows
        else None
    )
    heading = tag("h2", "Rows", id="rows-title")
    hint = tag("p", some, class_="told") if some else None
    wait = tag("p", "The rows are shown by a script of this page.", id="wait")
    return tag("section", heading, hint, wait, id="rows", aria_labelledby="rows-title")


def _about(run: RunSource) -> Markup:
    summary = tag("summary", f"How {run.name} was made")
    return tag("section", tag("details", summary, about_run(run)))


def _whole(
    title: str, sections: Sequence[Markup], blocks: Sequence[Markup], chunks: Sequence[Markup]
) -> bytes:
    own = files(__package__)
    style, *scripts = (
        own.joinpath(n).read_text("utf8") for n in ("page.css", "diff.js", "page.js")
    )
    script = "".join(scripts)
    policy = "; ".join((
        "default-src 'none'", f"style-src {_source(style)}", f"script-src {_source(script)}",
        "base-uri 'none'", "form-action 'none'",
    ))  # fmt: skip
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title}: structq report"),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("header", tag("h1", title), tag("p", f"A report by structq {__version__}")),
        tag("main", *sections),
        *blocks,
        tag("script", Markup(script)),
        *chunks,  # behind the script, which shows the first rows before they are there
    )
    return b"".join(
        [_MARK, head.encode("utf8", "replace"), body.encode("utf8", "replace"), b"</html>\n"]
    )


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _digest(texts: Sequence[str]) -> str:
    """Under which the browser keeps the marks: another run has others."""
    return blake2b("\n".join(texts).encode("utf8", "replace"), digest_size=8).hexdigest()
