"""Our backend of Outlines: it keeps what it promises and refuses the rest by name."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from outlines.backends.base import BaseBackend
from outlines.processors import OutlinesLogitsProcessor

from structq.decoding import TextRules
from structq.decoding.processor import ForeignProcessor, MatcherProcessor, StructqBackend
from structq.errors import LMError, SchemaError
from tests.decoding.walks import EOS, TOKENIZERS, grammars, score_schema

PROMPT = [7, 8, 9]
EVERY = pytest.mark.parametrize("name", TOKENIZERS)


def generate(processor: MatcherProcessor, name: str, seed: int = 0, free: int = 12) -> str:
    """What the loop of a runtime makes of random logits; the end is favoured after a while."""
    vocabulary = grammars(name).vocabulary
    rng, said = np.random.default_rng(seed), list(PROMPT)
    while len(said) < 400:
        logits = rng.normal(size=(1, vocabulary.n_vocab)).astype(np.float32)
        if len(said) > free:
            logits[0, EOS] += 50
        token = int(np.asarray(processor(np.array([said]), logits))[0].argmax())
        if token == EOS:
            break
        said.append(token)
    return processor.finish(vocabulary.decode(said[len(PROMPT) :]).decode())[0]


def backend(name: str, *, spaced: bool = True) -> StructqBackend:
    return StructqBackend(grammars(name), spaced=spaced)


def test_it_is_a_backend_of_outlines_and_makes_its_processors() -> None:
    room = backend("single-digits")
    assert isinstance(room, BaseBackend)
    made = room.get_json_schema_logits_processor(json.dumps(score_schema(1, [1, 2])))
    assert isinstance(made, OutlinesLogitsProcessor)


@EVERY
@pytest.mark.parametrize("spaced", [True, False])
def test_a_schema_is_kept_whatever_the_logits(name: str, spaced: bool) -> None:
    schema = json.dumps(score_schema(3, [1, 2, 10]))
    for seed in range(10):
        text = generate(
            backend(name, spaced=spaced).get_json_schema_logits_processor(schema), name, seed
        )
        value = json.loads(text)
        assert set(value["scores"]) <= {1, 2, 10}
        assert len(value["scores"]) == 3
        assert text == json.dumps(value, separators=None if spaced else (",", ":"))


@EVERY
def test_a_regex_is_matched_as_a_whole(name: str) -> None:
    for seed in range(10):
        text = generate(backend(name).get_regex_logits_processor("(ab|[0-9]{2})+!"), name, seed)
        assert re.fullmatch("(ab|[0-9]{2})+!", text)


@EVERY
def test_a_grammar_in_larks_notation_is_kept(name: str) -> None:
    grammar = 'start: "(" start ")" | "x"'
    for seed in range(10):
        text = generate(backend(name).get_cfg_logits_processor(grammar), name, seed)
        assert re.fullmatch(r"\(*x\)*", text)
        assert text.count("(") == text.count(")")


@EVERY
def test_a_text_keeps_its_rules(name: str) -> None:
    rules = TextRules(literals=("$$x$$",), max_words=40)
    for seed in range(5):
        text = generate(backend(name).get_text_logits_processor(rules), name, seed, free=30)
        assert "$$x$$" in text


@pytest.mark.parametrize(
    ("make", "keyword"),
    [
        (
            lambda b: b.get_json_schema_logits_processor('{"type": "array", "uniqueItems": true}'),
            "uniqueItems",
        ),
        (lambda b: b.get_json_schema_logits_processor("{", None), "schema"),
        (
            lambda b: b.get_json_schema_logits_processor('{"enum": [1, 2]}', "[ ]*"),
            "whitespace_pattern",
        ),
        (lambda b: b.get_regex_logits_processor("(?<=a)b"), "regex"),
        (lambda b: b.get_regex_logits_processor("("), "regex"),
        (lambda b: b.get_cfg_logits_processor("start: nowhere"), "grammar"),
    ],
    ids=["keyword", "json", "space", "look-behind", "bracket", "rule"],
)
def test_what_cannot_be_guaranteed_is_refused_by_name(make, keyword: str) -> None:
    with pytest.raises(SchemaError) as error:
        make(backend("single-digits"))
    assert error.value.keyword == keyword


def test_a_token_against_the_schema_is_an_error() -> None:
    made = backend("single-digits").get_json_schema_logits_processor('{"enum": [1, 2]}')
    logits = np.zeros((1, grammars("single-digits").vocabulary.n_vocab), np.float32)
    made(np.array([PROMPT]), logits.copy())
    other = grammars("single-digits").vocabulary.tokenize("x")
    with pytest.raises(LMError, match="does not allow"):
        made(np.array([[*PROMPT, *other]]), logits.copy())


def test_what_is_forced_follows_from_the_tokens_so_far() -> None:
    vocabulary = grammars("single-digits").vocabulary
    made = backend("single-digits").get_json_schema_logits_processor(
        json.dumps(score_schema(1, [1, 2]))
    )
    said = np.array(PROMPT)
    forced = made.forced(said)
    assert vocabulary.decode(forced).decode() == '{"scores": ['
    said = np.array([*PROMPT, *forced, *vocabulary.tokenize("2")])
    assert not made.is_complete(said)
    said = np.array([*said, *made.forced(said)])
    assert made.is_complete(said)


def test_a_foreign_processor_says_nothing_but_its_masks() -> None:
    class OnlyFive(OutlinesLogitsProcessor):
        def process_logits(self, input_ids, logits):
            masked = np.full_like(logits, -np.inf)
            masked[:, 5] = 0
            return masked

    row = ForeignProcessor(OnlyFive("numpy"))
    assert np.flatnonzero(np.isfinite(row(np.array([PROMPT]), np.zeros((1, 9), np.float32)))) == [5]
    assert row.forced(np.array(PROMPT)) == []
    assert not row.is_complete(np.array(PROMPT))
    assert row.finish("x") == ("x", None)
