"""``structq run``, ``evolve`` and ``score``: arguments in, exit code out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from structq.cli.options import (
    Given,
    Lm,
    LmSettings,
    Out,
    Program,
    Source,
    lm_options,
    takes,
)
from structq.cli.running import run_over
from structq.cli.tasks import TWO_STEPS, evolver, scorer
from structq.cli.terminal import say
from structq.data import EVOLVING, SCORING
from structq.modules.settings import EvolOptions, EvolSettings, ScorerOptions
from structq.runs.settings import RunSettings

if TYPE_CHECKING:
    import dspy

    from structq.modules.rows import RowModule

__all__ = ["evolve", "run", "score"]

_LIST_COLUMNS = ("store_evolutions", "include_original_response")
"""Settings of evolving that say nothing where all evolutions are scored and kept."""
_PATIENT = {"max_attempts": 5}
"""A run loses no row to one bad answer."""
ScorerLm = Annotated[
    str | None,
    typer.Option("--scorer-lm", help="The LM that judges; by default the one that writes."),
]


@takes(
    EvolOptions, ScorerOptions, LmSettings, RunSettings,
    without=_LIST_COLUMNS, defaults=TWO_STEPS | _PATIENT, config=True,
)  # fmt: skip
def run(
    source: Source,
    out: Out,
    given: Given,
    lm: Lm = None,
    program: Program = None,
    scorer_lm: ScorerLm = None,
) -> int:
    """Evolve each response, score original and evolutions side by side, keep the best."""

    def task() -> RowModule:
        import structq

        writer = _open(lm, given)
        _advise(scorer_lm or lm, given)
        judge = writer if scorer_lm is None else _open(scorer_lm, given)
        evolve, score = evolver(_patient(given), program), scorer(_patient(given))
        evolve.lm, score.lm = writer, judge
        return structq.EvolveAndScore(evolve, score)

    return run_over(task, source, out, given, EVOLVING)


@takes(EvolOptions, LmSettings, RunSettings, defaults=TWO_STEPS | _PATIENT, config=True)
def evolve(source: Source, out: Out, given: Given, lm: Lm = None, program: Program = None) -> int:
    """Rewrite each response, each time with one of the mutations."""
    return run_over(
        lambda: _asking(evolver(_patient(given), program), lm, given), source, out, given, EVOLVING
    )


@takes(ScorerOptions, LmSettings, RunSettings, defaults=_PATIENT, config=True)
def score(
    source: Source,
    out: Out,
    given: Given,
    lm: Lm = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="What `structq calibrate` wrote: scores on people's scale."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes the draw of tokens, if not greedy.")] = 42,
) -> int:
    """Score the responses of each row against one another."""
    given = {**given, "seed": seed}
    _advise(lm, given)
    return run_over(
        lambda: _asking(scorer(_patient(given), calibration), lm, given),
        source,
        out,
        given,
        SCORING,
    )


def _advise(lm: str | None, given: Given) -> None:
    """Says which way to score an LM's evidence recommends, where another one is used."""
    from structq.engines.store.catalogue import CATALOGUE

    entry = CATALOGUE.get(str(lm))
    used = given.get("scoring", ScorerOptions().scoring)
    if entry is not None and entry.scoring not in (None, used) and not given.get("quiet"):
        say(f"structq: {entry.name}: --scoring {entry.scoring} is recommended: {entry.evidence}")


def _patient(given: Given) -> Given:
    return {**_PATIENT, **given}


def _asking(task: RowModule, lm: str | None, given: Given) -> RowModule:
    task.lm = _open(lm, given)
    return task


def _open(lm: str | None, given: Given) -> dspy.LM:
    import structq

    lm = str(lm)
    options = lm_options(given, seed=given.get("seed", EvolSettings().seed))
    if "/" in lm and ":" not in lm.partition("/")[0]:
        # The run itself asks again, at the pace that the account takes.
        options.setdefault("num_retries", 0)
    # The journal keeps every answer: DSPy's cache would keep it again, at the price of a call.
    options.setdefault("cache", False)
    return structq.lm(lm, **options)
