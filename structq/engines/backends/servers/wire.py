"""Requests and answers on the wire: OpenAI's chat completions, and Ollama's own where needed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from dspy import lm15
from dspy.lm15 import Message, Request, Response, TokenLogprob, TopLogprob, Usage

from structq.engines.backends.servers.faults import fault_within, masked
from structq.engines.backends.servers.layout import one_line
from structq.engines.backends.servers.reading import read_body, read_of, text_read
from structq.engines.canonical import turns_of
from structq.errors import shorten

__all__ = ["Reasoning", "Wire"]

Reasoning = Literal["drop", "parse"]
"""What becomes of text that comes as reasoning where an answer should be: kept apart, or read."""

_NUMBERS = ("temperature", "max_tokens", "top_p", "seed", "frequency_penalty", "presence_penalty")
_FINISH = {
    None: "stop", "stop": "stop", "eos": "stop", "eos_token": "stop", "end_turn": "stop",
    "stop_sequence": "stop", "complete": "stop", "length": "length", "max_tokens": "length",
    "model_length": "length", "content_filter": "content_filter", "safety": "content_filter",
    "tool_calls": "tool_call", "function_call": "tool_call",
}  # fmt: skip
_NATIVE = {"max_tokens": "num_predict"}


@dataclass(frozen=True, kw_only=True)
class Wire:
    """How one LM is asked."""

    model: str
    """Its name at the server."""
    extras: Mapping[str, Any] = field(default_factory=dict)
    """What every request carries beside OpenAI's options, in the server's own names."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """What the caller wants in every request; wins over all else."""
    native: bool = False
    """Ollama's own wire, for what its OpenAI one does not carry."""
    grammars: bool = False
    """Takes a grammar of llama.cpp in the place of a schema, so that answers have one layout."""
    reasoning: Reasoning = "drop"
    """See there."""
    key: str | None = None
    """Never shown, wherever the server repeats it."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of every request, beside those of the client."""

    @property
    def path(self) -> str:
        """Behind the address."""
        return "/api/chat" if self.native else "/chat/completions"

    def write(self, request: Request) -> bytes:
        """The request as JSON.

        Raises:
            lm15.UnsupportedFeatureError: It holds what this wire cannot carry.
        """
        config = request.config
        if config.probabilities not in (None, "off", "if_available"):
            raise _unsupported("probabilities")
        turns = [{"role": role, "content": text} for role, text in turns_of(request)]
        values = {n: v for n in _NUMBERS if (v := getattr(config, n, None)) is not None}
        if config.stop:
            values["stop"] = list(config.stop)
        if config.top_k is not None:
            values["top_k"] = config.top_k
        values |= self.extras
        told: dict[str, Any] = {"model": self.model, "messages": turns}
        if self.native:
            options = {_NATIVE.get(name, name): value for name, value in values.items()}
            told |= {"stream": False, "options": options}
        else:
            told |= values
        if (text := text_read(request)) is not None:
            return orjson.dumps({**told, **read_body(turns, text), **self.body})
        told |= self._format(config.response_format) | self._logprobs(config.logprobs)
        return orjson.dumps({**told, **self.body})

    def _format(self, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
        if wanted is None:
            return {}
        if self.native:
            return {"format": wanted.get("schema", "json")}
        if wanted.get("type") != "json_schema":
            return {"response_format": dict(wanted)}
        if self.grammars and (grammar := one_line(wanted["schema"])) is not None:
            return {"grammar": grammar}
        schema = {
            "name": wanted.get("name") or "answer",
            "schema": wanted["schema"],
            "strict": wanted.get("strict", True),
        }
        return {"response_format": {"type": "json_schema", "json_schema": schema}}

    def _logprobs(self, n: int | None) -> dict[str, Any]:
        if n is None:
            return {}
        return {"logprobs": True, "top_logprobs": n} if n else {"logprobs": True}

    def read(self, content: bytes, request: Request) -> Response:
        """The response in an answer.

        Raises:
            lm15.ServerError: It is none.
            lm15.LM15Error: It is an error in the form of an answer.
            lm15.InvalidRequestError: The server read less than it was sent.
        """
        answer = _parse(content)
        if (fault := fault_within(answer)) is not None:
            raise fault
        if not isinstance(answer, Mapping):
            raise lm15.ServerError(f"the answer is no object: {shorten(answer)}")
        choice = _choice(answer)
        usage = _usage(answer)
        if (text := text_read(request)) is not None:
            return Response(
                id=None,
                model=request.model,
                message=Message.assistant(""),
                finish_reason="stop",
                usage=usage,
                provider_data={"structq": {"read": read_of(answer, text)}},
            )
        _check_read_whole(request, usage.input_tokens, self.extras.get("num_ctx"))
        finish = choice.get("finish_reason", answer.get("done_reason"))
        message, facts = self._message(choice)
        logprobs, reason = _logprobs(choice, answer)
        if reason is not None:
            facts["unmeasured"] = reason
        known = _FINISH.get(finish if isinstance(finish, str) else None)
        if known is None:
            facts["finish_reason"] = str(finish)[:60]
        return Response(
            id=answer.get("id") if isinstance(answer.get("id"), str) else None,
            model=request.model,
            message=message,
            finish_reason=known or "error",
            usage=usage,
            logprobs=logprobs,
            provider_data={"structq": facts} if facts else None,
        )

    def _message(self, choice: Mapping[str, Any]) -> tuple[Message, dict[str, Any]]:
        """What was said, and where it was where that is not the usual place."""
        said = choice.get("message")
        said = said if isinstance(said, Mapping) else {"content": choice.get("text")}
        refusal = said.get("refusal")
        if isinstance(refusal, str) and refusal:
            part = lm15.RefusalPart(text=self._clean(refusal))
            return Message(role="assistant", parts=(part,)), {}
        text = _text(said.get("content"))
        if text.strip():
            return Message.assistant(self._clean(text)), {}
        for place in ("reasoning_content", "reasoning", "thinking"):
            thought = _text(said.get(place))
            if thought.strip():
                if self.reasoning == "parse":
                    return Message.assistant(self._clean(thought)), {"text_from": place}
                return Message.assistant(""), {"elsewhere": [place, self._clean(thought)]}
        if calls := said.get("tool_calls"):
            shown = orjson.dumps(calls).decode()
            return Message.assistant(""), {"elsewhere": ["tool_calls", self._clean(shown)]}
        return Message.assistant(""), {}

    def _clean(self, text: str) -> str:
        key = self.key
        return masked(text, key) if key and key in text else text


def _choice(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = answer.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return choices[0]
    if isinstance(answer.get("message"), Mapping):  # Ollama's own
        return answer
    return {"message": {"content": None}}


def _text(content: Any) -> str:
    """The text of a content, which some servers send in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part if isinstance(part, str) else str(part.get("text") or "")
            for part in content
            if isinstance(part, str | Mapping)
            and (isinstance(part, str) or part.get("type", "text") in ("text", "output_text"))
        )
    return ""


def _usage(answer: Mapping[str, Any]) -> Usage:
    given = answer.get("usage")
    counts = given if isinstance(given, Mapping) else {}
    return Usage(
        input_tokens=_count(counts.get("prompt_tokens", answer.get("prompt_eval_count"))),
        output_tokens=_count(counts.get("completion_tokens", answer.get("eval_count"))),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _parse(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(content)  # which takes NaN: it costs a distribution, and no row
        except ValueError:
            head = " ".join(content[:120].decode("utf8", "replace").split())
            raise lm15.ServerError(f"the answer is not JSON: {shorten(head, 120)}") from error


def _logprobs(
    choice: Mapping[str, Any], answer: Mapping[str, Any]
) -> tuple[tuple[TokenLogprob, ...] | None, str | None]:
    """The log probabilities, or why they cannot be read where there are some."""
    given = choice.get("logprobs") or answer.get("logprobs")
    entries = given.get("content") if isinstance(given, Mapping) else given
    if not isinstance(entries, list) or not entries:
        return None, None
    try:
        return tuple(_token(entry) for entry in entries), None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = str(error) if isinstance(error, ValueError) else f"of another form: {error!r}"
        return None, f"the server's log probabilities cannot be read: {said}"


def _token(entry: Mapping[str, Any]) -> TokenLogprob:
    tops = tuple(
        TopLogprob(token=str(top["token"]), logprob=_logprob(top), bytes=_bytes(top))
        for top in entry.get("top_logprobs") or ()
    )
    return TokenLogprob(
        token=str(entry["token"]), logprob=_logprob(entry), bytes=_bytes(entry), top=tops
    )


def _logprob(entry: Mapping[str, Any]) -> float:
    value = entry.get("logprob")
    # Minus infinity is a probability of 0; nothing is more likely than 1, and NaN compares as less.
    if isinstance(value, int | float) and not isinstance(value, bool) and value <= _ROUNDING:
        return max(min(float(value), 0.0), _LOWEST)
    raise ValueError(f"found {shorten(value)} where a log probability should be")


_ROUNDING = 1e-3
_LOWEST = -1e4


def _bytes(entry: Mapping[str, Any]) -> tuple[int, ...] | None:
    given = entry.get("bytes")
    return tuple(given) if isinstance(given, list) else None


_SMALLEST_WINDOW = 512
_MOST_CHARACTERS_A_TOKEN = 12
_SPACES = re.compile(r"\s+")


def _check_read_whole(request: Request, n_read: int | None, window: Any) -> None:
    """Raises where the server says that it read far less than it was sent."""
    if n_read is None or n_read < _SMALLEST_WINDOW:
        return
    sent = sum(len(message.text or "") for message in request.messages)
    if sent < 4 * n_read:
        return
    text = " ".join(message.text or "" for message in request.messages)
    sent = len(_SPACES.sub(" ", text))
    full = (n_read >= 2048 and n_read & (n_read - 1) == 0) or n_read == window
    if sent > (6 if full else _MOST_CHARACTERS_A_TOKEN) * n_read:
        n_sent = math.ceil(sent / 4)
        raise lm15.ContextLengthError(
            f"the server read {n_read:,} of about {n_sent:,} tokens: it cuts prompts at its window "
            "(num_ctx= widens Ollama's)"
        )


def _unsupported(name: str) -> lm15.LM15Error:
    return lm15.UnsupportedFeatureError(f"this wire does not carry {name}", feature=name)
