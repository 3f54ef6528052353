"""What the engines of this process read from DSPy's canonical requests, and their errors for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dspy import lm15
from dspy.lm15 import Config, Message, Request

from structq.errors import ClosedError, LMError, PromptTooLongError, SchemaError, StructqError

__all__ = ["Canonical", "schema_of", "turns_of"]

_ROLES = {"user": "user", "assistant": "assistant", "developer": "system"}


class Canonical:
    """Turns structq's errors into those that DSPy knows."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, PromptTooLongError):
            raise lm15.ContextLengthError(str(error)) from error
        if isinstance(error, SchemaError):
            raise lm15.UnsupportedFeatureError(str(error), feature=error.keyword) from error
        if isinstance(error, ClosedError):
            raise lm15.NotConfiguredError(str(error)) from error
        if isinstance(error, LMError):
            raise lm15.ServerError(str(error)) from error
        if isinstance(error, StructqError):
            raise lm15.InvalidRequestError(str(error)) from error


def turns_of(request: Request) -> list[tuple[str, str]]:
    """The ``(role, text)`` turns of a request, the system's first.

    Raises:
        dspy.lm15.UnsupportedFeatureError: A turn is not text, or not of a user or an assistant.
    """
    turns = [] if request.system is None else [("system", _system(request))]
    for place, message in enumerate(request.messages):
        if message.role not in _ROLES or message.text is None:
            raise lm15.UnsupportedFeatureError(
                f"local LMs read text of the user and the assistant: found a {message.role} "
                "message" + ("" if message.text is not None else " that is not all text"),
                feature=f"messages[{place}]",
            )
        turns.append((_ROLES[message.role], message.text))
    return turns


def schema_of(config: Config) -> Mapping[str, Any] | None:
    """The JSON Schema that the answer has to obey; ``None`` for free text.

    Raises:
        dspy.lm15.UnsupportedFeatureError: JSON is wanted, and no schema says which.
    """
    wanted = config.response_format
    if wanted is None:
        return None
    if wanted.get("type") == "json_schema" and isinstance(wanted.get("schema"), Mapping):
        schema: Mapping[str, Any] = wanted["schema"]
        return schema
    raise lm15.UnsupportedFeatureError(
        f"a response_format without a schema cannot be guaranteed: {wanted.get('type')!r} "
        "('json_schema' is allowed; DSPy sends it for outputs other than free-form dicts)",
        feature="config.response_format",
    )


def _system(request: Request) -> str:
    if isinstance(request.system, str):
        return request.system
    text = Message.developer(request.system or "").text
    if text is None:
        raise lm15.UnsupportedFeatureError("the system message is not all text", feature="system")
    return str(text)
