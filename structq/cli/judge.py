"""``structq judge-check`` and ``calibrate``: what an LM's scores are worth; exit code out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from structq.cli.options import Given, LmSettings, lm_options, takes
from structq.cli.tasks import opened, scorer
from structq.cli.terminal import EXIT_ROWS_FAILED, say
from structq.data import SCORING, ColumnMap, Row, read_rows
from structq.errors import InputError
from structq.modules.settings import ScorerOptions, Settings, Shown

if TYPE_CHECKING:
    from structq.modules import QualityScorer
    from structq.runs.judging import JudgedRows

__all__ = ["calibrate", "judge_check"]

_File = Annotated[str | None, Shown("PATH")]
_FIXED = (1, 6)
"""The scale of independent scoring, where none is given."""


class LabelSettings(Settings):
    """What may be said about labelled rows."""

    labels: str = Field(
        default="labels", description="Column of the labels: as the report's marks, or a list."
    )
    kind: Annotated[str | None, Shown("best|correct|human_scores|model_scores")] = Field(
        default=None, description="Which of the labels; by default the first that is there."
    )
    map: Annotated[str | None, Shown("NAME=COLUMN,...")] = Field(
        default=None, description="Columns under other names."
    )
    limit: int | None = Field(default=None, ge=1, description="Most rows to read.")
    window: int = Field(default=64, ge=1, description="Calls in flight at once.")
    restart: bool = Field(default=False, description="Ask everything anew.")
    quiet: bool = Field(default=False, description="Say nothing but errors.")


class CheckSettings(LabelSettings):
    """What may be said about a check of judges."""

    group: str | None = Field(
        default=None, description="Column whose values are parts that are reported apart, too."
    )
    json_file: _File = Field(
        default=None,
        description="Write the whole result as JSON; its journals beside it let a stopped check "
        "go on.",
    )


Data = Annotated[str, typer.Argument(metavar="DATA", help="Labelled rows, or - for stdin.")]
Lms = Annotated[
    list[str] | None,
    typer.Option("--lm", envvar="STRUCTQ_LM", help="A judge; may be given several times."),
]
Ways = Annotated[
    list[str] | None,
    typer.Option(
        "--scoring",
        metavar="WAY",
        help="joint, independent, pairwise or likelihood; may be given several times.",
    ),
]


@takes(
    CheckSettings, ScorerOptions, LmSettings, without=("scoring",), flags={"json_file": "--json"}
)
def judge_check(data: Data, given: Given, lm: Lms = None, scoring: Ways = None) -> int:
    """How far an LM's scores agree with labels, beside length, position and chance."""
    from structq.cli.judge_view import JudgeView
    from structq.evaluation import judge_report

    settings = CheckSettings.picked(given)
    _check_libraries()
    rows = _rows(data, settings)
    if not lm:
        raise InputError("lm: must be given, such as nano or vllm/MODEL", field="lm")
    reports, failed = [], False
    with JudgeView(quiet=settings.quiet) as view:
        for i, (spec, way) in enumerate((s, w) for s in lm for w in scoring or ["joint"]):
            judge = _judge(spec, {**given, "scoring": way})
            name = f"{spec} {way}"
            with _journal(settings.json_file, f"{i + 1}", judge, restart=settings.restart) as kept:
                started = time.monotonic()
                found = _judged(judge, rows, settings, kept, view.bar(name, len(rows)))
            if not found.rows:
                raise InputError(f"{data!r} has no row to check on: {_reasons(found)}")
            cost = {**found.cost, "seconds": round(time.monotonic() - started, 1)}
            report = judge_report(found.rows, name=name, cost=cost)
            report |= {"lm": spec, "scoring": way, "left_out": dict(found.left_out)}
            reports.append(report)
            failed = failed or any(why.startswith("failed") for why in found.left_out)
        result = {"kind": "judge-check", "data": data, "judges": reports}
        if settings.json_file is not None:
            _write(settings.json_file, result)
        view.show(result)
    return EXIT_ROWS_FAILED if failed else 0


@takes(LabelSettings, ScorerOptions, LmSettings)
def calibrate(
    data: Data,
    out: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="JSON to write.")],
    given: Given,
    lm: Annotated[str | None, typer.Option("--lm", envvar="STRUCTQ_LM", help="The judge.")] = None,
) -> int:
    """Fit the curve from an LM's scores to labels, for ``score --calibration``."""
    from structq.cli.judge_view import JudgeView
    from structq.evaluation import fit_calibration
    from structq.journal import describe_lm

    settings = LabelSettings.picked(given)
    _check_libraries()
    rows = _rows(data, settings)
    judge = _judge(str(lm), given)
    with JudgeView(quiet=settings.quiet) as view:
        with _journal(out, "calibrate", judge, restart=settings.restart) as kept:
            found = _judged(judge, rows, settings, kept, view.bar(str(lm), len(rows)))
        about = {
            "lm": describe_lm(judge.get_lm()),
            "scorer": judge.settings.dump_state(),
            "rows": len(found.rows),
        }
        fitted = fit_calibration(found.labelled, scale=_ends(judge), about=about)
        fitted.save(out)
        view.show_calibration(fitted, out, found.left_out)
    return 0


def _check_libraries() -> None:
    """Raises before the first call where a library is missing that is needed after the last."""
    from structq.evaluation.numbers import library

    library("scipy.stats")
    library("sklearn.metrics")


def _judge(lm: str, given: Given) -> QualityScorer:
    import structq

    if given.get("scoring") == "independent" and given.get("scale") is None:
        given = {**given, "scale": _FIXED}
    judge = scorer(given)
    judge.lm = structq.lm(lm, **lm_options(given, seed=0))
    judge.load()
    return judge


def _ends(judge: QualityScorer) -> tuple[float, float] | None:
    """The ends of a fixed scale; the list-wise one has none."""
    if judge.scale is None:
        return None
    labels = list(judge.scale)
    return float(labels[0]), float(labels[-1])


def _rows(data: str, settings: LabelSettings) -> list[Row]:
    columns = ColumnMap.parse(settings.map or "")
    return list(opened(read_rows(data, SCORING, columns=columns), limit=settings.limit))


def _judged(
    judge: QualityScorer, rows: Sequence[Row], settings: LabelSettings, kept: Any, bar: Any
) -> JudgedRows:
    from structq.runs.judging import judge_rows

    return judge_rows(
        judge,
        rows,
        column=settings.labels,
        kind=settings.kind,
        group=getattr(settings, "group", None),
        journal=kept,
        window=settings.window,
        on_row=bar,
    )


@contextmanager
def _journal(out: str | None, name: str, judge: QualityScorer, *, restart: bool) -> Iterator[Any]:
    from structq.journal import Journal
    from structq.runs.facts import answers_depend_on

    if out is None:
        with nullcontext() as nothing:
            yield nothing
        return
    with Journal(f"{out}.{name}.journal", answers_depend_on(judge), restart=restart) as kept:
        yield kept


def _reasons(found: JudgedRows) -> str:
    return "; ".join(f"{why} ({n:,})" for why, n in found.left_out.most_common(3)) or "it is empty"


def _write(path: str, result: Any) -> None:
    try:
        text = json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf8")
    except OSError as error:
        raise InputError(f"json: cannot write {path!r}: {error.strerror}", field="json") from error
    say(f"structq: the whole result is in {path}")
