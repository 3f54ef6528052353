"""``structq optimize``: arguments in, a tuned program and an exit code out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from structq.cli.shared import (
    EXIT_INTERRUPTED,
    EXIT_ROWS_FAILED,
    ApiBase,
    Limit,
    Lm,
    MaxAddedWords,
    MaxTokens,
    Permutations,
    Preserve,
    Program,
    Scale,
    Source,
    SystemPrompt,
    Temperature,
    Window,
    complain,
    load_program,
    opened,
    parse_scale,
)
from structq.cli.shared import Keep as _Keep
from structq.data import EVOLVING, read_jsonl
from structq.errors import InputError, StructqError

if TYPE_CHECKING:
    import dspy

    from structq.modules import EvolQuality

__all__ = ["optimize"]


class Proposer(StrEnum):
    """Who writes new templates."""

    library = "library"
    reflective = "reflective"
    paraphrase = "paraphrase"
    crossover = "crossover"


Tuned = Annotated[str, typer.Option("--output", "-o", help="The tuned program, as JSON.")]
MaxCalls = Annotated[int, typer.Option(min=1, help="Most LM calls, of every kind.")]
MaxSeconds = Annotated[
    float | None, typer.Option(help="When to end the search and go on to the verdict.")
]
ScorerLm = Annotated[str | None, typer.Option(metavar="LM", help="The judge; by default --lm.")]
ProposerLm = Annotated[
    str | None, typer.Option(metavar="LM", help="Who writes, where an LM does; by default --lm.")
]
Proposers = Annotated[
    list[Proposer] | None,
    typer.Option("--proposer", help="Source of new sentences; may be given several times."),
]
Valid = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Rows for the verdict; by default half of DATA."),
]
Checkpoint = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="Keeps every answer; if it is there, goes on from it."),
]
Level = Annotated[float, typer.Option(help="How often, at most, no gain may pass for one.")]
LengthPenalty = Annotated[
    float, typer.Option(min=0.0, help="Taken off the gain for each 100 added words.")
]
LearnWeights = Annotated[
    bool, typer.Option("--learn-weights", help="Draw better mutations more often, too.")
]
TuningSeed = Annotated[int, typer.Option(min=0, help="Fixes every draw of the search.")]


def optimize(
    ctx: typer.Context,
    data: Source,
    out: Tuned,
    lm: Lm,
    max_lm_calls: MaxCalls,
    api_base: ApiBase = None,
    scorer_lm: ScorerLm = None,
    proposer_lm: ProposerLm = None,
    proposer: Proposers = None,
    valid: Valid = None,
    program: Program = None,
    checkpoint: Checkpoint = None,
    max_seconds: MaxSeconds = None,
    level: Level = 0.05,
    length_penalty: LengthPenalty = 0.0,
    learn_weights: LearnWeights = False,
    preserve: Preserve = _Keep.none,
    max_added_words: MaxAddedWords = None,
    scale: Scale = None,
    permutations: Permutations = 1,
    system_prompt: SystemPrompt = None,
    seed: TuningSeed = 0,
    limit: Limit = None,
    window: Window = 32,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
) -> None:
    """Tune the mutation templates for your rows, LM and judge; keep them only if proven better."""
    command = _Command(ctx.params)
    try:
        code = command.run()
    except (StructqError, OSError) as error:
        code = complain(error)
    except KeyboardInterrupt:
        typer.echo("structq: interrupted", err=True)
        code = EXIT_INTERRUPTED
    raise typer.Exit(code)


@dataclass
class _Rows:
    """Good rows of a file, and how many were not."""

    good: list[dict[str, Any]]
    n_bad: int


class _Command:
    """One run of the command; what can fail before the first LM call fails first."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        self._n_bad = 0

    def run(self) -> int:
        """Tunes, writes and sums up; returns the exit code."""
        option = self._options
        trainset = self._read(option["data"])
        valset = None if option["valid"] is None else self._read(option["valid"])
        _check_writable(option["out"])
        import structq

        lm = self._lm(option["lm"], api_base=option["api_base"])
        student = self._student(lm)
        from structq.cli.optimize_view import OptimizeView

        with OptimizeView(total=option["max_lm_calls"]) as view:
            optimizer = structq.TemplateOptimizer(
                structq.QualityGain(self._scorer(lm), length_penalty=option["length_penalty"]),
                proposer=[one.value for one in option["proposer"] or (Proposer.library,)],
                proposer_lm=self._other_lm("proposer_lm"),
                on_progress=view.show,
                **{name: option[name] for name in _SAME},
            )
            tuned = optimizer.compile(student, trainset=trainset, valset=valset)
        result = tuned.optimization
        if result.interrupted:
            view.summarise(result, kept=option["checkpoint"])
            return EXIT_INTERRUPTED
        tuned.save(option["out"])
        view.summarise(result, written=option["out"])
        return EXIT_ROWS_FAILED if self._n_bad else 0

    def _read(self, path: str) -> list[dict[str, Any]]:
        """The good rows of a file; each bad one is named."""
        rows = []
        for row in opened(read_jsonl(path, EVOLVING), limit=self._options["limit"]):
            if row.error is None:
                rows.append(row.values)
            else:
                self._n_bad += 1
                typer.echo(str(row.error), err=True)
        return rows

    def _student(self, lm: dspy.BaseLM) -> EvolQuality:
        import structq

        option = self._options
        path = option["program"]
        student = structq.EvolQuality() if path is None else load_program(path)
        student.lm, student.n_in_flight = lm, option["window"]
        if option["preserve"] != _Keep.none:
            student.preserve = option["preserve"].value
        for name in ("max_added_words", "system_prompt"):
            if option[name] is not None:
                setattr(student, name, option[name])
        return student

    def _scorer(self, lm: dspy.BaseLM) -> Any:
        import structq

        option = self._options
        return structq.QualityScorer(
            scale=parse_scale(option["scale"]),
            permutations=option["permutations"],
            system_prompt=option["system_prompt"],
            lm=self._other_lm("scorer_lm") or lm,
        )

    def _other_lm(self, name: str) -> dspy.BaseLM | None:
        spec = self._options[name]
        return None if spec is None else self._lm(spec)

    def _lm(self, spec: str, **options: Any) -> dspy.BaseLM:
        import structq

        for name in ("max_tokens", "temperature"):
            options[name] = self._options[name]
        given = {name: value for name, value in options.items() if value is not None}
        if self._options["temperature"]:
            given["seed"] = self._options["seed"]
        return structq.lm(spec, **given)


_SAME = ("max_lm_calls", "max_seconds", "level", "learn_weights", "seed", "checkpoint")


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
