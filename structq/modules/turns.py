"""Conversations as pairs of what was said before and an answer; loads no DSPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from structq.errors import InputError, shorten

__all__ = ["Conversation", "conversation_of", "read_conversation"]

_ROLES = {"human": "user", "gpt": "assistant", "model": "assistant", "chatgpt": "assistant"}
_NAMES = {"user": "User", "assistant": "Assistant", "system": "System"}


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A conversation that ends with an answer."""

    system_prompt: str | None
    """Its first message, where that is a system message."""
    answers: Sequence[tuple[str, str]]
    """All that was said before an answer, and the answer; one or more, in order."""


def conversation_of(row: Mapping[str, Any]) -> Any:
    """The messages of a row: its ``messages``, or ShareGPT's ``conversations``, if there are."""
    return row.get("messages", row.get("conversations"))


def read_conversation(messages: Any) -> Conversation:
    """The answers in a list of messages, each with its context; a lone turn before is its text.

    Raises:
        InputError: It is no such list, or there is no answer at its end.
    """
    said = _turns(messages)
    system = said.pop(0)[1] if said and said[0][0] == "system" else None
    if len(said) < 2 or said[-1][0] != "assistant":
        reason = "no answer at the end (the last of the messages must be the assistant's)"
        raise _fault("messages", reason)
    answers = [
        (said[0][1] if place == 1 else _dialogue(said[:place]), text)
        for place, (role, text) in enumerate(said)
        if role == "assistant" and place > 0
    ]
    return Conversation(system_prompt=system, answers=answers)


def _turns(messages: Any) -> list[tuple[str, str]]:
    if not isinstance(messages, list | tuple):
        raise _fault("messages", f"{shorten(messages)} (must be a list of messages)")
    said = []
    for i, turn in enumerate(messages):
        role = turn.get("role", turn.get("from")) if isinstance(turn, Mapping) else None
        text = turn.get("content", turn.get("value")) if isinstance(turn, Mapping) else None
        role = _ROLES.get(str(role), role)
        if role not in _NAMES or not isinstance(text, str):
            reason = f"{shorten(turn)} (must be a role and a content that is text)"
            raise _fault(f"messages[{i}]", reason)
        said.append((str(role), text))
    return said


def _dialogue(turns: Sequence[tuple[str, str]]) -> str:
    """Several turns as one text: whoever answers sees all that was said."""
    return "\n\n".join(f"{_NAMES[role]}: {text}" for role, text in turns)


def _fault(field: str, reason: str) -> InputError:
    return InputError(f"{field}: {reason}", field=field)
