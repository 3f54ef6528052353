"""How likely a text is as the answer, from the log probabilities that vLLM gives of a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dspy import lm15
from dspy.lm15 import Request

from structq.errors import shorten

__all__ = ["read_body", "read_of", "text_read"]


def text_read(request: Request) -> str | None:
    """The text that a request wants read, in place of an answer."""
    own = (request.config.extensions or {}).get("structq")
    found = own.get("read") if isinstance(own, Mapping) else None
    return found if isinstance(found, str) else None


def read_body(turns: list[dict[str, str]], text: str) -> dict[str, Any]:
    """What is added to a request: the text stands as the beginning of the answer."""
    return {
        "messages": [*turns, {"role": "assistant", "content": text}],
        "max_tokens": 1,
        "prompt_logprobs": 0,
        "add_generation_prompt": False,
        "continue_final_message": True,
    }


def read_of(answer: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The log probability of the text and its number of tokens.

    The text is what the prompt ends with: its tokens are counted from the end, until they are the
    text. The token that ends an answer is not among them, as it is not in the prompt.

    Raises:
        lm15.ServerError: The answer has no such log probabilities.
    """
    places = answer.get("prompt_logprobs")
    if not isinstance(places, list):
        raise lm15.UnsupportedFeatureError(
            "the server gives no log probabilities of a prompt", feature="prompt_logprobs"
        )
    left, total, n_tokens = len(text.strip()), 0.0, 0
    said: list[str] = []
    for place in reversed(places):
        if left <= 0:
            break
        piece, logprob = _token(place)
        said.append(piece)
        left -= len(piece) if n_tokens else len(piece.rstrip())
        total += logprob
        n_tokens += 1
    found = "".join(reversed(said)).strip()
    if "\ufffd" not in found and not found.endswith(text.strip()):
        raise lm15.ServerError(
            f"the prompt ends with {shorten(found)} and not with the text that was sent"
        )
    return {"logprob": total, "n_tokens": n_tokens}


def _token(place: Any) -> tuple[str, float]:
    """The token of the prompt at one place: with no likely ones asked for, it is the only one."""
    try:
        entry = next(iter(place.values()))
        return str(entry["decoded_token"]), min(0.0, float(entry["logprob"]))
    except (AttributeError, StopIteration, KeyError, TypeError, ValueError) as error:
        raise lm15.ServerError(
            f"found {shorten(place)} where a log probability of the prompt should be"
        ) from error
