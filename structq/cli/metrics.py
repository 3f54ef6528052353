"""``--metric``: a metric by its name, or a function in a file of the user's, which is run."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from itertools import product
from pathlib import Path
from typing import Any

from structq.cli.options import Given
from structq.errors import InputError, shorten
from structq.modules.settings import EvolSettings, ScorerOptions

__all__ = ["check_unjudged", "metric_of"]

_TRIED = 3
"""Rows on which a metric is tried before an LM is asked."""


def metric_of(
    text: str, rows: Sequence[Mapping[str, Any]]
) -> tuple[Callable[..., Any], str | None]:
    """The metric, and by what a checkpoint knows it: the content of its file, its name else.

    Args:
        text: A name, or FILE.py:FUNCTION.
        rows: What it will see; it is called on some of them.

    Raises:
        InputError: There is none, its file cannot be run, or it fails on every row that was tried.
    """
    path, mark, name = text.rpartition(":")
    if not mark or not path.endswith(".py"):
        if text.endswith(".py"):
            raise _wrong(f"{shorten(text)} names no function (as in {Path(text).name}:score)")
        from structq.optimize.metrics import metric_named

        return metric_named(text), None
    module, digest = _run(path)
    function = getattr(module, name, None)
    if not callable(function):
        own = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise _wrong(f"{path!r} has no function {name!r} (it has {', '.join(own) or 'none'})")
    _try(function, text, rows)
    return function, f"{name} of a file {digest}"


def check_unjudged(metric: str, given: Given) -> None:
    """Refuses what says something about a judge, where there is none.

    Raises:
        InputError: Such a setting was given; names it.
    """
    of_judge = {"scorer_lm", "length_penalty"} | set(ScorerOptions.model_fields)
    for name in given:
        if name in of_judge - set(EvolSettings.model_fields):
            flag = f"--{name.replace('_', '-')}"
            message = f"{flag}: says nothing with --metric {metric} (there is no judge)"
            raise InputError(message, field=name)


def _run(path: str) -> tuple[Any, str]:
    """The module of a file, and a digest of its text; files beside it can be imported."""
    try:
        digest = blake2b(Path(path).read_bytes(), digest_size=8).hexdigest()
    except OSError as error:
        raise _wrong(f"cannot read {path!r}: {error.strerror or error}") from error
    spec = importlib.util.spec_from_file_location(f"metric_{Path(path).stem}", path)
    if spec is None or spec.loader is None:
        raise _wrong(f"{path!r} cannot be run")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.append(str(Path(path).resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's code does wrong
        told = f"{type(error).__name__}: {shorten(str(error), 300)}"
        raise _wrong(f"{path!r} cannot be run: {told}") from error
    return module, digest


def _try(function: Callable[..., Any], text: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Raises ``InputError`` where the function fails on the first rows, whatever they evolve to."""
    import dspy

    from structq.optimize.metric import as_metric

    metric, reasons = as_metric(function), []
    for row, times in product(rows[:_TRIED], (1, 2)):
        example = dspy.Example(**row).with_inputs("instruction", "response")
        evolved = dspy.Prediction(evolved_response="\n".join([row["response"]] * times))
        failure = asyncio.run(metric.ameasure(example, evolved)).failure
        if failure is None:
            return
        reasons.append(failure)
    if reasons:
        raise _wrong(f"{text} fails on the first {min(_TRIED, len(rows))} rows: {reasons[0]}")


def _wrong(message: str) -> InputError:
    return InputError(f"metric: {message}", field="metric")
