"""A local LM that answers calls: prompt, window and schema checks in front of one scheduler.

It is an Outlines model: its output types and its logits processors are those of Outlines. Knows
nothing of DSPy; `pair` is the door for that.
"""

from __future__ import annotations

import json
import re
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cached_property
from typing import Protocol, cast

from tokenizers import Tokenizer

from structq.decoding import Grammars, SlotPlan, TextRules, TokenPlan
from structq.decoding.processor import ForeignProcessor, MatcherProcessor, StructqBackend
from structq.engines.calls import Call, Completion, Generation
from structq.engines.generation import TextLimits, generate_text, measure_labels
from structq.engines.outlines_model import LocalModel
from structq.engines.scheduler import Runtime, Scheduler
from structq.errors import InputError, PromptTooLongError, SchemaError

__all__ = ["LocalLM", "LocalRuntime", "Runner", "TextRuntime"]

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

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, without special tokens."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, as grammars need it; not to be changed."""


class LocalRuntime(Runtime, TextRuntime, Protocol):
    """A runtime whose tokenizer can be read."""


class Runner(Protocol):
    """What runs rows: `structq.engines.scheduler.Scheduler`, or who else can."""

    def submit(self, row: Generation) -> Future[Completion]:
        """Queues a row; raises ``RuntimeError`` where the scheduler is closed."""

    def submit_all(self, rows: Sequence[Generation]) -> list[Future[Completion]]:
        """Queues rows together; futures in order."""

    def close(self) -> None:
        """Ends the work; may be called twice."""


class LocalLM(LocalModel):
    """A runtime with its grammars and its scheduler; safe to use from any thread.

    What a row may say next is decided by an ``OutlinesLogitsProcessor``, which `StructqBackend`
    makes for each row. Score slots alone need none: their text is forced, and what is read there
    are the logits as the LM gave them.

    The worker ends when the object is closed, collected, or at exit of the process.

    Args:
        runtime: The model.
        scheduler: What runs the rows where the runtime is not one that `Scheduler` can drive.
    """

    def __init__(self, runtime: TextRuntime, *, scheduler: Runner | None = None) -> None:
        super().__init__()
        self.name = runtime.name
        self.window = runtime.window
        self.form: str = getattr(runtime, "form", "text")
        """How the LM writes answers best: ``"text"``, ``"json"`` or ``"compact"``."""
        self._runtime = runtime
        self.scheduler: Runner = scheduler or Scheduler(cast(Runtime, runtime))
        self._grammars: Grammars | None = None
        self._plans: dict[SlotPlan | tuple[str, bool], TokenPlan | None] = {}
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, self.scheduler.close)
        """Ends the worker and cancels its rows; may be called twice."""

    def submit(self, call: Call) -> Future[Completion]:
        """Queues a call; cancelling the future drops it.

        Raises:
            PromptTooLongError: The prompt leaves no room for an answer in the window.
            SchemaError: The schema cannot be guaranteed, or has nothing to measure.
            InputError: A text, a role or a setting is wrong.
            RuntimeError: The LM is closed.
        """
        return self.scheduler.submit(self._row(call))

    def submit_all(self, calls: Sequence[Call]) -> list[Future[Completion]]:
        """Queues calls together, or none if one of them raises as in `submit`; futures in order."""
        return self.scheduler.submit_all([self._row(call) for call in calls])

    def encode(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Tokens of a prompt; see `Runtime.encode`."""
        return self._runtime.encode(messages)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens; see `Runtime.decode`."""
        return self._runtime.decode(tokens)

    @property
    def grammars(self) -> Grammars:
        """The compiled schemas of this LM."""
        with self._lock:
            if self._grammars is None:
                runtime = self._runtime
                self._grammars = Grammars(
                    runtime.tokenizer,
                    eos_token_id=runtime.eos_token_id,
                    n_vocab=runtime.n_vocab,
                )
            return self._grammars

    def _row(self, call: Call) -> Generation:
        if call.max_tokens is not None and call.max_tokens < 1:
            raise InputError(
                f"max_tokens must be 1 or more: found {call.max_tokens}", field="max_tokens"
            )
        prompt = self._runtime.encode(call.messages)
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
            listen=call.listen,
        )

    @cached_property
    def _backends(self) -> dict[bool, StructqBackend]:
        return {spaced: StructqBackend(self.grammars, spaced=spaced) for spaced in (True, False)}

    def _processor(self, call: Call) -> MatcherProcessor:
        """What decides at each step what the row may say."""
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
        )

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
