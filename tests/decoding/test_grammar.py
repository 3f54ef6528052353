from __future__ import annotations

import copy
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structq.decoding import Grammars, SlotPlan
from structq.errors import LMError, SchemaError
from tests.decoding.walks import (
    EOS,
    TOKENIZERS,
    closed,
    dumped,
    grammars,
    has_spaces,
    read_strictly,
    score_schema,
    walk,
)

EVERY = pytest.mark.parametrize("name", TOKENIZERS)
SPACED = pytest.mark.parametrize("spaced", [True, False])
EVOLVED = closed(evolved_response={"type": "string"})


def _pieces(name: str, tokens: list[int]) -> list[bytes]:
    return [grammars(name).vocabulary.tokens[token] for token in tokens]


def _allowed(name: str, schema: dict[str, Any], text: str) -> set[bytes]:
    vocabulary = grammars(name).vocabulary
    matcher = grammars(name).matcher(schema, spaced=False)
    for token in vocabulary.tokenize(text):
        matcher.consume(token)
    return {vocabulary.tokens[token] for token in np.flatnonzero(matcher.allowed)}


def _accepts(name: str, schema: dict[str, Any], text: str, *, spaced: bool = False) -> bool:
    """Whether the grammar takes the text as a whole answer."""
    matcher = grammars(name).matcher(schema, spaced=spaced)
    try:
        for token in [*grammars(name).vocabulary.tokenize(text), EOS]:
            matcher.consume(token)
    except LMError:
        return False
    return True


@EVERY
@given(seed=st.integers(0, 2**32), n_scores=st.integers(1, 16), forced=st.booleans())
@SPACED
@settings(max_examples=25, deadline=None)
def test_scores_from_random_logits_are_valid(
    name: str, seed: int, n_scores: int, forced: bool, spaced: bool
) -> None:
    labels = list(range(1, n_scores + 2))
    room = grammars(name)
    matcher = room.matcher(score_schema(n_scores, labels), spaced=spaced)
    tokens = walk(matcher, room.vocabulary.tokens, np.random.default_rng(seed), use_forced=forced)
    text = room.vocabulary.decode(tokens)
    value = read_strictly(text)
    assert list(value) == ["scores"]
    assert len(value["scores"]) == n_scores
    assert set(value["scores"]) <= set(labels)
    assert text.decode() == dumped(value, spaced=spaced)


@EVERY
@given(seed=st.integers(0, 2**32), free=st.integers(0, 60), forced=st.booleans())
@SPACED
@settings(max_examples=25, deadline=None)
def test_texts_from_random_logits_are_valid(
    name: str, seed: int, free: int, forced: bool, spaced: bool
) -> None:
    room = grammars(name)
    rng = np.random.default_rng(seed)
    matcher = room.matcher(EVOLVED, spaced=spaced)
    tokens = walk(matcher, room.vocabulary.tokens, rng, free_tokens=free, use_forced=forced)
    text = room.vocabulary.decode(tokens)
    value = read_strictly(text)
    assert list(value) == ["evolved_response"]
    assert isinstance(value["evolved_response"], str)
    assert has_spaces(text.decode(), spaced=spaced)


@EVERY
def test_specials_are_never_allowed_inside_an_answer(name: str) -> None:
    room = grammars(name)
    specials = set(room.vocabulary.special_token_ids)
    matcher = room.matcher(EVOLVED, spaced=False)
    for token in room.vocabulary.tokenize('{"evolved_response":"some text'):
        assert not specials & set(np.flatnonzero(matcher.allowed).tolist())
        matcher.consume(token)
    assert not specials & set(np.flatnonzero(matcher.allowed).tolist())


@EVERY
def test_the_end_is_allowed_when_the_answer_is_complete_and_alone_then(name: str) -> None:
    room = grammars(name)
    matcher = room.matcher(score_schema(1, [1, 2]), spaced=False)
    for token in room.vocabulary.tokenize('{"scores":[2]}'):
        assert not matcher.is_complete
        assert not matcher.allowed[EOS]
        matcher.consume(token)
    assert matcher.is_complete
    assert matcher.forced() == []
    assert np.flatnonzero(matcher.allowed).tolist() == [EOS]
    matcher.consume(EOS)


def test_an_answer_that_may_go_on_is_not_complete() -> None:
    room = grammars("single-digits")
    matcher = room.matcher({"enum": [1, 10]}, spaced=False)
    matcher.consume(room.vocabulary.tokenize("1")[0])
    assert matcher.allowed[EOS]
    assert not matcher.is_complete


@EVERY
@pytest.mark.parametrize("label", [1, 9, 10, 12, 100])
def test_labels_of_several_digits_can_be_chosen(name: str, label: int) -> None:
    schema = score_schema(2, [1, 9, 10, 12, 100])
    assert _accepts(name, schema, f'{{"scores":[{label},{label}]}}')


@EVERY
@pytest.mark.parametrize(
    "text",
    [
        '{"scores":[1,3]}',
        '{"scores":[1]}',
        '{"scores":[1,2,1]}',
        '{"scores":[1, 2]}',
        '{"scores": [1,2]}',
        '{"scores":[1,2]}\n',
        '{"scores":[01,2]}',
        '{"scores":[1,2],"more":1}',
    ],
)
def test_anything_but_the_compact_form_is_refused(name: str, text: str) -> None:
    assert not _accepts(name, score_schema(2, [1, 2]), text)


@EVERY
@pytest.mark.parametrize(
    ("inside", "valid"),
    [
        ("plain", True),
        ("日本語 🙂", True),
        (r"a\nb\t\r\"\\", True),
        (r"\ud800", False),
        (r"\ud83d\ude00", False),
        ("\x01", False),
        ("a\nb", False),
        (r"\x", False),
    ],
)
def test_what_a_text_may_hold(name: str, inside: str, valid: bool) -> None:
    assert _accepts(name, EVOLVED, f'{{"evolved_response":"{inside}"}}') is valid


@EVERY
def test_no_mask_lets_bytes_through_that_are_not_utf8(name: str) -> None:
    room = grammars(name)
    for lead, bad in [(b"\xe6", b"a"), (b"\xf0\x9f", b"\xc3"), (b"\xed", b"\xa0"), (b"", b"\x80")]:
        matcher = room.matcher(EVOLVED, spaced=False)
        head = room.vocabulary.tokenize('{"evolved_response":"')
        pieces = [room.vocabulary.tokens.index(bytes([byte])) for byte in lead]
        for token in head + pieces:
            matcher.consume(token)
        assert bad not in {room.vocabulary.tokens[at] for at in np.flatnonzero(matcher.allowed)}


def test_latex_has_to_be_escaped_and_not_read_as_a_control_character() -> None:
    after_backslash = _allowed("single-digits", EVOLVED, '{"evolved_response":"\\')
    assert b"\\" in after_backslash
    assert not {b"b", b"f", b"u"} & after_backslash


def test_a_control_character_that_the_schema_names_can_be_written() -> None:
    assert _accepts("single-digits", closed(a={"const": "\f\x01"}), r'{"a":"\f\u0001"}')


@EVERY
def test_forced_runs_never_hold_special_tokens(name: str) -> None:
    room = grammars(name)
    schema = closed(a={"const": "x<|end|>y<|user|>"})
    matcher = room.matcher(schema, spaced=False)
    forced = matcher.forced()
    assert not set(forced) & set(room.vocabulary.special_token_ids)
    assert room.vocabulary.decode(forced) == b'{"a":"x<|end|>y<|user|>"}'
    for token in forced:
        matcher.consume(token)
    assert matcher.is_complete


@EVERY
def test_forced_tokens_are_those_of_the_whole_text(name: str) -> None:
    room = grammars(name)
    matcher = room.matcher(score_schema(2, [1, 2, 10]), spaced=False)
    whole = room.vocabulary.tokenize('{"scores":[10,2]}')
    taken: list[int] = []
    n_chosen = 0
    while not matcher.is_complete:
        new = matcher.forced()
        if not new:
            new, n_chosen = [whole[len(taken)]], n_chosen + 1
        for token in new:
            matcher.consume(token)
        taken += new
    assert taken == whole
    assert n_chosen < len(whole)


@EVERY
@given(text=st.text(st.sampled_from(list('S aeBplantwd1,":\\n日🙂')), max_size=12))
@settings(max_examples=40, deadline=None)
def test_a_forced_run_begins_the_canonical_tokens_of_any_answer(name: str, text: str) -> None:
    room = grammars(name)
    forced = room.matcher(EVOLVED, spaced=False).forced()
    answer = json.dumps({"evolved_response": text}, ensure_ascii=False, separators=(",", ":"))
    assert room.vocabulary.tokenize(answer)[: len(forced)] == forced


@EVERY
def test_a_forced_run_does_not_end_in_a_space_that_a_longer_token_covers(name: str) -> None:
    room = grammars(name)
    schema = closed(a={"type": "string", "pattern": "^Because [a-z ]+$"})
    matcher = room.matcher(schema, spaced=False)
    forced = matcher.forced()
    assert room.vocabulary.decode(forced) == b'{"a":"Because'
    assert b" plant" in room.vocabulary.tokens
    for token in forced:
        matcher.consume(token)
    assert b" plant" in {room.vocabulary.tokens[at] for at in np.flatnonzero(matcher.allowed)}
    whole = room.vocabulary.tokenize('{"a":"Because plant"}')
    for token in whole[len(forced) :]:
        matcher.consume(token)
    assert matcher.is_complete


@SPACED
def test_a_slot_plan_and_the_grammar_agree_on_every_answer(spaced: bool) -> None:
    schema = closed(ok={"type": "boolean"}, level={"enum": ["low", "hé/"]}, n={"enum": [1, 10]})
    plan = SlotPlan.of(schema, spaced=spaced)
    assert plan is not None
    for choice in np.ndindex(2, 2, 2):
        assert _accepts("single-digits", schema, plan.render(choice), spaced=spaced)


def test_apply_masks_logits_in_place_and_leaves_the_rest() -> None:
    room = grammars("single-digits")
    matcher = room.matcher(score_schema(1, [1, 2]), spaced=False)
    logits = np.arange(room.vocabulary.n_vocab, dtype=np.float32)
    before = logits.copy()
    matcher.apply(logits)
    kept = logits > -np.inf
    assert kept.tolist() == matcher.allowed.tolist()
    assert logits[kept].tolist() == before[kept].tolist()


def test_a_token_that_is_not_allowed_is_an_error() -> None:
    room = grammars("single-digits")
    matcher = room.matcher(EVOLVED, spaced=False)
    with pytest.raises(LMError, match="does not allow token 4 here"):
        matcher.consume(EOS)


def test_a_grammar_that_gives_up_never_ends_an_answer_in_silence() -> None:
    room = grammars("single-digits")
    matcher = room.matcher(EVOLVED, spaced=False)
    with pytest.raises(LMError):
        matcher.consume(EOS)
    with pytest.raises(LMError, match="gave up"):
        matcher.apply(np.zeros(room.vocabulary.n_vocab, dtype=np.float32))
    assert not matcher.is_complete


def test_rows_of_one_schema_do_not_share_state() -> None:
    room = grammars("single-digits")
    first, second = room.matcher(EVOLVED, spaced=False), room.matcher(EVOLVED, spaced=False)
    first.consume(first.forced()[0])
    assert second.forced() == room.matcher(EVOLVED, spaced=False).forced()


def test_compiled_schemas_are_bounded() -> None:
    room = Grammars(TOKENIZERS["single-digits"](), eos_token_id=EOS, n_vocab=500, max_schemas=3)
    for high in range(2, 12):
        room.matcher(score_schema(1, list(range(high))), spaced=False)
    assert len(room._compiled) == 3


def test_the_schema_is_not_changed() -> None:
    schema = closed(n={"type": "number", "exclusiveMinimum": 0})
    before = copy.deepcopy(schema)
    grammars("single-digits").matcher(schema, spaced=False)
    assert schema == before


def test_threads_get_matchers_of_their_own() -> None:
    room = grammars("single-digits")

    def generate(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        schema = score_schema(1 + seed % 5, list(range(1, 3 + seed % 7)))
        tokens = walk(
            room.matcher(schema, spaced=False), room.vocabulary.tokens, rng, use_forced=True
        )
        return room.vocabulary.decode(tokens)

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(generate, range(64)))
    assert together == [generate(seed) for seed in range(64)]


def test_a_keyword_without_guarantee_is_named() -> None:
    schema = closed(tags={"type": "array", "items": {"type": "string"}, "uniqueItems": True})
    with pytest.raises(SchemaError, match="'uniqueItems' at /properties/tags") as caught:
        grammars("single-digits").matcher(schema, spaced=False)
    assert (caught.value.keyword, caught.value.pointer) == ("uniqueItems", "/properties/tags")


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), "\ud800"], ids=["set", "nan", "surrogate"])
def test_a_schema_that_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(SchemaError):
        grammars("single-digits").matcher(closed(a={"const": value}), spaced=False)


def test_a_schema_that_nothing_satisfies_is_refused() -> None:
    schema = closed(a={"type": "string", "pattern": "^b$", "minLength": 4})
    with pytest.raises(SchemaError, match="cannot be compiled"):
        grammars("single-digits").matcher(schema, spaced=False)
