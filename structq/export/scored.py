"""One row as `structq run` or `structq score` wrote it: a conversation and its scored answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from structq.modules.derived import finest_scores

__all__ = ["Candidate", "DropError", "Message", "Scored", "best_of", "read_scored"]

Message = dict[str, str]
"""``role`` (system, user or assistant) and ``content``."""


class DropError(Exception):
    """A row that cannot be used; its text is the reason, which names no value of the row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A response that has a score and is not blank."""

    place: int
    """Its place among the row's responses; 0 is the original."""

    text: str
    """The response."""

    score: float
    """Higher is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """What of a row trains something."""

    messages: list[Message]
    """The conversation up to the answer: maybe a system message, then turns, the user's last."""

    candidates: list[Candidate]
    """The answers, one or more, in their order."""


def read_scored(
    row: Mapping[str, Any], *, scores: str | None = None, system_prompt: str | None = None
) -> Scored:
    """The conversation and the scored answers of a row.

    The conversation is ``messages``, without the answer at its end, or else ``instruction`` with
    the row's own ``system_prompt``.

    Args:
        row: Columns by name.
        scores: Column to rank by; by default ``expected_scores`` where there are some, else the
            raw values that ranks are of, else ``scores``.
        system_prompt: System message of a conversation that has none.

    Raises:
        DropError: The row has no conversation, or no response with a score.
    """
    messages = _conversation(row)
    answer = messages.pop()["content"] if messages[-1]["role"] == "assistant" else None
    system = row.get("system_prompt") or system_prompt
    if system and not any(message["role"] == "system" for message in messages):
        messages.insert(0, _message("system", system, "system_prompt"))
    _check_turns(messages)
    return Scored(messages=messages, candidates=_candidates(row, answer, scores))


def best_of(candidates: Sequence[Candidate]) -> Candidate:
    """The one with the highest score, the first of equal ones."""
    return max(candidates, key=lambda one: (one.score, -one.place))


def _conversation(row: Mapping[str, Any]) -> list[Message]:
    """The turns of a row, one or more."""
    turns = row.get("messages")
    if turns is None:
        if row.get("instruction") is None:
            raise DropError("no instruction and no messages")
        return [_message("user", row["instruction"], "instruction")]
    if not isinstance(turns, list) or not turns:
        raise DropError("messages: not a list of turns")
    if not all(isinstance(turn, Mapping) for turn in turns):
        raise DropError("messages: a turn without role and content")
    return [_message(turn.get("role"), turn.get("content"), "messages") for turn in turns]


def _message(role: Any, content: Any, column: str) -> Message:
    if role not in ("system", "user", "assistant"):
        raise DropError(f"{column}: a role other than system, user and assistant")
    if not isinstance(content, str):
        raise DropError(f"{column}: not text")
    if not content.strip():
        raise DropError(f"{column}: blank")
    return {"role": role, "content": _encodable(content, column)}


def _check_turns(messages: list[Message]) -> None:
    """Refuses what chat templates refuse: turns that do not alternate."""
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    wanted = ["user", "assistant"] * (len(turns) // 2) + ["user"]
    if turns != wanted:
        raise DropError("messages: turns of user and assistant do not alternate")


def _candidates(row: Mapping[str, Any], answer: str | None, column: str | None) -> list[Candidate]:
    responses = row.get("responses")
    if responses is None:
        response = row.get("response", answer)
        responses = None if response is None else [response]
    if not isinstance(responses, list) or not responses:
        raise DropError("no responses")
    scores = _scores(row, column)
    if len(scores) != len(responses):
        raise DropError("scores: not one a response")
    scored = [
        (place, text, score)
        for place, (text, score) in enumerate(zip(responses, scores, strict=True))
        if _is_score(score)
    ]
    if not all(isinstance(text, str) for _, text, _ in scored):
        raise DropError("responses: not text")
    found = [
        Candidate(place=place, text=_encodable(text, "responses"), score=float(score))
        for place, text, score in scored
        if text.strip()
    ]
    if not found:
        raise DropError("responses: blank")
    return found


def _scores(row: Mapping[str, Any], column: str | None) -> list[Any]:
    """The column, or the finest scores that there are."""
    for found in (row.get(column),) if column else (finest_scores(row), row.get("scores")):
        if isinstance(found, list) and any(map(_is_score, found)):
            return found
    raise DropError("no scores")


def _is_score(score: Any) -> bool:
    return isinstance(score, (int, float)) and not isinstance(score, bool) and math.isfinite(score)


def _encodable(text: str, column: str) -> str:
    try:
        text.encode("utf8")
    except UnicodeEncodeError:
        raise DropError(f"{column}: a lone surrogate, which UTF-8 cannot hold") from None
    return text
