"""A local LM that answers calls: prompt, window and schema checks in front of one scheduler.

It is an Outlines model: its output types and its logits processors are those of Outlines. Knows
nothing of DSPy; `pair` is the door for that.
"""

from __future__ import annotations

import json
import re
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, cast

from tokenizers import Tokenizer

from structq.decoding import Grammars, SlotPlan, TextRules, TokenPlan
from structq.decoding.processor import ForeignProcessor, MatcherProcessor, StructqBackend
from structq.engines.calls import Call, Completion, Generation
from structq.engines.generation import TextLimits, generate_text, measure_labels, read_text
from structq.engines.outlines_model import LocalModel
from structq.engines.scheduler import Runtime, Scheduler
from structq.errors import ClosedError, InputError, LMError, PromptTooLongError, SchemaError
from structq.forks import renew_in_children

__all__ = ["LocalLM", "LocalRuntime", "Origin", "Runner", "TextRuntime"]

_MAX_PLANS = 256
_BREAKERS = re.compile(rb"""[\n:"*]""")


class TextRuntime(Protocol):
    """What a `LocalLM` itself asks of a runtime; see `structq.engines.scheduler.Runtime`."""

    n_vocab: int
    window: int
    eos_token_id: int
    name: str

    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Tokens of ``(role, text)`` turns up to and including the assistant's header."""

    def encode_text(self, text: str) -> list[int]:
        """Tokens of plain text, without special tokens."""

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, without special tokens."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, as grammars need it; not to be changed."""


class LocalRuntime(Runtime, TextRuntime, Protocol):
    """A runtime whose tokenizer can be read."""


class Runner(Protocol):
    """What runs generations: `structq.engines.scheduler.Scheduler`, or who else can."""

    def submit(self, generation: Generation) -> Future[Completion]:
        """Queues a generation; raises `ClosedError` where the runner is closed."""

    def submit_all(self, generations: Sequence[Generation]) -> list[Future[Completion]]:
        """Queues generations together; futures in order."""

    def close(self) -> None:
        """Ends the work, and what is left of it with `ClosedError`; may be called twice."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How an LM is opened again: in another process, or in a forked child."""

    spec: str
    """What `structq.lm` opens it by."""
    open_lm: Callable[[str], LocalLM]
    """The open LM of a spec."""
    open_runtime: Callable[[], TextRuntime]
    """The same model once more."""


class LocalLM(LocalModel):
    """A runtime with its grammars and its scheduler; safe to use from any thread.

    What an answer may say next is decided by an ``OutlinesLogitsProcessor``, which `StructqBackend`
    makes for each. Score slots alone need none: their text is forced, and what is read there
    are the logits as the LM gave them.

    The worker ends when the object is closed, collected, or at exit of the process. A copy is the
    LM itself, and a pickle its spec: weights are in a process once.

    Args:
        runtime: The model.
        scheduler: What runs generations where the runtime is not one that `Scheduler` can drive.
        origin: How the LM is opened again; one without it stays in its process.
    """

    def __init__(
        self,
        runtime: TextRuntime,
        *,
        scheduler: Runner | None = None,
        origin: Origin | None = None,
    ) -> None:
        super().__init__()
        self.name = runtime.name
        self.window = runtime.window
        self.form: str = getattr(runtime, "form", "text")
        """How the LM writes answers best: ``"text"``, ``"json"`` or ``"compact"``."""
        self._origin = origin
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._begin(runtime, scheduler or Scheduler(cast(Runtime, runtime)))
        renew_in_children(self)

    def _begin(self, runtime: TextRuntime, scheduler: Runner) -> None:
        self._opened, self._is_inherited = runtime, False
        self.scheduler: Runner = scheduler
        self._grammars: Grammars | None = None
        self._plans: dict[SlotPlan | tuple[str, bool], TokenPlan | None] = {}
        self.close = weakref.finalize(self, scheduler.close)
        """Ends the worker, and the calls that it has left with `ClosedError`; may be called
        twice."""

    def after_fork(self) -> None:
        """Takes note that the threads of the model, and whoever held its locks, stayed behind."""
        self._is_inherited = True
        self._lock, self._opening = threading.Lock(), threading.Lock()

    @property
    def spec(self) -> str:
        """What `structq.lm` opens this LM by, in any process.

        Raises:
            InputError: It was made of a runtime, by hand.
        """
        return self._known_origin("saved or sent to another process").spec

    def __deepcopy__(self, memo: dict[int, Any]) -> LocalLM:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return self._known_origin("saved or sent to another process").open_lm, (self.spec,)

    def _known_origin(self, wish: str) -> Origin:
        if self._origin is None:
            raise InputError(
                f"the LM {self.name!r} cannot be {wish}: it was not opened by structq.lm, and no "
                "spec says how to open it again",
                field="lm",
            )
        return self._origin

    @property
    def _runtime(self) -> TextRuntime:
        """The model, opened anew in a forked child."""
        if self._is_inherited:
            with self._opening:
                if self._is_inherited:
                    self._open_again()
        return self._opened

    def _open_again(self) -> None:
        if not self.close.alive:
            raise ClosedError
        try:
            origin = self._known_origin("used in a forked process")
        except InputError as error:
            raise LMError(str(error)) from error
        runtime = origin.open_runtime()
        self.close.detach()
        for kept in ("_backends", "_breakers"):
            self.__dict__.pop(kept, None)
        self._begin(runtime, Scheduler(cast(Runtime, runtime)))

    def submit(self, call: Call) -> Future[Completion]:
        """Queues a call; cancelling the future drops it.

        Raises:
            PromptTooLongError: The prompt leaves no room for an answer in the window.
            SchemaError: The schema cannot be guaranteed, or has nothing to measure.
            InputError: A text, a role or a setting is wrong.
            LMError: The LM was closed, or came here by a fork and cannot be opened again.
        """
        return self.scheduler.submit(self._generation(call))

    def submit_all(self, calls: Sequence[Call]) -> list[Future[Completion]]:
        """Queues calls together, or none if one of them raises as in `submit`; futures in order."""
        return self.scheduler.submit_all([self._generation(call) for call in calls])

    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Tokens of a prompt; see `Runtime.encode`."""
        return self._runtime.encode(messages)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; see `Runtime.decode`."""
        return self._runtime.decode(tokens)

    @property
    def grammars(self) -> Grammars:
        """The compiled schemas of this LM."""
        runtime = self._runtime
        with self._lock:
            if self._grammars is None:
                self._grammars = Grammars(
                    runtime.tokenizer,
                    eos_token_id=runtime.eos_token_id,
                    n_vocab=runtime.n_vocab,
                )
            return self._grammars

    def _generation(self, call: Call) -> Generation:
        if call.max_tokens is not None and call.max_tokens < 1:
            raise InputError(
                f"max_tokens must be 1 or more: found {call.max_tokens}", field="max_tokens"
            )
        prompt = self._runtime.encode(call.messages)
        if call.read is not None:
            return self._reading(prompt, self._runtime.encode_text(call.read))
        if call.measure or call.slots is not None:
            return self._measured(call, prompt)
        processor = self._processor(call)
        room = self._room(prompt, n_needed=processor.n_needed)
        limits = TextLimits(
            max_tokens=min(call.max_tokens or room, room),
            eos_token_id=self._runtime.eos_token_id,
            stop=call.stop,
            breakers=self._breakers if call.sampling.dry_multiplier else frozenset(),
        )
        return generate_text(
            prompt,
            processor,
            limits=limits,
            sampling=call.sampling,
            decode=self._runtime.decode,
            draw=call.draw,
            listen=call.listen,
        )

    @cached_property
    def _backends(self) -> dict[bool, StructqBackend]:
        return {spaced: StructqBackend(self.grammars, spaced=spaced) for spaced in (True, False)}

    def _processor(self, call: Call) -> MatcherProcessor:
        """What decides at each step what the answer may say."""
        if call.processor is not None:
            return ForeignProcessor(call.processor)
        backend, schema = self._backends[call.spaced], call.output_type
        if call.text is None and schema is not None:
            return backend.get_json_schema_logits_processor(
                schema.schema, schema.whitespace_pattern
            )
        rules = call.text or TextRules()
        rules.check(None if schema is None else json.loads(schema.schema))
        return backend.get_text_logits_processor(rules)

    @cached_property
    def _breakers(self) -> frozenset[int]:
        """Tokens over which no repeated run goes: those that hold the end of a line or a mark."""
        pieces = self.grammars.vocabulary.tokens
        return frozenset(i for i, piece in enumerate(pieces) if _BREAKERS.search(piece))

    def _measured(self, call: Call, prompt: list[int]) -> Generation:
        plan = self._plan(call)
        if plan is None:
            raise SchemaError(
                "only labels can be measured: found a schema with free parts "
                "(enum, const and boolean in closed objects and fixed-length arrays are allowed)",
                keyword="measure",
            )
        self._room(prompt, n_needed=plan.n_columns)
        return measure_labels(
            prompt,
            plan,
            max_tokens=call.max_tokens,
            sampling=call.sampling,
            decode=self._runtime.decode,
            draw=call.draw,
        )

    def _reading(self, prompt: list[int], text: list[int]) -> Generation:
        self._room(prompt, n_needed=len(text) + 1)
        return read_text(prompt, text, self._runtime.eos_token_id)

    def _plan(self, call: Call) -> TokenPlan | None:
        """The plan of a call in tokens, or ``None`` if its schema has free parts; kept."""
        schema = None if call.output_type is None else call.output_type.schema
        key = call.slots or (schema or "", call.spaced)
        with self._lock:
            if key in self._plans:
                return self._plans[key]
        steps = call.slots or SlotPlan.of(json.loads(schema or "{}"), spaced=call.spaced)
        plan = TokenPlan(steps, self.grammars.vocabulary) if steps and steps.slots else None
        with self._lock:
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def _room(self, prompt: Sequence[int], *, n_needed: int) -> int:
        """Tokens that fit behind the prompt."""
        room = self._runtime.window - len(prompt)
        if room < n_needed:
            limit = max(0, self._runtime.window - n_needed)
            raise PromptTooLongError(n_tokens=len(prompt), limit=limit)
        return room
