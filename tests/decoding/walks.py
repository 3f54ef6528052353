"""Small tokenizers, random walks under a mask and a strict reader, for the tests of this room."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from structq.decoding import GrammarMatcher, Grammars

SPECIALS = ["<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
EOS = SPECIALS.index("<|end|>")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
SPARE = 3  # columns of logits past the tokenizer's own tokens, as padded models have them

_WORDS = [
    *["the", "response", "score", "evolved", "Because", "water", "plant", "and", "ok", ""],
    *['{"', '":"', '"}', 'scores":[', "]}", ",1", 'a":', '","', "true", "false", "null"],
    *["10", "100", "1", "0.5", "-1", "naïve", "日本語", "🙂", "\\n", '\\"', "\\\\"],
]


def _corpus(seed: int) -> list[str]:
    rng = random.Random(seed)
    lines = [" ".join(rng.choice(_WORDS) for _ in range(12)) for _ in range(600)]
    return lines + ["[1,2,3,4,5,6,7,8,9,10] 10 100 11 12"] * 60


@cache
def byte_level(*, single_digits: bool) -> Tokenizer:
    """Byte-level BPE; ``10`` and ``100`` are tokens unless digits are single."""
    tokenizer = Tokenizer(models.BPE())
    steps: list[Any] = [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    if single_digits:
        steps.insert(0, pre_tokenizers.Digits(individual_digits=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(0), trainer)
    return tokenizer


@cache
def byte_fallback() -> Tokenizer:
    """BPE as Llama 2 has it: a mark for spaces, one before a text, bytes where nothing fits."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    raw = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=[*SPECIALS, "<unk>", *raw], show_progress=False
    )
    tokenizer.train_from_iterator(_corpus(1), trainer)
    plain = json.loads(tokenizer.to_str())
    # The bytes are ordinary tokens of such a model, and not special ones.
    plain["added_tokens"] = [one for one in plain["added_tokens"] if one["content"] not in raw]
    return Tokenizer.from_str(json.dumps(plain))


TOKENIZERS = {
    "single-digits": lambda: byte_level(single_digits=True),
    "merged-digits": lambda: byte_level(single_digits=False),
    "byte-fallback": byte_fallback,
}


@cache
def grammars(name: str) -> Grammars:
    tokenizer = TOKENIZERS[name]()
    return Grammars(
        tokenizer,
        eos_token_id=EOS,
        n_vocab=tokenizer.get_vocab_size(with_added_tokens=True) + SPARE,
    )


def closed(**properties: Any) -> dict[str, Any]:
    """A closed object that requires all of its properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def score_schema(n_scores: int, labels: list[int]) -> dict[str, Any]:
    items = {"type": "array", "items": {"enum": labels}, "minItems": n_scores, "maxItems": n_scores}
    return closed(scores=items)


def walk(
    matcher: GrammarMatcher,
    tokens: tuple[bytes, ...],
    rng: np.random.Generator,
    *,
    free_tokens: int = 20,
    limit: int = 2000,
    use_forced: bool = False,
) -> list[int]:
    """Tokens drawn from random logits under the mask, without the one that ends the answer.

    After ``free_tokens`` the tokens that close something are favoured, so that the walk ends.
    """
    closers = np.array([bool(piece) and set(piece) <= set(b'"]}') for piece in tokens])
    taken: list[int] = []
    while len(taken) < limit:
        for token in matcher.forced() if use_forced else []:
            matcher.consume(token)
            taken.append(token)
        logits = rng.normal(size=len(tokens)).astype(np.float32)
        if len(taken) >= free_tokens:
            logits[closers] += 4
            logits[EOS] += 40
        matcher.apply(logits)
        token = int(np.argmax(logits))
        assert logits[token] > -np.inf
        matcher.consume(token)
        if token == EOS:
            return taken
        taken.append(token)
    raise AssertionError(f"no end after {limit} tokens")


def read_strictly(text: bytes) -> Any:
    """The value of a JSON text: strict UTF-8, finite, encodable."""

    def refuse(name: str) -> Any:
        raise ValueError(f"not JSON: {name}")

    value = json.loads(text.decode("utf-8"), parse_constant=refuse)
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    return value


def dumped(value: Any, *, spaced: bool) -> str:
    """A value as ``json.dumps`` writes it, with its spaces or without any."""
    separators = (", ", ": ") if spaced else (",", ":")
    return json.dumps(value, ensure_ascii=False, separators=separators)


def has_spaces(text: str, *, spaced: bool) -> bool:
    """Whether white space stands outside of the strings where the form has it, and only there."""
    bare = _STRING.sub('""', text)
    wanted = re.sub(r"\s", "", bare)
    if spaced:
        wanted = wanted.replace(",", ", ").replace(":", ": ")
    return bare == wanted
