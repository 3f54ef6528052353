"""Rows in, rows out: what EvolQuality, QualityScorer and EvolveAndScore share."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any

import dspy

from structq.errors import InputError, StructqError, is_fatal, shorten
from structq.templates import check_text

from .settings import check_count
from .stream import run_stream

__all__ = ["RowModule", "check_instruction", "merge_metadata"]

Row = dict[str, Any]

_LOCK = threading.Lock()


class RowModule(dspy.Module):  # type: ignore[misc]
    """A module that also works on rows, with distilabel's column contract.

    Args:
        lm: A ``dspy.LM``, or a spec for ``structq.lm`` that is resolved at the first call; ``None``
            for the LM that DSPy is configured with.
        n_in_flight: Most rows that ``process`` and ``stream`` work on at once.
    """

    def __init__(self, *, lm: dspy.BaseLM | str | None = None, n_in_flight: int = 64) -> None:
        super().__init__()
        check_count(n_in_flight, "n_in_flight")
        if not (lm is None or isinstance(lm, str | dspy.BaseLM)):
            raise InputError(f"lm: must be a dspy.LM or a spec, found {shorten(lm)}", field="lm")
        self.n_in_flight = n_in_flight
        self._lm = lm

    @property
    def lm(self) -> dspy.BaseLM | None:
        """The module's own LM, or ``None``."""
        if isinstance(self._lm, str):
            with _LOCK:
                if isinstance(self._lm, str):
                    # By name: backends are imported when they are needed, and not before.
                    self._lm = import_module("structq.engines").lm(self._lm)
        return self._lm

    @lm.setter
    def lm(self, lm: dspy.BaseLM | str | None) -> None:
        self._lm = lm

    def load(self, *path: Any, **options: Any) -> None:
        """Makes the LM ready, as ``load()`` of distilabel does; given a path, loads a program."""
        if path or options:
            super().load(*path, **options)
            return
        for lm in self.answering_lms():
            for part in (getattr(lm, "engine", None), lm):
                warm = getattr(part, "load", None)
                if callable(warm):
                    warm()

    def process(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Row]]:
        """Yields one list: the rows in their order, with the output columns.

        Rows are copied, never changed. Unknown columns stay. A row that fails keeps its columns,
        gets ``None`` in each output column and the reason in ``metadata["error"]``, and costs no
        other row anything.

        Raises:
            InputError: There is no LM, or a row is not a mapping.
        """
        yield list(self.stream(rows))

    def stream(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
        """As ``process``, row by row in their order, reading as it goes: for data of any size."""
        self.answering_lms()
        yield from run_stream(self.aprocess_row, rows, n_in_flight=self.n_in_flight)

    async def aprocess_row(self, row: Mapping[str, Any]) -> Row:
        """One row with the output columns; a failure is in its ``metadata["error"]``."""
        if not isinstance(row, Mapping):
            raise InputError(f"rows: each must be a mapping, found {shorten(row)}", field="rows")
        try:
            prediction = await self.acall(**self.row_inputs(row))
        except (
            Exception
        ) as error:  # whatever it is, it is this row's alone, and is kept with its reason
            columns = dict.fromkeys(self.output_columns)
            found = {"calls": list(getattr(error, "calls", ())), "error": describe_error(error)}
        else:
            columns = {name: prediction[name] for name in self.output_columns}
            found = prediction["metadata"]
        return {**row, **columns, "metadata": merge_metadata(row.get("metadata"), found)}

    @property
    @abstractmethod
    def output_columns(self) -> tuple[str, ...]:
        """The columns that a row gets, ``metadata`` apart."""

    @abstractmethod
    def row_inputs(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, from the columns of a row."""

    def answering_lms(self) -> list[dspy.BaseLM]:
        """The LMs that would answer now, made ready to be asked.

        Raises:
            InputError: There is none.
        """
        own = (predictor.lm for predictor in self.predictors())
        lm = next((lm for lm in own if lm is not None), None) or self.lm or dspy.settings.lm
        if lm is None:
            hint = "pass lm=, or call dspy.configure(lm=structq.lm('nano'))"
            raise InputError(f"lm: there is none ({hint})", field="lm")
        return [lm]


def check_instruction(value: object) -> str:
    """The instruction, if it is text that says something.

    Raises:
        InputError: It is not text, blank, or cannot be sent to an LM.
    """
    text = check_text(value, "instruction")
    if not text.strip():
        raise InputError(f"instruction: is blank, found {shorten(text)}", field="instruction")
    return text


def describe_error(error: Exception) -> dict[str, Any]:
    """The public type, the message and the field of an error; ``fatal`` where every row has it."""
    names = (
        kind.__name__ for kind in type(error).__mro__ if kind.__module__ == StructqError.__module__
    )
    field = getattr(error, "field", None)
    facts = {"type": next(names, type(error).__name__), "message": str(error), "field": field}
    return {**facts, "fatal": True} if is_fatal(error) else facts


def merge_metadata(old: object, new: Mapping[str, Any]) -> dict[str, Any]:
    """The new facts of a row beside those that it came with, earlier calls in front."""
    kept = dict(old) if isinstance(old, Mapping) else {} if old is None else {"metadata": old}
    earlier = kept.get("calls")
    calls = [*earlier, *new["calls"]] if isinstance(earlier, list) else new["calls"]
    return {**kept, **new, "calls": calls}
