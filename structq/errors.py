"""Every error that structq raises; knows nothing of the rest.

::

    StructqError
      InputError(ValueError)      the caller's values: names the field and what was found
        RowError                  a row of a file: path, line (from 1), field, reason
        TemplateError             a missing or unknown field, a syntax error, a forbidden attribute
        SchemaError               a schema keyword that cannot be guaranteed: names it
      LMError(RuntimeError)       the LM could not answer: wraps the cause with ``from``
        ClosedError               it was closed before the call or while it waited
        PromptTooLongError        n_tokens, limit
      OutputError(ValueError)     the answer broke its schema: keeps the raw text
      PullError(RuntimeError)     a model could not be fetched; nothing half-done is left
      BudgetExceededError(RuntimeError)
      ResumeError(RuntimeError)   the journal belongs to another configuration: names what differs
"""

from __future__ import annotations

import pickle
from types import MappingProxyType
from typing import Any

__all__ = [
    "BudgetExceededError",
    "ClosedError",
    "InputError",
    "LMError",
    "OutputError",
    "PromptTooLongError",
    "PullError",
    "ResumeError",
    "RowError",
    "SchemaError",
    "StructqError",
    "TemplateError",
    "describe_error",
    "is_fatal",
    "portable",
    "shorten",
]


def shorten(value: object, limit: int = 60) -> str:
    """``repr`` of the value, cut to at most ``limit`` characters plus a mark of the cut."""
    # A megabyte of text is cut before repr, so that the message costs nothing to build.
    try:
        text = repr(value[: limit + 1]) if isinstance(value, str | bytes) else repr(value)
    except Exception:  # an integer of too many digits, or an object that cannot show itself
        return f"<{type(value).__name__}>"
    return text if len(text) <= limit else f"{text[:limit]}..."


def is_fatal(error: BaseException | None) -> bool:
    """Whether the error, or what caused it, says by ``fatal`` that every other row will meet it."""
    return error is not None and (getattr(error, "fatal", False) or is_fatal(error.__cause__))


class StructqError(Exception):
    """Base of every error that structq raises on purpose; it can be pickled with its facts.

    Attributes:
        calls: What the LM was asked and answered before the failure, as in ``metadata`` of a row.
    """

    calls: tuple[dict[str, Any], ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        # A fact of somebody else's that cannot travel must not keep the error from doing so.
        facts = {name: portable(value) for name, value in self.__dict__.items()}
        return _restore, (type(self), self.args, facts)


def portable(value: Any) -> Any:
    """The value if it can be pickled, else its text."""
    value = dict(value) if isinstance(value, MappingProxyType) else value
    try:
        pickle.dumps(value)
    except Exception:  # pickle raises what the parts of a value raise
        return shorten(value, 200)
    return value


def _restore(
    kind: type[StructqError], args: tuple[Any, ...], facts: dict[str, Any]
) -> StructqError:
    # Not through __init__, whose facts are keyword-only and already in place.
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


def describe_error(error: Exception) -> dict[str, Any]:
    """An error as ``metadata["error"]`` of a row: its public type, its message and its field.

    ``fatal`` is there where every row of the same run would have it.
    """
    names = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == __name__)
    field = getattr(error, "field", None)
    facts = {"type": next(names, type(error).__name__), "message": str(error), "field": field}
    return {**facts, "fatal": True} if is_fatal(error) else facts


class InputError(StructqError, ValueError):
    """A value of the caller is wrong.

    Attributes:
        field: Name of the argument or column, or ``None`` where no single one is to blame.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class RowError(InputError):
    """A row of a file is wrong.

    Attributes:
        path: The file as the caller named it.
        line: Physical line, counted from 1.
        field: The column, or ``None`` where the whole line is wrong.
        reason: What was found and what is allowed, without the place.
    """

    def __init__(self, *, path: str, line: int, field: str | None, reason: str) -> None:
        place = f"{path}:{line}" + (f":{field}" if field else "")
        super().__init__(f"{place}: {reason}", field=field)
        self.path = path
        self.line = line
        self.reason = reason


class TemplateError(InputError):
    """A template lacks a field, names an unknown one, does not parse, or does what is forbidden."""


class SchemaError(InputError):
    """A JSON Schema keyword that the constraint layer cannot guarantee.

    Attributes:
        keyword: The keyword at fault.
        pointer: JSON pointer to it inside the schema.
    """

    def __init__(self, message: str, *, keyword: str, pointer: str = "") -> None:
        super().__init__(message, field=keyword)
        self.keyword = keyword
        self.pointer = pointer


class LMError(StructqError, RuntimeError):
    """The LM could not answer; the cause is chained."""


class ClosedError(LMError):
    """The LM was closed, before the call or while it waited."""

    def __init__(self) -> None:
        super().__init__("the LM was closed")


class PromptTooLongError(LMError):
    """The prompt, with the room that the answer needs, does not fit the LM's window.

    Attributes:
        n_tokens: Tokens of the prompt.
        limit: Tokens that fit.
    """

    def __init__(self, *, n_tokens: int, limit: int) -> None:
        super().__init__(f"the prompt is too long: {n_tokens} tokens (at most {limit} fit)")
        self.n_tokens = n_tokens
        self.limit = limit


class OutputError(StructqError, ValueError):
    """The LM's answer does not obey its schema, or was cut off.

    Attributes:
        raw: The answer as it came.
        finish_reason: Why the LM stopped, where it said so.
    """

    def __init__(self, message: str, *, raw: str, finish_reason: str | None = None) -> None:
        super().__init__(message)
        self.raw = raw
        self.finish_reason = finish_reason


class PullError(StructqError, RuntimeError):
    """A model could not be fetched, is not what it must be, or could not be kept."""


class BudgetExceededError(StructqError, RuntimeError):
    """A budget of LM calls or seconds is spent."""


class ResumeError(StructqError, RuntimeError):
    """A journal belongs to another configuration.

    Attributes:
        differs: Names of the settings that differ.
    """

    def __init__(self, message: str, *, differs: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.differs = differs
