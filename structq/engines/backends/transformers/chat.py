"""Chat format and window of an LM as transformers describes it; imports neither it nor torch."""

from __future__ import annotations

from typing import Any

from structq.engines.chat import ChatFormat
from structq.errors import InputError

__all__ = ["chat_format", "window_of"]


def chat_format(tokenizer: Any, source: str) -> ChatFormat:
    """The chat format of a tokenizer of transformers.

    Args:
        tokenizer: It is never changed.
        source: Names the LM where something is missing.

    Raises:
        InputError: It has no ``tokenizer.json`` form, no end-of-text token or no chat template.
    """
    if not tokenizer.is_fast:
        raise InputError(f"the tokenizer of {source!r} has no tokenizer.json form", field="lm")
    if tokenizer.eos_token_id is None:
        raise InputError(f"the tokenizer of {source!r} names no end-of-text token", field="lm")
    if not tokenizer.chat_template:
        raise InputError(
            f"the tokenizer of {source!r} has no chat template: take the LM's chat version",
            field="lm",
        )

    def render(turns: list[dict[str, str]]) -> str:
        # Templates that know the word leave room for no thoughts: an answer starts with its JSON.
        text = tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return str(text)

    return ChatFormat(tokenizer.backend_tokenizer, render)


def window_of(config: Any, wanted: int | None = None) -> int:
    """Most tokens of a row: what is wanted, else what the LM was made for.

    Raises:
        InputError: More than the LM was made for, or that is not known.
    """
    most = getattr(config, "max_position_embeddings", None)
    window = most if wanted is None else wanted
    if window is None:
        raise InputError("the LM does not say how long a text may be: give window", field="window")
    if window < 2 or window > (most or window):
        raise InputError(f"window must be 2 to {most}: found {window}", field="window")
    return int(window)
