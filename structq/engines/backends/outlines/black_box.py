"""Outlines' models that show no logits, as DSPy engines: servers, and whatever is not steerable.

The schema goes to the model as Outlines' output type, and Outlines says it to the server in the
server's own words. What comes back is a text: nothing here guarantees that it obeys the schema (the
adapter checks it, and asks again), and no scores can be measured.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, ClassVar

from dspy import lm15
from dspy.lm15 import Message, Request, Response, Usage
from outlines import exceptions
from outlines.inputs import Chat
from outlines.models.base import AsyncModel, Model

from structq.decoding.processor import json_schema
from structq.engines.backends.outlines.unsaved import Unsaved
from structq.engines.canonical import Canonical, schema_of, turns_of
from structq.errors import InputError, shorten

__all__ = ["AsyncBlackBoxEngine", "BlackBoxEngine", "BlackBoxModel"]

_LIKE_OPENAI = {
    name: name
    for name in (
        "max_tokens", "temperature", "top_p", "seed", "stop", "presence_penalty",
        "frequency_penalty",
    )
}  # fmt: skip
_NAMES: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("OpenAI", "VLLM", "SGLang"), _LIKE_OPENAI),
    "Mistral": {**_LIKE_OPENAI, "seed": "random_seed"},
    "Anthropic": {
        **{name: name for name in ("max_tokens", "temperature", "top_p", "top_k")},
        "stop": "stop_sequences",
    },
    "TGI": {
        **{name: name for name in ("temperature", "top_p", "top_k", "seed", "stop")},
        "max_tokens": "max_new_tokens",
    },
    "Gemini": {
        **{name: name for name in ("temperature", "top_p", "top_k", "seed")},
        "max_tokens": "max_output_tokens",
        "stop": "stop_sequences",
    },
}
"""How each model's client calls an option of a request."""

_OPTIONS = tuple(sorted({*_LIKE_OPENAI, "top_k"}))
# One generation at a time: the object that it holds is not to be shared between threads.
_SERIAL = frozenset({"VLLMOffline"})


class BlackBoxModel:
    """A model of Outlines behind one call; safe to use from any thread.

    Args:
        model: The model, synchronous or not.
        settings: Passed to the model with each call, in the words of its client.
    """

    def __init__(self, model: Model | AsyncModel, *, settings: Mapping[str, Any]) -> None:
        self.model = model
        self.kind = type(model).__name__
        self._settings = dict(settings)
        self._names = _NAMES.get(self.kind.removeprefix("Async"), {})
        self._takes_turns = _takes_turns(model)
        self._lock = threading.Lock()

    @property
    def options(self) -> frozenset[str]:
        """Options of a request that the model can be told."""
        return frozenset(self._names)

    def ask(self, request: Request) -> str:
        """The answer; blocks."""
        prompt, kind, settings = self._asked(request)
        if isinstance(self.model, AsyncModel):
            return self._text(_submit(self.model.generate(prompt, kind, **settings)).result())
        if self.kind not in _SERIAL:
            return self._text(self.model.generate(prompt, kind, **settings))
        with self._lock:
            return self._text(self.model.generate(prompt, kind, **settings))

    async def ask_async(self, request: Request) -> str:
        """The answer; a synchronous model is asked in a thread."""
        if not isinstance(self.model, AsyncModel):
            return await asyncio.to_thread(self.ask, request)
        prompt, kind, settings = self._asked(request)
        answer = _submit(self.model.generate(prompt, kind, **settings))
        return self._text(await asyncio.wrap_future(answer))

    def _asked(self, request: Request) -> tuple[Any, Any, dict[str, Any]]:
        schema = schema_of(request.config)
        turns = turns_of(request)
        prompt: Any = (
            Chat([{"role": role, "content": text} for role, text in turns])
            if self._takes_turns
            else "\n\n".join(text for _, text in turns)
        )
        return prompt, None if schema is None else json_schema(schema), self._told(request)

    def _told(self, request: Request) -> dict[str, Any]:
        told = dict(self._settings)
        for option in _OPTIONS:
            value = getattr(request.config, option)
            if value in (None, ()):
                continue
            if option not in self._names:
                raise lm15.UnsupportedFeatureError(
                    f"how {self.kind} is told {option} is not known here: found {value!r} "
                    "(settings={...} in the words of its client are passed on)",
                    feature=f"config.{option}",
                )
            told[self._names[option]] = list(value) if option == "stop" else value
        return told

    def _text(self, answer: Any) -> str:
        if not isinstance(answer, str):
            raise lm15.ServerError(
                f"{self.kind} answered with {type(answer).__name__} (a text is allowed): "
                f"{shorten(answer)}"
            )
        return answer


class _BlackBox(Unsaved):
    """What the two engines share."""

    supports_response_schema: ClassVar[bool] = True
    """DSPy sends a strict JSON schema, and Outlines passes it on."""
    measures_labels: ClassVar[bool] = False
    """No logits are shown."""
    constrains_text: ClassVar[bool] = False
    """A text is whatever the model says."""
    form: ClassVar[str] = "json"
    """How the answers are asked for: the schema is what Outlines can pass on."""

    def __init__(self, model: BlackBoxModel) -> None:
        self.model = model
        self.kind = model.kind

    @property
    def supported_params(self) -> frozenset[str]:
        """Options that a call may set."""
        return self.model.options | {"response_format"}


class BlackBoxEngine(_BlackBox):
    """Answers requests of threads."""

    def complete(self, request: Request) -> Response:
        """The model's answer, as DSPy's canonical response.

        Raises:
            dspy.lm15.UnsupportedFeatureError: An option that the model cannot be told.
            dspy.lm15.InvalidRequestError: What the model refused, or raised.
            dspy.lm15.LM15Error: Other failures of a server, under DSPy's names for them.
        """
        with Canonical(), _Failures(self.kind):
            text = self.model.ask(request)
        return _response(request, text)

    def stream(self, request: Request) -> Iterator[Any]:
        """The whole answer as one stream of events."""
        return iter(lm15.response_to_events(self.complete(request)))


class AsyncBlackBoxEngine(_BlackBox):
    """Answers requests of coroutines."""

    async def complete(self, request: Request) -> Response:
        """The model's answer; raises as `BlackBoxEngine.complete` does."""
        with Canonical(), _Failures(self.kind):
            text = await self.model.ask_async(request)
        return _response(request, text)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """The whole answer as one stream of events."""
        for event in lm15.response_to_events(await self.complete(request)):
            yield event


_ERRORS: Mapping[type[Exception], Callable[[str], Exception]] = {
    exceptions.AuthenticationError: lm15.AuthError,
    exceptions.PermissionDeniedError: lm15.AuthError,
    exceptions.NotFoundError: lm15.UnsupportedModelError,
    exceptions.RateLimitError: lm15.RateLimitError,
    exceptions.APITimeoutError: lm15.TimeoutError,
    exceptions.APIConnectionError: lm15.TransportError,
    exceptions.BadRequestError: lm15.InvalidRequestError,
    exceptions.OutlinesError: lm15.ServerError,
}
"""Outlines' names for what a server did, and DSPy's, which decide what is worth a retry."""


class _Failures:
    """Turns what a model raises into the errors that DSPy knows."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        ours = (lm15.LM15Error, InputError)
        if not isinstance(error, Exception) or isinstance(error, ours):
            return
        made = next((made for known, made in _ERRORS.items() if isinstance(error, known)), None)
        make = made or lm15.InvalidRequestError
        raise make(f"{self._kind}: {type(error).__name__}: {error}") from error


def _response(request: Request, text: str) -> Response:
    # Outlines gives the text alone: neither how it ended nor what it cost.
    return Response(
        id=None,
        model=request.model,
        message=Message.assistant(text),
        finish_reason="stop",
        usage=Usage(),
    )


def _takes_turns(model: Any) -> bool:
    """Whether the model reads chats; some of Outlines' read texts alone."""
    try:
        model.type_adapter.format_input(Chat([{"role": "user", "content": "x"}]))
    except (TypeError, NotImplementedError):
        return False
    return True


# Clients of asynchronous models belong to the loop that they were first used in, and threads have
# none: all of them share this one.

_LOOP: list[asyncio.AbstractEventLoop] = []
_LOOP_LOCK = threading.Lock()


def _submit(answer: Any) -> Future[Any]:
    with _LOOP_LOCK:
        if not _LOOP:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="structq-outlines", daemon=True).start()
            _LOOP.append(loop)
    return asyncio.run_coroutine_threadsafe(answer, _LOOP[0])
