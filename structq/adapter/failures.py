"""Failures of a call: structq's errors that are also the DSPy errors which optimizers look for.

GEPA turns an ``AdapterParseError`` into feedback on the format, ReAct shortens a history on a
``ContextWindowExceededError``: each class here is both.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import dspy
from dspy.utils.exceptions import (
    AdapterParseError,
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMConfigurationError,
    LMInvalidRequestError,
    LMTransportError,
    LMUnsupportedModelError,
)
from dspy.utils.exceptions import LMError as DSPyLMError

from structq.engines.backends.servers.faults import window_fault
from structq.errors import LMError, OutputError, PromptTooLongError, portable, shorten

__all__ = ["AnswerError", "ContextError", "LMCallError", "lm_failure"]


class AnswerError(OutputError, AdapterParseError):  # type: ignore[misc]
    """An answer that was cut off, or is not exactly what the schema asks for."""

    def __init__(
        self, reason: str, *, raw: str, finish_reason: str | None, signature: type[dspy.Signature]
    ) -> None:
        message = f"{reason}; the answer was {shorten(raw, 200)}"
        OutputError.__init__(self, message, raw=raw, finish_reason=finish_reason)
        self.reason = reason
        self.message = message
        self.adapter_name = "StructAdapter"
        self.signature = signature
        self.lm_response = raw
        self.parsed_result = None
        self.code = AdapterParseError.default_code

    def __reduce__(self) -> tuple[Any, ...]:
        # DSPy makes the class of a signature as it goes: pickle finds it under no name.
        restore, (kind, args, facts) = super().__reduce__()
        fields = {name: (f.annotation, f) for name, f in self.signature.fields.items()}
        told = portable((fields, self.signature.instructions))
        return _restore_answer, (restore, kind, args, facts, told)


def _restore_answer(
    restore: Callable[..., AnswerError], kind: Any, args: Any, facts: Any, told: Any
) -> AnswerError:
    signature = dspy.Signature(*told) if isinstance(told, tuple) else told
    return restore(kind, args, {**facts, "signature": signature})


class LMCallError(LMError, DSPyLMError):  # type: ignore[misc]
    """The LM could not answer; carries the facts of the DSPy error that caused it."""

    def __init__(self, cause: DSPyLMError) -> None:
        LMError.__init__(self, _sentence(cause))
        self.__dict__.update(vars(cause))
        self.fatal = isinstance(cause, _FATAL) or cause.status in (401, 402, 403, 404)


class ContextError(PromptTooLongError, ContextWindowExceededError):  # type: ignore[misc]
    """The prompt does not fit the LM's window."""

    def __init__(self, cause: DSPyLMError, *, n_tokens: int, limit: int) -> None:
        PromptTooLongError.__init__(self, n_tokens=n_tokens, limit=limit)
        if (said := _said(cause)) not in str(self):
            self.args = (f"{self}; it was told: {said}",)
        self.__dict__.update(vars(cause))


def lm_failure(error: DSPyLMError) -> LMError:
    """The structq error for a DSPy one: raise it ``from`` that."""
    # llama.cpp's refusal of a long prompt is an invalid request like any other to DSPy.
    too_long = isinstance(error, ContextWindowExceededError | LMInvalidRequestError)
    if too_long and (sizes := _sizes(error)):
        return ContextError(error, n_tokens=sizes[0], limit=sizes[1])
    return LMCallError(error)


_FATAL = (LMAuthError, LMBillingError, LMConfigurationError, LMUnsupportedModelError)
"""What every other call to the LM would meet too."""
_HINTS = {
    LMAuthError: " (is api_key right?)",
    LMTransportError: " (is the server running, and api_base right?)",
}


def _sentence(cause: DSPyLMError) -> str:
    """What went wrong, on one line: DSPy adds paragraphs of advice behind it."""
    hints = (hint for kind, hint in _HINTS.items() if isinstance(cause, kind))
    return f"{type(cause).__name__}: {_said(cause)}{next(hints, '')}"


def _said(cause: BaseException) -> str:
    """What the server or the engine said, without the name and the status that DSPy adds."""
    return " ".join(_ADDED.sub("", str(cause).split("\n\n", 1)[0]).split())


_ADDED = re.compile(r"^\[[^\]]*\]\s*|\s*\(HTTP \d+\)\s*$")
"""DSPy's own numbers: the LM's name in front, the status behind."""


def _sizes(error: BaseException | None) -> tuple[int, int] | None:
    """Tokens of the prompt and tokens that fit, from the error or what caused it."""
    while error is not None:
        n_tokens, limit = getattr(error, "n_tokens", None), getattr(error, "limit", None)
        if isinstance(n_tokens, int) and isinstance(limit, int):
            return n_tokens, limit
        if found := window_fault(_said(error)):
            return found
        error = error.__cause__
    return None
