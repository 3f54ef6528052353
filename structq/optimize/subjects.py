"""What can be tuned: the mutations of an EvolQuality, and the instructions of any DSPy module."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import dspy

from structq.errors import InputError, TemplateError, shorten
from structq.journal import describe_lm
from structq.journal.fingerprint import UnknownError, fingerprint
from structq.modules import EvolQuality, QualityScorer
from structq.modules.rows import RowModule, check_instruction
from structq.templates import check_mutation, check_text

from .budget import Gate
from .gate import praises_itself
from .proposers import EVOLVING
from .trials import Space

__all__ = ["Subject", "bare_copy", "subject_of"]

Module = TypeVar("Module", bound=RowModule)
Texts = tuple[tuple[str, str], ...]


def subject_of(student: Any, gate: Gate) -> Subject:
    """The student as what is tuned.

    Raises:
        InputError: It has nothing that can be tuned.
    """
    if isinstance(student, EvolQuality):
        return _Mutations(student, gate)
    if isinstance(student, dspy.Module) and student.named_predictors():
        return _Instructions(student, gate)
    raise InputError(
        "student: must be an EvolQuality or a dspy.Module with predictors, "
        f"found {shorten(student)}",
        field="student",
    )


def bare_copy(module: Module, gate: Gate) -> Module:
    """A module of the same settings and predictors, whose LMs are behind the gate."""
    twin = copy.copy(module)

    def gated(predictor: dspy.Predict) -> dspy.Predict:
        own = copy.copy(predictor)
        own.lm = gate(predictor.lm or dspy.settings.lm)
        return own

    for name, value in vars(module).items():
        if isinstance(value, dspy.Predict):
            setattr(twin, name, gated(value))
        elif isinstance(value, dict) and any(isinstance(v, dspy.Predict) for v in value.values()):
            setattr(twin, name, {key: gated(v) for key, v in value.items()})
    return twin


class _Mutations:
    """The mutations of an ``EvolQuality``, each on rows of its own.

    Attributes:
        space: The texts that it begins with.
        max_calls: Most LM calls of one run, as a rule.
        task: What it does, for whoever writes its instructions.
    """

    task = EVOLVING

    def __init__(self, student: EvolQuality, gate: Gate) -> None:
        student.check()
        student.answering_lms()
        self.space = Space.of(student.mutation_templates, student.mutation_weights)
        self._student = student
        self._base = bare_copy(student, gate)
        self._base.num_evolutions = 1
        self._base.store_evolutions = self._base.include_original_response = False
        self.max_calls = int(student.max_attempts)
        self._default = None if dspy.settings.lm is None else gate(dspy.settings.lm)

    def row(self, row: Any) -> dspy.Example:
        """The row, checked, its inputs set; raises ``InputError``."""
        values = _values(row)
        values["instruction"] = check_instruction(values.get("instruction"))
        values["response"] = check_text(values.get("response"), "response")
        return dspy.Example(**values).with_inputs("instruction", "response")

    def shown(self, row: dspy.Example) -> tuple[str, str]:
        """A row as proposers see it: what was asked, and what was there or expected."""
        return row["instruction"], row["response"]

    async def run(self, texts: Texts, row: dspy.Example) -> dspy.Prediction:
        """What it makes of a row with these texts; raises whatever it raises."""
        ((name, text),) = texts
        if name not in self._base.mutations:
            raise TemplateError(f"there is no mutation {shorten(name)}")
        check_mutation(text, name)
        predictor = copy.copy(self._base.mutations[name])
        predictor.signature = predictor.signature.with_instructions(text)
        worker = copy.copy(self._base)
        worker.mutations = {name: predictor}
        worker.mutation_weights = None
        return await worker.acall(**row.inputs(), mutation=name)

    def output(self, prediction: dspy.Prediction, row: dspy.Example) -> tuple[str, str | None]:
        """The output as text, and why it may not be scored."""
        evolved = str(prediction.evolved_response)
        # A judge that reads text may believe it, and no test on the same judge would show it.
        praise = praises_itself(evolved, row["response"])
        return evolved, "not scored: the evolution praises itself" if praise else None

    def settings(self) -> AbstractContextManager[Any]:
        """The context in which it and the metric run: the configured LM is counted."""
        return _context(self._default)

    def apply(self, texts: Mapping[str, str]) -> EvolQuality:
        """A copy of the student with these texts."""
        tuned: EvolQuality = self._student.deepcopy()
        for name, text in texts.items():
            predictor = tuned.mutations[name]
            predictor.signature = predictor.signature.with_instructions(text)
        tuned.check()
        return tuned

    def describe(self) -> dict[str, Any]:
        """What its answers depend on, as JSON values by name."""
        student = self._student
        return {
            "mutation_templates": student.mutation_templates,
            "demos": _demos(student.mutations.items()),
            "student": student.settings.dump_state(),
            "lm": [describe_lm(lm) for lm in student.answering_lms()],
        }


class _Instructions:
    """The instructions of all predictors of a module; every row meets all of them."""

    def __init__(self, student: dspy.Module, gate: Gate) -> None:
        self._student, self._gate = student, gate
        self._base = student.deepcopy()
        named = dict(student.named_predictors())
        own = {name: predictor.lm for name, predictor in named.items()}
        if dspy.settings.lm is None and None in own.values():
            raise InputError("lm: there is none (set one, or dspy.configure one)", field="lm")
        self._lms = {name: gate(lm) for name, lm in own.items() if lm is not None}
        self._default = None if dspy.settings.lm is None else gate(dspy.settings.lm)
        texts = {name: predictor.signature.instructions for name, predictor in named.items()}
        self.space = Space.of(texts, together=True)
        self.max_calls = len(named) * int(getattr(student, "max_attempts", 1))
        self.task = _task_of(named)
        self._programs: dict[Texts, dspy.Module] = {}

    def row(self, row: Any) -> dspy.Example:
        values = _values(row)
        if isinstance(self._student, RowModule):
            inputs = [n for n, v in self._student.row_inputs(values).items() if v is not None]
            if isinstance(self._student, QualityScorer) and values.get("responses"):
                n_asked = self._student.n_questions(len(values["responses"]))
                self.max_calls = max(self.max_calls, n_asked * int(self._student.max_attempts))
        else:
            inputs = list(getattr(row, "_input_keys", None) or ())
        if not inputs:
            raise InputError("has no inputs (use dspy.Example(...).with_inputs(...))")
        return dspy.Example(**values).with_inputs(*inputs)

    def shown(self, row: dspy.Example) -> tuple[str, str]:
        return _text(row.inputs().toDict()), _text(row.labels().toDict())

    async def run(self, texts: Texts, row: dspy.Example) -> dspy.Prediction:
        if texts not in self._programs:
            if len(self._programs) > 64:
                self._programs.clear()
            self._programs[texts] = self._with(self._base, dict(texts))
        program, inputs = self._programs[texts], row.inputs().toDict()
        if hasattr(program, "aforward"):
            return await program.acall(**inputs)
        return await asyncio.to_thread(program, **inputs)

    def output(self, prediction: dspy.Prediction, row: dspy.Example) -> tuple[str, str | None]:
        values = prediction.toDict() if isinstance(prediction, dspy.Prediction) else prediction
        return _text({k: v for k, v in values.items() if k != "metadata"}), None

    def settings(self) -> AbstractContextManager[Any]:
        return _context(self._default)

    def apply(self, texts: Mapping[str, str]) -> dspy.Module:
        tuned = self._student.deepcopy()
        for name, predictor in tuned.named_predictors():
            predictor.signature = predictor.signature.with_instructions(texts[name])
        return tuned

    def describe(self) -> dict[str, Any]:
        named = self._student.named_predictors()
        lms = [p.lm or dspy.settings.lm for _, p in named]
        try:
            code = fingerprint(type(self._student))
        except UnknownError:
            code = type(self._student).__qualname__
        settings = getattr(self._student, "settings", None)
        return {
            "instructions": dict(self.space.templates),
            "demos": _demos(named),
            "student": settings.dump_state() if settings is not None else code,
            "lm": [describe_lm(lm) for lm in {id(lm): lm for lm in lms}.values()],
        }

    def _with(self, program: dspy.Module, texts: Mapping[str, str]) -> dspy.Module:
        variant = program.deepcopy()
        for name, predictor in variant.named_predictors():
            predictor.signature = predictor.signature.with_instructions(texts[name])
            predictor.lm = self._lms.get(name)
        return variant


def _context(default: dspy.BaseLM | None) -> AbstractContextManager[Any]:
    lm = {} if default is None else {"lm": default}
    context: AbstractContextManager[Any] = dspy.context(disable_history=True, trace=None, **lm)
    return context


def _task_of(predictors: Mapping[str, dspy.Predict]) -> str:
    parts = []
    for name, predictor in predictors.items():
        signature = predictor.signature
        inputs, outputs = ", ".join(signature.input_fields), ", ".join(signature.output_fields)
        parts.append(f"{name!r} gets {inputs} and writes {outputs}.")
    return " ".join(parts)


def _values(row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping | dspy.Example):
        raise InputError(f"must be a mapping or a dspy.Example, found {shorten(row)}")
    return dict(row.items())


def _demos(predictors: Any) -> list[str]:
    found = {name: [dict(demo) for demo in p.demos] for name, p in predictors if p.demos}
    return [json.dumps(found, sort_keys=True, default=str)] if found else []


def _text(values: Mapping[str, Any]) -> str:
    if len(values) == 1 and isinstance(only := next(iter(values.values())), str):
        return only
    return json.dumps(dict(values), ensure_ascii=False, default=str)


Subject = _Mutations | _Instructions
