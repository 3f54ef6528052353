"""The engine pair by which DSPy calls a local LM; knows nothing of signatures and modules.

``dspy.LM("structq/...", engine=LocalEngine(lm), async_engine=AsyncLocalEngine(lm))`` sends its
canonical requests here. Both engines hand their calls to the one scheduler of the LM, so threads
and coroutines share its batches.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import dspy
from dspy import lm15
from dspy.lm15 import Config, Message, Request, Response, Usage
from outlines.types import JsonSchema

from structq.decoding import SlotPlan, TextRules
from structq.decoding.processor import json_schema
from structq.engines.calls import Call, Completion, MeasuredSlot
from structq.engines.canonical import Canonical, schema_of, turns_of
from structq.engines.judgments import Judgments, judged, judgment_schema, wanted_judgments
from structq.engines.local import LocalLM
from structq.engines.registry import open_lm
from structq.engines.sampling import Sampling
from structq.errors import shorten

__all__ = ["AsyncLocalEngine", "Canonical", "DrawingLM", "LocalEngine", "schema_of", "turns_of"]

_HANDLED = frozenset({
    "max_tokens", "temperature", "top_p", "top_k", "seed", "stop",
    "response_format", "extensions", "probabilities",
})  # fmt: skip
_OWN = ("measure", "slots", "text", "spaced", "read")
_OF_TEXT = ("dry_", "repetition_")


@dataclass
class _Draws:
    """What tells the answers apart that one call of a `dspy.LM` asks for, all with one request."""

    rollout: str = ""
    n_answers: int = 0

    @property
    def name(self) -> str:
        """Empty for the only answer of an ordinary call."""
        return f"{self.rollout}#{self.n_answers}" if self.rollout or self.n_answers else ""


_DRAWS: ContextVar[_Draws | None] = ContextVar("structq_draws", default=None)


def _draws() -> _Draws:
    """Those of the call; a request without one is always answered alike."""
    return _DRAWS.get() or _Draws()


class DrawingLM(dspy.LM):  # type: ignore[misc]
    """A `dspy.LM` that tells its engine which answer it asks for.

    For ``n`` answers DSPy sends one request n times, and ``rollout_id`` not at all. With a seed all
    of them would be the same.
    """

    def __call__(self, *args: Any, **options: Any) -> Any:
        """As `dspy.LM`."""
        with self._drawing(options):
            return super().__call__(*args, **options)

    async def acall(self, *args: Any, **options: Any) -> Any:
        """As `dspy.LM`."""
        with self._drawing(options):
            return await super().acall(*args, **options)

    @contextmanager
    def _drawing(self, options: Mapping[str, Any]) -> Iterator[None]:
        rollout = options.get("rollout_id", self.kwargs.get("rollout_id"))
        before = _DRAWS.set(_Draws("" if rollout is None else str(rollout)))
        try:
            yield
        finally:
            _DRAWS.reset(before)


class _Pair:
    """What the two engines share."""

    supports_response_schema: ClassVar[bool] = True
    """DSPy sends a strict JSON schema."""
    supported_params: ClassVar[frozenset[str]] = _HANDLED - {"extensions", "probabilities"}
    """Options that a call may set."""
    measures_labels: ClassVar[bool] = True
    """``config.extensions={"structq": {"measure": True}}`` gives label distributions."""
    reads_text: ClassVar[bool] = True
    """``config.extensions={"structq": {"read": "..."}}`` gives the log probability of a text as the
    answer."""
    constrains_text: ClassVar[bool] = True
    """``config.extensions={"structq": {"text": {...}}}`` holds an answer of one text to rules, with
    the names of `structq.decoding.TextRules`; with a schema, ``field`` is its only property."""

    def __init__(self, lm: LocalLM, *, penalties: Mapping[str, Any] | None = None) -> None:
        self.lm = lm
        self.penalties = dict(penalties or {})
        """Settings of `Sampling` that no request carries."""

    @property
    def form(self) -> str:
        """How the LM writes answers best: ``"text"``, ``"json"`` or ``"compact"``."""
        return self.lm.form

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # A copied program shares the engine: one copy of the weights, one batch.
        return self

    def dump_state(self) -> dict[str, Any]:
        """Where the LM can be opened again.

        Raises:
            InputError: The LM was not opened by `structq.lm`.
        """
        return {"spec": self.lm.spec, "penalties": self.penalties}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).load_state, (self.dump_state(),)

    @classmethod
    def load_state(cls, state: Mapping[str, Any]) -> Any:
        """An engine on the LM that this process has open for the spec, or opens now."""
        return cls(open_lm(state["spec"]), penalties=state.get("penalties"))

    def _call(self, request: Request) -> tuple[Call, Judgments | None]:
        return _call(request, self.penalties, _draws().name, spaced=self.form != "compact")


class LocalEngine(_Pair):
    """Answers requests of threads; see `structq.lm` for the usual way to get one."""

    def complete(self, request: Request) -> Response:
        """The answer of the LM, as DSPy's canonical response.

        Raises:
            dspy.lm15.ContextLengthError: The prompt does not fit the window.
            dspy.lm15.UnsupportedFeatureError: A schema keyword cannot be guaranteed, or an option
                is not known here.
            dspy.lm15.InvalidRequestError: A value is wrong.
            dspy.lm15.NotConfiguredError: The engine is closed.
        """
        with Canonical():
            call, judgments = self._call(request)
            answer = self.lm.submit(call).result()
            _draws().n_answers += 1
        return _response(request, answer, judgments)

    def stream(self, request: Request) -> Iterator[Any]:
        """The whole answer as one stream of events."""
        _refuse_to_stream(request)
        return iter(lm15.response_to_events(self.complete(request)))

    def close(self) -> None:
        """Ends the LM for everyone who shares it."""
        self.lm.close()


class AsyncLocalEngine(_Pair):
    """Answers requests of coroutines; cancelling one drops its row."""

    async def complete(self, request: Request) -> Response:
        """The answer of the LM; raises as `LocalEngine.complete` does."""
        with Canonical():
            call, judgments = self._call(request)
            answer = await asyncio.wrap_future(self.lm.submit(call))
            _draws().n_answers += 1
        return _response(request, answer, judgments)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """The whole answer as one stream of events."""
        _refuse_to_stream(request)
        for event in lm15.response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None:
        """Ends the LM for everyone who shares it."""
        await asyncio.to_thread(self.lm.close)


def _call(
    request: Request, penalties: Mapping[str, Any], draw: str, *, spaced: bool
) -> tuple[Call, Judgments | None]:
    """The call of a request, and the judgments that it measures, if it does."""
    config = request.config
    _refuse_unknown(request)
    own = _extensions(config)
    schema = schema_of(config)
    policy = config.probabilities
    judgments = None if policy in (None, "off") else wanted_judgments(request, schema)
    text = _text_rules(own["text"]) if "text" in own else None
    free = text is not None or schema is None
    sampling = Sampling(
        temperature=config.temperature or 0.0,
        top_p=1.0 if config.top_p is None else config.top_p,
        top_k=config.top_k,
        seed=config.seed,
        # What a schema repeats of itself is no loop.
        **{name: v for name, v in penalties.items() if free or not name.startswith(_OF_TEXT)},
    )
    call = Call(
        messages=turns_of(request),
        output_type=_output_type(schema if judgments is None else judgment_schema(judgments)),
        measure=bool(own.get("measure", False)) or judgments is not None,
        slots=_slot_plan(own["slots"]) if "slots" in own else None,
        text=text,
        read=own.get("read"),
        spaced=bool(own.get("spaced", spaced)),
        sampling=sampling,
        draw=draw,
        max_tokens=config.max_tokens,
        stop=tuple(config.stop),
    )
    return call, judgments


def _output_type(schema: Mapping[str, Any] | None) -> JsonSchema | None:
    return None if schema is None else json_schema(schema)


def _refuse_to_stream(request: Request) -> None:
    # An answer of judgments is one value: there is no event for it.
    if wanted_judgments(request, schema_of(request.config)) is not None:
        raise lm15.UnsupportedFeatureError("judgments are not streamed", feature="stream")


def _refuse_unknown(request: Request) -> None:
    if request.tools:
        raise lm15.UnsupportedFeatureError("local LMs call no tools", feature="tools")
    empty = Config()
    for option in fields(Config):
        value = getattr(request.config, option.name)
        if option.name not in _HANDLED and value != getattr(empty, option.name):
            raise lm15.UnsupportedFeatureError(
                f"local LMs do not know {option.name}: found {value!r} "
                f"({', '.join(sorted(_HANDLED))} are allowed)",
                feature=f"config.{option.name}",
            )


def _extensions(config: Config) -> Mapping[str, Any]:
    """What the request asks of structq alone."""
    extensions = dict(config.extensions or {})
    own = extensions.pop("structq", {})
    unknown = sorted(extensions)
    if isinstance(own, Mapping):
        unknown += [f"structq.{name}" for name in own if name not in _OWN]
    if unknown or not isinstance(own, Mapping):
        raise lm15.UnsupportedFeatureError(
            f"unknown extensions: {unknown or own!r} "
            f"({', '.join(f'structq.{name}' for name in _OWN)} are allowed)",
            feature="config.extensions",
        )
    return own


def _text_rules(asked: Any) -> TextRules:
    try:
        rules = dict(asked)
        literals = rules.get("literals", ())
        rules["literals"] = tuple(literals) if isinstance(literals, list) else literals
        return TextRules(**rules)
    except (TypeError, ValueError) as error:
        known = ", ".join(rule.name for rule in fields(TextRules))
        raise lm15.InvalidRequestError(
            f"structq.text: found {shorten(asked)} (a mapping of {known} is allowed)"
        ) from error


def _slot_plan(asked: Any) -> SlotPlan:
    try:
        return SlotPlan.between(tuple(asked["texts"]), tuple(asked["labels"]))
    except (TypeError, KeyError, IndexError) as error:
        raise lm15.InvalidRequestError(
            f"structq.slots: found {shorten(asked)} "
            '({"texts": [text, ..], "labels": [label, ..]} is allowed)'
        ) from error


def _response(request: Request, answer: Completion, judgments: Judgments | None) -> Response:
    whole = judgments is not None and answer.finish_reason == "stop"
    content = judged(judgments or {}, answer.text, answer.slots or ()) if whole else answer.text
    return Response(
        id=None,
        model=request.model,
        message=Message.assistant(content),
        finish_reason=answer.finish_reason,
        usage=Usage(input_tokens=answer.n_prompt_tokens, output_tokens=answer.n_output_tokens),
        provider_data={"structq": _provider_data(answer)},
    )


def _provider_data(answer: Completion) -> dict[str, Any]:
    data: dict[str, Any] = {
        "n_passes": answer.n_passes,
        "n_forced_tokens": answer.n_forced_tokens,
    }
    if answer.slots is not None:
        data["labels"] = _labels(answer.slots)
        data["distributions"] = [slot.probabilities.tolist() for slot in answer.slots]
        data["label_mass"] = [slot.mass for slot in answer.slots]
    if answer.read is not None:
        data["read"] = {"logprob": answer.read.logprob, "n_tokens": answer.read.n_tokens}
    if answer.cut:
        data["cut"] = answer.cut._asdict()
    return data


def _labels(slots: tuple[MeasuredSlot, ...]) -> list[Any]:
    """The label values, once if all slots have the same, else one list a slot."""
    each = [[json.loads(label) for label in slot.labels] for slot in slots]
    return each[0] if all(labels == each[0] for labels in each) else each
