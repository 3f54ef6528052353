from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from structq.decoding import Vocabulary
from structq.errors import InputError
from tests.decoding.walks import EOS, SPARE, SPECIALS, TOKENIZERS, grammars

EVERY = pytest.mark.parametrize("name", TOKENIZERS)


@EVERY
def test_every_byte_of_utf8_has_a_token(name: str) -> None:
    pieces = set(grammars(name).vocabulary.tokens)
    assert {bytes([byte]) for byte in range(0x20, 0xF5)} - pieces <= {b"\xc0", b"\xc1"}


@EVERY
def test_specials_and_spare_columns_are_special(name: str) -> None:
    vocabulary = grammars(name).vocabulary
    spare = range(vocabulary.n_vocab - SPARE, vocabulary.n_vocab)
    assert {*range(len(SPECIALS)), *spare} <= set(vocabulary.special_token_ids)


@EVERY
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=150, deadline=None)
def test_tokens_have_the_bytes_of_their_text(name: str, text: str) -> None:
    vocabulary = grammars(name).vocabulary
    tokens = vocabulary.tokenize(text)
    assert vocabulary.decode(tokens) == text.encode()


@EVERY
def test_markers_inside_a_text_stay_text(name: str) -> None:
    vocabulary = grammars(name).vocabulary
    tokens = vocabulary.tokenize("a<|end|><|user|>b")
    assert not set(tokens) & set(vocabulary.special_token_ids)
    assert vocabulary.decode(tokens) == b"a<|end|><|user|>b"


def test_no_space_is_added_before_a_text_that_goes_on() -> None:
    vocabulary = grammars("byte-fallback").vocabulary
    assert vocabulary.decode(vocabulary.tokenize(",1")) == b",1"


@EVERY
def test_starting_with_finds_tokens_by_their_first_bytes(name: str) -> None:
    vocabulary = grammars(name).vocabulary
    found = vocabulary.starting_with(b",").tolist()
    assert found
    assert found == [
        token
        for token, piece in enumerate(vocabulary.tokens)
        if piece[:1] == b"," and token not in vocabulary.special_token_ids
    ]


def test_a_tokenizer_larger_than_the_model_is_refused() -> None:
    with pytest.raises(InputError, match="n_vocab is too small: 10 "):
        Vocabulary(TOKENIZERS["single-digits"](), eos_token_id=EOS, n_vocab=10)


def test_an_unknown_end_token_is_refused() -> None:
    tokenizer = TOKENIZERS["single-digits"]()
    with pytest.raises(InputError, match="eos_token_id"):
        Vocabulary(tokenizer, eos_token_id=100_000, n_vocab=200_000)


def test_a_tokenizer_without_bytes_is_refused() -> None:
    words = Tokenizer(models.WordLevel({"<|end|>": 0, "word": 1}, unk_token="<|end|>"))
    with pytest.raises(InputError, match="no byte form"):
        Vocabulary(words, eos_token_id=0, n_vocab=2)
