"""From a module's questions to answers: one driver for sync callers, one for async ones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import dspy

from structq.adapter import Answer, AnswerError, ReadAdapter, StructAdapter
from structq.errors import LMError, StructqError

from .keeping import KEEPER, Kept, Tokens, question_key
from .predictor import ask_predictor
from .stream import run_stream, stream

__all__ = ["Ask", "Caller", "Reply", "Steps", "adrive", "carrying", "drive"]

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One question to the LM."""

    predict: dspy.Predict
    """The predictor that is asked."""
    inputs: Mapping[str, Any]
    """Its inputs."""
    signature: type[dspy.Signature] | None = None
    """What it is asked, where that differs from what it registers."""
    mutation: str | None = None
    """The mutation that it stands for."""
    adapter_options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the adapter for this question alone."""
    adapter: type[StructAdapter] | type[ReadAdapter] = StructAdapter
    """What asks it."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """LM options of this question alone."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer that obeys its schema."""

    prediction: dspy.Prediction
    """Its output fields."""
    answer: Answer
    """It, as it came."""


Steps = Generator[Ask, Reply, Result]


@dataclass(kw_only=True)
class Caller:
    """Asks the questions of one row and keeps a record of each."""

    max_attempts: int = 1
    """How often one question is asked until the answer can be used."""
    adapter_options: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the adapter."""
    calls: list[dict[str, Any]] = field(default_factory=list)
    """One record a question, as in ``metadata["calls"]``."""

    def ask(self, question: Ask) -> Reply:
        """The reply to one question.

        Raises:
            OutputError: No attempt gave an answer that can be used.
            LMError: The LM could not answer.
        """
        seen: list[Answer] = []
        broken: list[tuple[str, str]] = []
        with self._recording(question, seen, broken):
            for _ in range(self.max_attempts):
                with dspy.context(adapter=self._adapter(question, seen, broken)):
                    try:
                        return _reply(question.predict(**_arguments(question)), seen)
                    except AnswerError as error:
                        self._again(error, broken)
        raise AssertionError  # the last attempt returns or raises

    async def aask(self, question: Ask) -> Reply:
        """As ``ask``, awaiting the LM."""
        keeper = KEEPER.get()
        if keeper is None:
            return await self._aask(question, lambda send, used: send())
        key = question_key(question.predict, question.inputs, self._options(question))
        if kept := keeper.recall(key):
            self.calls.append(kept.record)
            return Reply(prediction=dspy.Prediction(**kept.fields), answer=kept.answer)
        lm = getattr(question.predict, "lm", None) or dspy.settings.lm
        reply = await self._aask(question, partial(keeper.send, lm))
        kept = Kept(fields=dict(reply.prediction), answer=reply.answer, record=self.calls[-1])
        keeper.keep(key, kept)
        return reply

    async def _aask(self, question: Ask, send: Callable[[Any, Any], Awaitable[Any]]) -> Reply:
        seen: list[Answer] = []
        broken: list[tuple[str, str]] = []
        with self._recording(question, seen, broken):
            for _ in range(self.max_attempts):
                adapter = self._adapter(question, seen, broken)
                call = partial(ask_predictor, question.predict, adapter, _arguments(question))
                try:
                    return _reply(await send(call, partial(_used, seen)), seen)
                except AnswerError as error:
                    self._again(error, broken)
        raise AssertionError  # the last attempt returns or raises

    def ask_all(self, questions: Sequence[Ask]) -> list[Reply]:
        """The replies to questions that are all in flight at once, in the order of the questions.

        Raises:
            OutputError, LMError: As ``ask``, for the first question that fails; the others are
                dropped.
        """
        # A listener of a stream waits in the loop of this thread, and in no other.
        if len(questions) == 1 or dspy.settings.send_stream is not None:
            return [self.ask(question) for question in questions]
        with self._branches(questions) as branches:
            return list(run_stream(_ask_branch, branches, n_in_flight=len(branches)))

    async def aask_all(self, questions: Sequence[Ask]) -> list[Reply]:
        """As ``ask_all``, awaiting the LM."""
        if len(questions) == 1:
            return [await self.aask(questions[0])]
        with self._branches(questions) as branches:
            replies = stream(_ask_branch, branches, n_in_flight=len(branches))
            return [reply async for reply in replies]

    @contextmanager
    def _branches(self, questions: Sequence[Ask]) -> Iterator[list[tuple[Caller, Ask]]]:
        """A caller for each question, so that records keep the order of the questions."""
        branches = [(replace(self, calls=[]), question) for question in questions]
        try:
            yield branches
        finally:
            for caller, _ in branches:
                self.calls += caller.calls

    def _again(self, error: AnswerError, broken: list[tuple[str, str]]) -> None:
        """Notes what was wrong for the next attempt; raises where there is none."""
        broken.append((error.raw, error.reason))
        if len(broken) == self.max_attempts:
            raise error

    def _options(self, question: Ask) -> dict[str, Any]:
        return {**self.adapter_options, **question.adapter_options}

    def _adapter(
        self, question: Ask, seen: list[Answer], broken: list[tuple[str, str]]
    ) -> StructAdapter:
        options = self._options(question)
        # The last attempt is taken even where it leaves a response without a score.
        options["partial"] = len(broken) + 1 >= self.max_attempts
        return question.adapter(
            on_answer=seen.append,
            broken=tuple(broken),
            around=dspy.settings.adapter,
            **options,
        )

    @contextmanager
    def _recording(
        self, question: Ask, seen: list[Answer], broken: list[tuple[str, str]]
    ) -> Iterator[None]:
        unanswered = 0
        try:
            yield
        except LMError as error:
            unanswered = _n_requests(error)
            raise
        except asyncio.CancelledError:  # it was on its way
            unanswered = 1
            raise
        finally:
            attempts = sum(answer.n_requests for answer in seen) + unanswered
            self.calls.append(_record(question, seen, attempts))


async def _ask_branch(branch: tuple[Caller, Ask]) -> Reply:
    caller, question = branch
    return await caller.aask(question)


def _arguments(question: Ask) -> dict[str, Any]:
    arguments = dict(question.inputs)
    if question.signature is not None:
        arguments["signature"] = question.signature
    if question.config:
        arguments["config"] = dict(question.config)
    return arguments


def _used(seen: list[Answer]) -> Tokens:
    """Tokens of the last answer that came."""
    last = seen[-1] if seen else None
    return (last.input_tokens or 0, last.output_tokens or 0) if last else (0, 0)


def _reply(prediction: dspy.Prediction, seen: list[Answer]) -> Reply:
    return Reply(prediction=prediction, answer=seen[-1])


def _n_requests(error: BaseException | None) -> int:
    """Requests of a call that was not answered: one, unless its client tried again by itself."""
    while error is not None:
        if isinstance(n := getattr(error, "n_requests", None), int):
            return n
        error = error.__cause__
    return 1


def _record(question: Ask, seen: list[Answer], attempts: int) -> dict[str, Any]:
    last = seen[-1] if seen else None
    record: dict[str, Any] = {
        "mutation": question.mutation,
        "raw_output": last.raw if last else None,
        "usage": {
            "input_tokens": _total(answer.input_tokens for answer in seen),
            "output_tokens": _total(answer.output_tokens for answer in seen),
        },
        "attempts": attempts,
        "finish_reason": last.finish_reason if last else None,
        "n_passes": last.n_passes if last else None,
    }
    if last:
        record |= {"form": last.form, "constrained": last.constrained}
    if last and last.cut:
        record["cut"] = dict(last.cut)
    if last and last.label_mass:
        record["label_mass"] = list(last.label_mass)
    if last and last.masked is not None:
        record["label_mass_masked"] = last.masked
    if last and last.unmeasured:
        record["unmeasured"] = last.unmeasured
    return record


def _total(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def drive(steps: Steps[Result], caller: Caller) -> Result:
    """Runs the steps of one row to their result.

    Raises:
        StructqError: From the steps or the LM; its ``calls`` say what was asked until then.
    """
    with carrying(caller.calls):
        try:
            question = next(steps)
            while True:
                try:
                    reply = caller.ask(question)
                except StructqError as error:  # steps may do with less
                    question = steps.throw(error)
                else:
                    question = steps.send(reply)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


async def adrive(steps: Steps[Result], caller: Caller) -> Result:
    """As ``drive``, awaiting the LM."""
    with carrying(caller.calls):
        try:
            question = next(steps)
            while True:
                try:
                    reply = await caller.aask(question)
                except StructqError as error:
                    question = steps.throw(error)
                else:
                    question = steps.send(reply)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


@contextmanager
def carrying(calls: list[dict[str, Any]]) -> Iterator[None]:
    """Puts these calls before those of an error that passes."""
    try:
        yield
    except StructqError as error:
        error.calls = (*calls, *error.calls)
        raise
