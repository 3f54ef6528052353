"""What a model folder of the Hugging Face hub says beside its weights, read without transformers.

Texts become tokens by ``tokenizer.json`` and the chat template, which `structq.engines.chat` keeps
apart from the texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from structq.engines.chat import ChatFormat
from structq.engines.chat_template import renderer
from structq.engines.model_files import file_of, read_json, read_tokenizer
from structq.errors import InputError

__all__ = ["HubFiles"]

_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


class HubFiles:
    """The settings of one model folder.

    Args:
        folder: Holds ``config.json``, ``tokenizer.json``, ``tokenizer_config.json`` and, where
            the hub has them, ``generation_config.json`` and ``chat_template.jinja``.

    Raises:
        InputError: A file is missing or is not what its name says, or none of them names a chat
            template, or a token that ends the answer.
    """

    def __init__(self, folder: Path) -> None:
        tokenizer = read_tokenizer(file_of(folder, "tokenizer.json"))
        self.config = _text_config(read_json(file_of(folder, "config.json")))
        """The part of ``config.json`` that describes the decoder."""
        settings = read_json(file_of(folder, "tokenizer_config.json"))
        self.tokens = {name: _content(settings.get(name)) for name in _TOKENS}
        """The special tokens by their roles; empty text where there is none."""
        self.template = _template(folder, settings)
        """The chat template."""
        self.eos_token_id = self._end(folder, tokenizer)
        """The token by which the LM ends its answer."""
        self.chat = ChatFormat(tokenizer, renderer(self.template, self.tokens))
        """Turns to tokens."""

    def window(self, wanted: int | None) -> int:
        """Most tokens of a row: what is wanted, or what the LM was made for.

        Raises:
            InputError: Neither is known, or more is wanted than the LM was made for.
        """
        most = self.config.get("max_position_embeddings", self.config.get("n_positions"))
        window = most if wanted is None else wanted
        if not isinstance(window, int):
            raise InputError(
                "the LM does not say how long a text may be: give window", field="window"
            )
        if window < 2 or window > (most or window):
            raise InputError(f"window must be 2 to {most}: found {window}", field="window")
        return window

    def _end(self, folder: Path, tokenizer: Tokenizer) -> int:
        token = tokenizer.token_to_id(self.tokens["eos_token"])
        generation = folder / "generation_config.json"
        named = read_json(generation) if generation.is_file() else {}
        # The tokenizer's comes first: it is the one that the chat template ends a turn with.
        for found in (token, named.get("eos_token_id"), self.config.get("eos_token_id")):
            one = found[0] if isinstance(found, list) and found else found
            if isinstance(one, int):
                return one
        raise InputError(
            f"no file of {str(folder)!r} names the token that ends an answer (eos_token in "
            "tokenizer_config.json, eos_token_id in generation_config.json)",
            field="lm",
        )


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    inner = config.get("text_config")
    return {**config, **inner} if isinstance(inner, dict) else config


def _content(token: Any) -> str:
    """A special token, which is text or an object about it."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else ""


def _template(folder: Path, settings: Mapping[str, Any]) -> str:
    own = folder / "chat_template.jinja"
    if own.is_file():
        return own.read_text(encoding="utf-8")
    older = folder / "chat_template.json"
    found = (read_json(older) if older.is_file() else settings).get("chat_template")
    if isinstance(found, list):  # several by name
        found = {entry["name"]: entry["template"] for entry in found}.get("default")
    if not isinstance(found, str) or not found:
        raise InputError(
            f"the tokenizer of {str(folder)!r} has no chat template: take the LM's chat version",
            field="lm",
        )
    return found
