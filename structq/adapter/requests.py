"""One canonical ``dspy.lm15.Request`` from messages, options and a response format."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError as CancelledFuture
from typing import Any
from weakref import WeakKeyDictionary

import dspy
from dspy.clients.errors import error_boundary
from dspy.lm15 import Config, Message, Request, Response, request_from_openai_chat
from dspy.utils.exceptions import LMError as DSPyLMError

from structq.errors import LMError
from structq.schemas import FORMS, Form

from .failures import lm_failure

__all__ = [
    "ask",
    "ask_async",
    "best_form",
    "build_request",
    "call_settings",
    "constrains_text",
    "format_for",
    "format_for_async",
    "measures_labels",
    "top_logprobs",
]

# Options that a Config carries under the same name: the ordinary case, built without detours.
_DIRECT = frozenset(
    {"max_tokens", "temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty"}
)
# Read by the LM itself, from its own settings.
_OF_CLIENT = frozenset({
    "api_key", "api_base", "base_url", "headers", "extra_headers", "timeout", "api_version",
    "azure_ad_token_provider", "organization", "project", "extra_query", "custom_llm_provider",
    "prompt_cache",
})  # fmt: skip
_OF_CALL = frozenset({"rollout_id", "cache", "n", "num_generations"})


def build_request(
    lm: dspy.BaseLM,
    call_options: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]],
    response_format: dict[str, Any] | None,
    *,
    extensions: Mapping[str, Any] | None = None,
    top_logprobs: int | None = None,
) -> Request:
    """The request, with the LM's own options under those of the call.

    Args:
        lm: The LM that will be asked.
        call_options: Options of this call, such as ``temperature``.
        messages: Dicts with ``role`` and ``content``; a system message comes first.
        response_format: What the answer must look like, or ``None``.
        extensions: What engines of structq are asked for beyond the format; ``None`` for others.
        top_logprobs: Ask for this many likely tokens at each place, unless the options ask for
            more.
    """
    options = {k: v for k, v in lm.kwargs.items() if v is not None and k not in _OF_CLIENT}
    options.update((k, v) for k, v in call_options.items() if v is not None)
    for name in _OF_CALL & options.keys():
        del options[name]
    system = messages[0]["content"] if messages[0]["role"] == "system" else None
    turns = tuple(
        Message.user(m["content"]) if m["role"] == "user" else Message.assistant(m["content"])
        for m in messages[1 if system is not None else 0 :]
    )
    asked = {"structq": dict(extensions)} if extensions else None
    if options.keys() <= _DIRECT:
        config = Config(
            **options, response_format=response_format, extensions=asked, logprobs=top_logprobs
        )
    else:
        config = _config(lm.model, options, response_format, asked)
        if top_logprobs is not None and top_logprobs > (config.logprobs or 0):
            config = dataclasses.replace(config, logprobs=top_logprobs)
    return Request(model=lm.model, messages=turns, system=system, config=config)


def _config(
    model: str,
    options: Mapping[str, Any],
    response_format: dict[str, Any] | None,
    asked: dict[str, Any] | None,
) -> Config:
    # DSPy's own reading of OpenAI's options: renames, and refuses by name what it cannot carry.
    options = {k: v for k, v in options.items() if k != "response_format"}
    stub = [{"role": "user", "content": "-"}]
    config = request_from_openai_chat({**options, "model": model, "messages": stub}).config
    extensions = {**(config.extensions or {}), **(asked or {})} or None
    return dataclasses.replace(config, response_format=response_format, extensions=extensions)


def call_settings(lm: dspy.BaseLM, call_options: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The number of answers to ask for, and what ``lm(request, ...)`` itself takes."""
    options = {**lm.kwargs, **call_options}
    settings = {k: options[k] for k in ("rollout_id", "cache") if options.get(k) is not None}
    return options.get("n") or options.get("num_generations") or 1, settings


def measures_labels(lm: dspy.BaseLM) -> bool:
    """Whether the engine behind the LM declares that it can measure label distributions."""
    return getattr(getattr(lm, "engine", None), "measures_labels", False) is True


def top_logprobs(lm: dspy.BaseLM) -> int | None:
    """How many likely tokens the LM is known to show at each place; ``None`` if it may show none.

    Others are not asked: some servers refuse the whole request.
    """
    found = getattr(lm, "top_logprobs", None)
    return found if isinstance(found, int) and found > 0 else None


def best_form(lm: dspy.BaseLM | None) -> Form:
    """How the LM says that it writes answers best; JSON where it says nothing."""
    found = getattr(getattr(lm, "engine", None), "form", None)
    return found if found in FORMS else "json"


def constrains_text(lm: dspy.BaseLM) -> bool:
    """Whether the engine behind the LM declares that it holds a text to rules while decoding."""
    return getattr(getattr(lm, "engine", None), "constrains_text", False) is True


_MODES: WeakKeyDictionary[dspy.BaseLM, str] = WeakKeyDictionary()


def format_for(lm: dspy.BaseLM, strict: dict[str, Any]) -> dict[str, Any] | None:
    """The strongest response format that the LM declares: the strict schema, any JSON, or none."""
    mode = _MODES.get(lm)
    if mode is None:
        mode = _mode(lm)
        if isinstance(getattr(lm, "engine", None), str):  # a look-up in model metadata
            _MODES[lm] = mode
    return {"schema": strict, "json": {"type": "json_object"}, "none": None}[mode]


async def format_for_async(lm: dspy.BaseLM, strict: dict[str, Any]) -> dict[str, Any] | None:
    """As ``format_for``, with the look-up of metadata off the event loop."""
    if lm not in _MODES and isinstance(getattr(lm, "engine", None), str):
        return await asyncio.to_thread(format_for, lm, strict)
    return format_for(lm, strict)


def _mode(lm: dspy.BaseLM) -> str:
    try:
        if lm.supports_response_schema:
            return "schema"
        return "json" if "response_format" in lm.supported_params else "none"
    except DSPyLMError as error:
        raise lm_failure(error) from error


def ask(lm: dspy.BaseLM, request: Request, settings: Mapping[str, Any]) -> Response:
    """The LM's response.

    Raises:
        LMError: The LM could not answer.
    """
    try:
        response: Response = lm(request, **settings)
    except DSPyLMError as error:
        raise _failure(error) from error
    except CancelledFuture as error:
        raise LMError(_CLOSED) from error
    return response


async def ask_async(lm: dspy.BaseLM, request: Request, settings: Mapping[str, Any]) -> Response:
    """As ``ask``; an engine without an async twin is asked in a thread."""
    engine = getattr(lm, "engine", "auto")
    if not isinstance(engine, str) and getattr(lm, "_async_engine_spec", None) is None:
        return await asyncio.to_thread(ask, lm, request, settings)
    try:
        if not _is_heard(lm, settings):
            with error_boundary(lm.model, unexpected=True):
                answer: Response = await lm._async_engine_spec.complete(request)
                return answer
        response: Response = await lm.acall(request, **settings)
    except DSPyLMError as error:
        raise _failure(error) from error
    except (asyncio.CancelledError, CancelledFuture) as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
            raise  # it is the caller who gives up, and not the LM
        raise LMError(_CLOSED) from error
    return response


def _is_heard(lm: dspy.BaseLM, settings: Mapping[str, Any]) -> bool:
    """Whether anything comes of DSPy's layer around an engine, which costs as much as a request.

    It keeps a history, a cache and the usage, tells callbacks and streams, asks again, and lets
    subclasses stand in its way.
    """
    now = dspy.settings
    return bool(
        not now.disable_history
        or now.callbacks
        or lm.callbacks
        or now.usage_tracker is not None
        or now.send_stream is not None
        or lm.num_retries
        or settings.get("cache")
        or settings.get("rollout_id") is not None
        or type(lm).acall is not dspy.LM.acall
        or type(lm).aforward is not dspy.LM.aforward
        or {"acall", "aforward"} & vars(lm).keys()
    )


def _failure(error: DSPyLMError) -> LMError:
    causes = error.__cause__, error.__context__
    closed = any(isinstance(cause, CancelledFuture) for cause in causes)
    return LMError(_CLOSED) if closed else lm_failure(error)


_CLOSED = "the LM gave the call up: it was closed"
