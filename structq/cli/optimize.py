"""``structq optimize``: arguments in, a tuned program and an exit code out."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import Field

from structq.cli.metrics import check_unjudged, metric_of
from structq.cli.options import Given, Lm, LmSettings, Program, Source, lm_options, takes
from structq.cli.tasks import evolver, opened, scorer
from structq.cli.terminal import EXIT_INTERRUPTED, EXIT_ROWS_FAILED, say
from structq.data import EVOLVING, read_rows
from structq.errors import InputError
from structq.modules.settings import MAX_SEED, EvolOptions, ScorerOptions, Settings, Shown
from structq.runs.settings import RunSettings

if TYPE_CHECKING:
    import dspy

__all__ = ["optimize"]

Tuned = Annotated[str, typer.Option("--output", "-o", help="The tuned program, as JSON.")]
MaxCalls = Annotated[int, typer.Option(min=1, help="Most LM calls, of every kind.")]
_Lm = Annotated[str | None, Shown("LM")]
_File = Annotated[str | None, Shown("PATH")]


class TuningSettings(Settings):
    """What may be said about a search for templates."""

    metric: Annotated[str, Shown("NAME|FILE.py:FUNCTION")] = Field(
        default="gain",
        description="What an evolution is worth: gain (to the judge), or, without one, adds, "
        "concise or readable:YEARS, or your own function of (example, prediction), which is run.",
    )
    proposer: Annotated[list[str], Shown("auto|library|reflective|paraphrase|shorten")] = Field(
        default_factory=list,
        description="Who writes sentences, by default all that can; may be given several times.",
    )
    scorer_lm: _Lm = Field(default=None, description="The judge; by default --lm.")
    proposer_lm: _Lm = Field(
        default=None, description="Who writes, where an LM does; by default --lm."
    )
    valid: _File = Field(
        default=None, description="Rows for the verdict; by default half of the rows."
    )
    warm_start: Annotated[list[str], Shown("JOURNAL")] = Field(
        default_factory=list,
        description="Journal of an earlier run or search to begin from; may be given again.",
    )
    checkpoint: _File = Field(
        default=None, description="Keeps every answer; if it is there, goes on from it."
    )
    max_seconds: float | None = Field(
        default=None, gt=0, description="When to end the search and go on to the verdict."
    )
    level: float = Field(
        default=0.05, gt=0, lt=1, description="How often, at most, no gain may pass for one."
    )
    length_penalty: float = Field(
        default=0.0, ge=0, description="Taken off the gain for each 100 added words."
    )
    seed: int = Field(default=0, ge=0, le=MAX_SEED, description="Fixes every draw of the search.")


_OPTIMIZERS = ("max_seconds", "level", "seed", "checkpoint", "warm_start")


@takes(
    TuningSettings, EvolOptions, ScorerOptions, LmSettings, RunSettings,
    without=(
        "num_evolutions", "store_evolutions", "include_original_response",
        *(name for name in RunSettings.model_fields if name not in ("limit", "window")),
    ),
    flags={"warm_start": "--from"},
)  # fmt: skip
def optimize(
    data: Source,
    out: Tuned,
    max_lm_calls: MaxCalls,
    given: Given,
    lm: Lm = None,
    program: Program = None,
) -> int:
    """Tune the mutation templates for your rows, LM and judge; keep them only if proven better."""
    settings, run = TuningSettings.picked(given), RunSettings.picked(given)
    trainset, n_bad = _read(data, run.limit)
    valset, n_bad_valid = (None, 0) if settings.valid is None else _read(settings.valid, run.limit)
    _check_writable(out)
    import structq

    def open_lm(spec: str | None, **own: Any) -> dspy.BaseLM | None:
        return None if spec is None else structq.lm(spec, **others, **own)

    others = lm_options(given, seed=settings.seed)
    api_base = others.pop("api_base", None)
    writer = open_lm(lm, **({} if api_base is None else {"api_base": api_base}))
    options = {name: value for name, value in given.items() if name != "seed"}
    student = evolver(options, program)
    student.lm, student.n_in_flight = writer, run.window
    metric: Any
    if settings.metric == "gain":
        judge, name = scorer(options), None
        judge.lm = open_lm(settings.scorer_lm) or writer
        metric = structq.QualityGain(judge, length_penalty=settings.length_penalty)
    else:
        check_unjudged(settings.metric, given)
        metric, name = metric_of(settings.metric, trainset)
    from structq.cli.optimize_view import OptimizeView

    logging.getLogger("dspy").setLevel(logging.ERROR)  # a failed trial is counted, with its reason
    with OptimizeView(total=max_lm_calls) as view:
        optimizer = structq.TemplateOptimizer(
            metric,
            metric_name=name,
            max_lm_calls=max_lm_calls,
            proposer=settings.proposer or "auto",
            proposer_lm=open_lm(settings.proposer_lm),
            on_progress=view.show,
            **{name: getattr(settings, name) for name in _OPTIMIZERS},
        )
        tuned = optimizer.compile(student, trainset=trainset, valset=valset)
    result = tuned.optimization
    if result.interrupted:
        view.summarise(result, kept=settings.checkpoint)
        return EXIT_INTERRUPTED
    tuned.save(out)
    _add_result(out, result)
    view.summarise(result, written=out)
    return EXIT_ROWS_FAILED if n_bad + n_bad_valid else 0


def _read(path: str, limit: int | None) -> tuple[list[dict[str, Any]], int]:
    """The good rows of a file, and how many were not: each of those is named."""
    good, n_bad = [], 0
    for row in opened(read_rows(path, EVOLVING), limit=limit):
        if row.error is None:
            good.append(row.values)
        else:
            n_bad += 1
            say(str(row.error))
    return good, n_bad


def _add_result(path: str, result: Any) -> None:
    """The verdict goes beside the program: what loads the program passes over it."""
    program = json.loads(Path(path).read_text("utf8"))
    program["optimization"] = result.to_json()
    Path(path).write_text(json.dumps(program, indent=2, ensure_ascii=False) + "\n", "utf8")


def _check_writable(path: str) -> None:
    """Fails now where the result of hours could not be written.

    Raises:
        InputError: The file cannot be written.
    """
    target = Path(path)
    if target.suffix != ".json":
        raise InputError(f"--output: {path!r} must end in .json", field="output")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {path!r}: {reason}", field="output") from error
    if target.is_dir() or not os.access(target if target.exists() else target.parent, os.W_OK):
        raise InputError(f"cannot write {path!r}", field="output")
