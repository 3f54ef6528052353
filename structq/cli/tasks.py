"""Modules from the options that were given, and rows from a file: what commands share."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from structq.cli.options import Given
from structq.data import Row
from structq.errors import InputError
from structq.modules.settings import EvolOptions, ScorerOptions, Settings

if TYPE_CHECKING:
    from structq.modules import EvolQuality, QualityScorer

__all__ = ["TWO_STEPS", "evolver", "opened", "scorer"]

TWO_STEPS = {"num_evolutions": 2}
"""What commands that evolve do by default."""


def opened(rows: Iterator[Row], *, limit: int | None) -> Iterator[Row]:
    """The same rows, the first of them already read: a file that cannot be read fails here."""
    first = list(islice(rows, 1))
    return islice(chain(first, rows), limit)


def evolver(given: Given, program: str | None) -> EvolQuality:
    """A new EvolQuality, or the saved one with the settings that were given.

    Raises:
        InputError: There is no such file, it holds something else, or settings do not fit.
    """
    import structq

    options = _some(given, EvolOptions)
    if program is None:
        options = {**TWO_STEPS, **options}
        _check_columns(options)
        return structq.EvolQuality(**options)
    evolve = structq.EvolQuality()
    try:
        evolve.load(program)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"--program: {program!r} is no saved EvolQuality: {error}") from error
    if "mutation_templates" in options:
        evolve.mutation_templates = options.pop("mutation_templates")
    evolve.change(**options)
    evolve.check()
    return evolve


def scorer(given: Given, calibration: str | None = None) -> QualityScorer:
    """A QualityScorer with the settings that were given, on people's scale where calibrated."""
    import structq

    options = _some(given, ScorerOptions)
    if calibration is None:
        return structq.QualityScorer(**options)
    from structq.evaluation import CalibratedScorer

    return CalibratedScorer(calibration, **options)


def _check_columns(options: Given) -> None:
    if options.get("include_original_response") and not options.get("store_evolutions"):
        raise InputError("--include-original-response needs --store-evolutions")


def _some(options: Given, model: type[Settings]) -> dict[str, Any]:
    return {name: options[name] for name in model.model_fields if name in options}
