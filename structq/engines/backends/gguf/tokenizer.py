"""Builds the tokenizer that the metadata of a GGUF file describe.

Two kinds: GPT-2's (merges of bytes, ``tokenizer.ggml.model`` is ``gpt2``) and SentencePiece's
(scores and single bytes, ``llama``). Texts are read as the file's own program reads them: nothing
is normalised, so what an LM is shown is what stands in the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from structq.engines.backends.gguf.pre_tokenizers import (
    IGNORES_MERGES,
    STARTS_WITH_BOS,
    pre_tokenizer,
)
from structq.errors import InputError, shorten

__all__ = ["Tokens", "build_tokenizer", "read_tokens"]

_NORMAL, _UNKNOWN, _CONTROL, _OWN, _UNUSED, _BYTE = 1, 2, 3, 4, 5, 6
_SPACE = "\u2581"


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The tokens of a file."""

    model: str
    """``"gpt2"`` or ``"llama"``."""
    pre: str | None
    """The kind of pre-tokenizer."""
    texts: Sequence[str]
    """Each token as its model writes it."""
    kinds: Sequence[int]
    """llama.cpp's kind of each token."""
    special: Mapping[str, str]
    """Texts of ``bos_token``, ``eos_token``, ``pad_token`` and ``unk_token``; empty without one."""
    eos_token_id: int
    """The token by which the LM ends its answer."""
    starts_with_bos: bool
    """Whether a prompt starts with ``bos_token``."""


def read_tokens(values: Mapping[str, Any]) -> Tokens:
    """The tokens of a file's metadata.

    Raises:
        InputError: A value is missing or wrong, or the kind of tokenizer is unknown.
    """
    model, pre = values.get("tokenizer.ggml.model"), values.get("tokenizer.ggml.pre")
    if model not in ("gpt2", "llama"):
        raise _fault("model", model, "'gpt2' and 'llama' are allowed")
    texts = values.get("tokenizer.ggml.tokens")
    if not isinstance(texts, list) or not texts or len(set(texts)) < len(texts):
        raise _fault("tokens", texts, "a list of different texts is allowed")
    kinds = values.get("tokenizer.ggml.token_type", np.full(len(texts), _NORMAL))
    if not isinstance(kinds, np.ndarray) or len(kinds) != len(texts):
        raise _fault("token_type", kinds, f"{len(texts)} numbers are allowed")
    ids = {name: _id(values, name, len(texts)) for name in ("bos", "eos", "padding", "unknown")}
    # The turn's end, where a file tells it from the text's.
    end = _id(values, "eot", len(texts))
    end = ids["eos"] if end is None else end
    if end is None:
        raise _fault("eos_token_id", None, "the token that ends an answer has to be named")
    names = {"bos": "bos_token", "eos": "eos_token", "padding": "pad_token", "unknown": "unk_token"}
    starts = values.get("tokenizer.ggml.add_bos_token", model == "llama" or pre in STARTS_WITH_BOS)
    return Tokens(
        model=model,
        pre=pre,
        texts=texts,
        kinds=kinds.tolist(),
        special={
            name: "" if (token := ids[short]) is None else texts[token]
            for short, name in names.items()
        },
        eos_token_id=end,
        starts_with_bos=bool(starts) and ids["bos"] is not None,
    )


def build_tokenizer(tokens: Tokens, values: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a file.

    Args:
        tokens: As `read_tokens` gave them.
        values: The metadata.

    Raises:
        InputError: Merges or scores are missing or wrong.
    """
    tokenizer = (
        _merging_bytes(tokens, values) if tokens.model == "gpt2" else _scored(tokens, values)
    )
    added = [
        AddedToken(text, special=kind in (_CONTROL, _UNKNOWN), normalized=False)
        for text, kind in zip(tokens.texts, tokens.kinds, strict=True)
        if kind in (_CONTROL, _UNKNOWN, _OWN) and text
    ]
    tokenizer.add_tokens(added)
    if tokenizer.get_vocab_size() != len(tokens.texts):
        raise _fault("tokens", tokens.texts, "tokens that can be told apart are allowed")
    return tokenizer


def _merging_bytes(tokens: Tokens, values: Mapping[str, Any]) -> Tokenizer:
    vocabulary = {text: token for token, text in enumerate(tokens.texts)}
    merges = values.get("tokenizer.ggml.merges")
    if not isinstance(merges, list) or not all(isinstance(merge, str) for merge in merges):
        raise _fault("merges", merges, "a list of texts is allowed")
    pairs = []
    for merge in merges:
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= vocabulary.keys():
            raise _fault("merges", merge, "two tokens that make a third are allowed")
        pairs.append((left, right))
    ignores = tokens.pre in IGNORES_MERGES
    tokenizer = Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=ignores))
    tokenizer.pre_tokenizer = pre_tokenizer(tokens.pre)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _scored(tokens: Tokens, values: Mapping[str, Any]) -> Tokenizer:
    scores = values.get("tokenizer.ggml.scores")
    if not isinstance(scores, np.ndarray) or len(scores) != len(tokens.texts):
        raise _fault("scores", scores, f"{len(tokens.texts)} numbers are allowed")
    if not {f"<0x{byte:02X}>" for byte in range(256)} <= set(tokens.texts):
        raise _fault("tokens", tokens.texts, "every byte has to be a token")
    vocabulary = {text: token for token, text in enumerate(tokens.texts)}
    unknown = tokens.special["unk_token"] or None
    merges = list(_merges(tokens, vocabulary, scores))
    tokenizer = Tokenizer(
        models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)
    )
    prefix = bool(values.get("tokenizer.ggml.add_space_prefix", True))
    spaces = [normalizers.Replace(" ", _SPACE)]
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend(_SPACE), *spaces] if prefix else spaces
    )
    steps = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if prefix else steps)
    return tokenizer


def _merges(
    tokens: Tokens, vocabulary: Mapping[str, int], scores: NDArray[Any]
) -> Iterator[tuple[str, str]]:
    """Pairs of tokens that make a token, the best first.

    SentencePiece joins, of all neighbours that make a token, those that make the one with the
    highest score.
    """
    plain = [
        (text, token)
        for token, (text, kind) in enumerate(zip(tokens.texts, tokens.kinds, strict=True))
        if kind in (_NORMAL, _OWN, _UNUSED)
    ]
    plain.sort(key=lambda pair: -scores[pair[1]])
    for text, _ in plain:
        halves = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        yield from sorted(
            (pair for pair in halves if pair[0] in vocabulary and pair[1] in vocabulary),
            key=lambda pair: (vocabulary[pair[0]], vocabulary[pair[1]]),
        )


def _id(values: Mapping[str, Any], name: str, n_tokens: int) -> int | None:
    found = values.get(f"tokenizer.ggml.{name}_token_id")
    if found is None:
        return None
    if not isinstance(found, int) or not 0 <= found < n_tokens:
        raise _fault(f"{name}_token_id", found, f"0 to {n_tokens - 1} are allowed")
    return found


def _fault(name: str, found: Any, allowed: str) -> InputError:
    return InputError(
        f"tokenizer.ggml.{name} of the GGUF file: found {shorten(found)} ({allowed})", field="lm"
    )
