"""Rows in, rows out: what EvolQuality, QualityScorer and EvolveAndScore share."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import dspy
from dspy.dsp.utils.settings import thread_local_overrides

from structq.errors import InputError, describe_error, shorten
from structq.forks import Lock
from structq.templates import check_text

from .predictor import LMByName, share_equal
from .programs import check_state, reading_program
from .settings import check_count
from .stream import run_stream

__all__ = ["RowModule", "check_instruction", "describe_error", "merge_metadata", "row_values"]

Row = dict[str, Any]

_LOCK = Lock()
_LEAN: dict[int, list[int]] = {}
"""Streams that run over each cache, and whether it kept answers in memory before."""


class _Shown:
    """The real parameters, which DSPy's metaclass hides: of a class, and of a call of a module."""

    def __get__(self, module: Any, owner: type) -> inspect.Signature:
        of: Any = owner.__init__ if module is None else type(module).forward  # type: ignore[misc]
        found = inspect.signature(of)
        return found.replace(parameters=list(found.parameters.values())[1:])


class RowModule(dspy.Module):  # type: ignore[misc]
    """A module that also works on rows, with distilabel's column contract.

    Args:
        n_in_flight: Most rows that ``process`` and ``stream`` work on at once.
    """

    __signature__ = _Shown()

    def __init__(self, *, n_in_flight: int = 64) -> None:
        super().__init__()
        check_count(n_in_flight, "n_in_flight")
        self.n_in_flight = n_in_flight

    @property
    def lm(self) -> dspy.BaseLM | None:
        """The LM that its predictors have in common; ``None`` where they have none or differ."""
        own = {id(predictor.lm): predictor.lm for predictor in self.predictors()}
        return next(iter(own.values())) if len(own) == 1 else None

    @lm.setter
    def lm(self, lm: dspy.BaseLM | str | None) -> None:
        self.set_lm(lm)

    def set_lm(self, lm: dspy.BaseLM | str | None) -> None:
        """Has every predictor ask this LM; ``None``: the one that DSPy is configured with.

        Raises:
            InputError: It is no LM and no spec of one.
        """
        super().set_lm(LMByName(lm) if isinstance(lm, str) else lm)

    def own_lms(self) -> list[dspy.BaseLM]:
        """The LMs that its predictors have of their own, each once."""
        own = (predictor.lm for predictor in self.predictors())
        return list({id(lm): lm for lm in own if lm is not None}.values())

    def answered_by(self, lm: Any) -> Self:
        """The module, if it has an LM of its own or none is given; else a copy that asks this."""
        if lm is None or any(predictor.unopened is not None for predictor in self.predictors()):
            return self
        twin: Self = self.deepcopy()
        twin.set_lm(lm)
        return twin

    def get_lm(self) -> dspy.BaseLM:
        """The one LM that would answer now: the module's own, or the configured one.

        Raises:
            InputError: There is none.
            ValueError: There are several.
        """
        lms = self.answering_lms()
        if len(lms) > 1:
            names = ", ".join(str(lm.model) for lm in lms)
            raise ValueError(f"Multiple LMs are being used in the module: {names}")
        return lms[0]

    def load(self, *path: Any, **options: Any) -> None:
        """Makes the LM ready, as ``load()`` of distilabel does; given a path, loads a program."""
        if path or options:
            with reading_program(*path, **options):
                super().load(*path, **options)
            return
        for lm in self.answering_lms():
            for part in (getattr(lm, "engine", None), lm):
                warm = getattr(part, "load", None)
                if callable(warm):
                    warm()

    def load_state(self, state: dict[str, Any], *, allow_unsafe_lm_state: bool = False) -> None:
        """Becomes the saved module, all but its LM; see ``docs/trust.md``.

        Raises:
            InputError: The state is not one of such a module.
        """
        check_state(state, trusted=allow_unsafe_lm_state)
        super().load_state(state, allow_unsafe_lm_state=allow_unsafe_lm_state)
        if allow_unsafe_lm_state:
            share_equal(self.named_predictors(), state)

    def process(self, rows: Iterable[Mapping[str, Any] | dspy.Example]) -> Iterator[list[Row]]:
        """Yields one list: the rows in their order, with the output columns.

        Rows are copied, never changed. Unknown columns stay. A row that fails keeps its columns,
        gets ``None`` in each output column and the reason in ``metadata["error"]``, and costs no
        other row anything.

        Args:
            rows: Mappings or ``dspy.Example``; what comes back are dicts.

        Raises:
            InputError: There is no LM, or a row is not a mapping.
        """
        yield list(self.stream(rows))

    def stream(self, rows: Iterable[Mapping[str, Any] | dspy.Example]) -> Iterator[Row]:
        """As ``process``, row by row in their order, reading as it goes: for data of any size."""
        lms = self.answering_lms()
        if isinstance(rows, str | bytes | Mapping | dspy.Example) or _table_hint(rows):
            raise _no_rows(rows)
        with _no_copies(lms):
            yield from run_stream(self.aprocess_row, rows, n_in_flight=self.n_in_flight)

    async def aprocess_row(self, row: Mapping[str, Any] | dspy.Example) -> Row:
        """One row with the output columns; a failure is in its ``metadata["error"]``.

        Nothing of it stays in DSPy's history; nor in its trace, unless an optimizer collects one.
        """
        values = row_values(row)
        # What is global and not asked for is a leak: 8 KB a row and more.
        traced = {} if "trace" in thread_local_overrides.get() else {"trace": None}
        try:
            with dspy.context(disable_history=True, **traced):
                prediction = await self.acall(**self.row_inputs(values))
        except (
            Exception
        ) as error:  # whatever it is, it is this row's alone, and is kept with its reason
            columns = dict.fromkeys(self.output_columns)
            found = {"calls": list(getattr(error, "calls", ())), "error": describe_error(error)}
        else:
            columns = {name: prediction[name] for name in self.output_columns}
            found = prediction["metadata"]
        return {**values, **columns, "metadata": merge_metadata(values.get("metadata"), found)}

    @property
    @abstractmethod
    def output_columns(self) -> tuple[str, ...]:
        """The columns that a row gets, ``metadata`` apart."""

    @abstractmethod
    def row_inputs(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, from the columns of a row."""

    def answering_lms(self) -> list[dspy.BaseLM]:
        """The LMs that would answer now, each once.

        Raises:
            InputError: There is none.
        """
        asked = (predictor.lm or dspy.settings.lm for predictor in self.predictors())
        lms = {id(lm): lm for lm in asked}
        if None in lms.values():
            hint = "pass lm=, or call dspy.configure(lm=structq.lm('nano'))"
            raise InputError(f"lm: there is none ({hint})", field="lm")
        return list(lms.values())


def check_instruction(value: object) -> str:
    """The instruction, if it is text that says something.

    Raises:
        InputError: It is not text, blank, or cannot be sent to an LM.
    """
    text = check_text(value, "instruction")
    if not text.strip():
        raise InputError(f"instruction: is blank, found {shorten(text)}", field="instruction")
    return text


def merge_metadata(old: object, new: Mapping[str, Any]) -> dict[str, Any]:
    """The new facts of a row beside those that it came with, earlier calls in front."""
    kept = dict(old) if isinstance(old, Mapping) else {} if old is None else {"metadata": old}
    earlier = kept.get("calls")
    calls = [*earlier, *new["calls"]] if isinstance(earlier, list) else new["calls"]
    return {**kept, **new, "calls": calls}


def row_values(row: Any) -> Mapping[str, Any]:
    """The columns of a row.

    Raises:
        InputError: It is neither a mapping nor a ``dspy.Example``.
    """
    if isinstance(row, dspy.Example):
        return dict(row.items())
    if isinstance(row, Mapping):
        return row
    hints = {"to_dict": "row.to_dict() gives one", "_asdict": "row._asdict() gives one"}
    hint = next((f" ({text})" for name, text in hints.items() if hasattr(row, name)), "")
    raise InputError(
        f"rows: each must be a mapping or a dspy.Example, found {shorten(row)}{hint}", field="rows"
    )


_TABLES = {"to_pylist": "to_pylist()", "iterrows": "to_dict('records')", "iter_rows": "to_dicts()"}


def _table_hint(rows: Any) -> str:
    """How a table of another library gives its rows; nothing for what is no table."""
    return next((f" ({call} gives them)" for name, call in _TABLES.items() if hasattr(rows, name)),
                "")  # fmt: skip


def _no_rows(rows: Any) -> InputError:
    found = shorten(rows) if isinstance(rows, str | bytes | Mapping) else type(rows).__name__
    hint = _table_hint(rows)
    return InputError(f"rows: must be an iterable of rows, found {found}{hint}", field="rows")


@contextmanager
def _no_copies(lms: Iterable[dspy.BaseLM]) -> Iterator[None]:
    """Keeps DSPy from holding every answer of these LMs in memory, where its disk has them too."""
    if not any(getattr(lm, "cache", False) for lm in lms) or not dspy.cache.enable_disk_cache:
        yield
        return
    cache = dspy.cache
    with _LOCK:
        known = _LEAN.setdefault(id(cache), [0, cache.enable_memory_cache])
        known[0] += 1
        cache.enable_memory_cache = False
    try:
        yield
    finally:
        with _LOCK:
            known[0] -= 1
            if not known[0]:
                del _LEAN[id(cache)]
                cache.enable_memory_cache = known[1]
