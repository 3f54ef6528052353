"""How byte-level tokenizers cut a text before they merge, by the names that GGUF files use."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tokenizers import Regex, pre_tokenizers

from structq.errors import InputError, shorten

__all__ = ["IGNORES_MERGES", "STARTS_WITH_BOS", "pre_tokenizer"]

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*|\p{{N}}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_Parts = tuple[pre_tokenizers.PreTokenizer, ...]


def _by(pattern: str) -> Callable[[], _Parts]:
    def parts() -> _Parts:
        return (
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        )

    return parts


def _as_gpt_2() -> _Parts:
    return (pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),)


def _digits_apart() -> _Parts:
    return (pre_tokenizers.Digits(individual_digits=True), *_as_gpt_2())


_LLAMA_3 = _by(rf"{_WORDS}|\p{{N}}{{1,3}}|{_REST}")
_QWEN_2 = _by(rf"{_WORDS}|\p{{N}}|{_REST}")

_KINDS: Mapping[str, Callable[[], _Parts]] = {
    "gpt-2": _as_gpt_2,
    "smollm": _digits_apart,
    "starcoder": _digits_apart,
    "refact": _digits_apart,
    "llama-bpe": _LLAMA_3,
    "llama3": _LLAMA_3,
    "qwen2": _QWEN_2,
    "deepseek-r1-qwen": _QWEN_2,
    "tekken": _by(_TEKKEN),
}

IGNORES_MERGES = frozenset({"llama-bpe", "llama3", "tekken"})
"""Kinds in which a piece that is a token is never made of smaller ones."""

STARTS_WITH_BOS = frozenset({"llama-bpe", "llama3", "tekken"})
"""Kinds in which a prompt starts with the token for that, unless the file says otherwise."""


def pre_tokenizer(kind: object) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer of a ``tokenizer.ggml.pre``.

    Raises:
        InputError: The kind is not known; another one would cut texts in other places.
    """
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InputError(
            f"tokenizer.ggml.pre of the GGUF file is not known: {shorten(kind)} "
            f"({', '.join(_KINDS)} are allowed)",
            field="lm",
        )
    return pre_tokenizers.Sequence(list(_KINDS[kind]()))
