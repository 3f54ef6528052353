"""The tokenizer of nano: byte-level BPE with single digits and isolated JSON punctuation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .corpus import World, compact
from .examples import evolve_prompt, score_prompt
from .noise import random_text
from .topics import CLAUSES, COMMON_WORDS, TOPICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Tokenizer

__all__ = ["SPECIAL_TOKENS", "train_tokenizer", "word_fragments"]

SPECIAL_TOKENS = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>")


def _texts(seed: int, n: int) -> Iterator[str]:
    """Prompts and answers of the training side, and every common word in its usual forms."""
    rng = np.random.default_rng(seed)
    world = World(rng, variety=True)
    for _ in range(n):
        subject = world.subject()
        responses = [world.response(subject).text for _ in range(2)]
        yield score_prompt(subject.instruction, responses, 1, 3)
        yield evolve_prompt(world.mutation()[0], subject.instruction, responses[0])
        yield compact({"evolved_response": random_text(rng)})
    for words in (COMMON_WORDS, *TOPICS.values()):
        yield from (f" {word} " * 12 for word in words)
        yield from (word.capitalize() for word in words for _ in range(4))
    for kinds in CLAUSES.values():
        yield from (clause for clauses in kinds.values() for clause in clauses)


# The escapes of a JSON string and each newline stand alone, so that text inside a JSON string has
# the same tokens as the running text that it repeats; the rest splits as GPT-2 does, digits apart.
_SPLIT = (
    r"""\\[nrtbfu"\\/]|\n|'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}"""
    r"""| ?[^\s\p{L}\p{N}\\]+|\\|[^\S\n]+(?!\S)|[^\S\n]+"""
)


def train_tokenizer(*, vocab_size: int = 4096, seed: int = 0, n: int = 3000) -> Tokenizer:
    """A byte-level BPE tokenizer trained on text of the corpus's training side.

    During training JSON punctuation is isolated, so no merge crosses the edge of a JSON value.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    words = pre_tokenizers.Split(Regex(_SPLIT), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    punctuation = pre_tokenizers.Split(Regex(r'(?<!\\)[{}\[\]":,/]'), "isolated")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, punctuation, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=2,
    )
    tokenizer.train_from_iterator(_texts(seed, n), trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    tokenizer.encode_special_tokens = True  # markers inside a text stay text
    return tokenizer


def word_fragments(tokenizer: Tokenizer) -> tuple[str, ...]:
    """What the tokens say that a word can be made of, without their leading space."""
    texts = (tokenizer.decode([i]).strip() for i in range(tokenizer.get_vocab_size()))
    return tuple(sorted({t for t in texts if t.isprintable() and " " not in t and t} - {"\ufffd"}))
