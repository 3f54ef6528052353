"""Whatever the logits and however hostile the literals: the text keeps its rules."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structq.decoding import TextMatcher, TextRules
from structq.errors import LMError, SchemaError
from structq.texts import content_words, n_words, repeated_from
from tests.decoding.walks import EOS, TOKENIZERS, closed, grammars, has_spaces, read_strictly, walk

EVERY = pytest.mark.parametrize("name", TOKENIZERS)
FORMS = pytest.mark.parametrize("form", ["text", "spaced", "compact"])
FENCE = "```python\nprint('{{ x }}')\n```"
HOSTILE = [
    '````md\n```py\nx = "\\n"\n```\n````',
    '"}',
    '\\"}',
    "\\",
    "\\\\[x\\]",
    "n\\n\\\n",
    "{{ 7 * 7 }}",
    '{"evolved_response":"x"}',
    '|a|b|\n|-|-|\n|"|\\||',
    "$$\\frac{a}{b}$$",
    "\u2028\u2029\u0085\ufeff",
    "\u0000\x01\x1f\x7f\x80",
    "e\u0301🙂🇩🇪日本語",
    "<|end|>",
    "\r\n\t\b\f",
    "/FREE/",
    "start: ANSWER",
    "%ignore",
    "y" * 2000,
]
TEXT = st.lists(
    st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]))),
    min_size=1,
    max_size=4,
).map("".join)


def matcher(name: str, *texts: str, form: str = "compact", **rules: Any) -> TextMatcher:
    field = None if form == "text" else "evolved_response"
    wanted = TextRules(field=field, literals=texts, **rules)
    return grammars(name).text_matcher(wanted, spaced=form == "spaced")


def say(
    name: str, *texts: str, form: str = "compact", seed: int = 0, free: int = 30, **rules: Any
) -> str:
    """A text from random logits."""
    vocabulary = grammars(name).vocabulary
    row = matcher(name, *texts, form=form, **rules)
    rng = np.random.default_rng(seed)
    tokens = walk(row, vocabulary.tokens, rng, free_tokens=free, limit=60_000, use_forced=True)
    said, _ = row.finish(vocabulary.decode(tokens).decode())
    if form == "text":
        return said
    assert has_spaces(said, spaced=form == "spaced")
    value = read_strictly(said.encode())
    assert list(value) == ["evolved_response"]
    return value["evolved_response"]


def in_order(text: str, literals: tuple[str, ...] | list[str]) -> bool:
    end = 0
    for literal in literals:
        at = text.find(literal, end)
        if at < 0:
            return False
        end = at + len(literal)
    return True


def accepts(name: str, matcher: TextMatcher, value: str) -> bool:
    text = json.dumps({"evolved_response": value}, ensure_ascii=False, separators=(",", ":"))
    try:
        for token in [*grammars(name).vocabulary.tokenize(text), EOS]:
            matcher.consume(token)
    except LMError:
        return False
    return True


@EVERY
@FORMS
@given(texts=st.lists(TEXT, max_size=3), seed=st.integers(0, 2**32), free=st.integers(0, 40))
@settings(max_examples=12, deadline=None)
def test_literals_are_there_in_order(
    name: str, form: str, texts: list[str], seed: int, free: int
) -> None:
    assert in_order(say(name, *texts, form=form, seed=seed, free=free), texts)


@EVERY
@FORMS
@given(text=TEXT, seed=st.integers(0, 2**32), free=st.integers(0, 40))
@settings(max_examples=12, deadline=None)
def test_an_anchored_literal_is_the_beginning(
    name: str, form: str, text: str, seed: int, free: int
) -> None:
    assert say(name, text, form=form, anchored=True, seed=seed, free=free).startswith(text)


@EVERY
def test_more_literals_may_follow_an_anchored_one(name: str) -> None:
    found = say(name, "First.", FENCE, "$$x$$", anchored=True)
    assert found.startswith("First.")
    assert in_order(found, ["First.", FENCE, "$$x$$"])


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        (f"See:\n{FENCE}\nand $$x$$", True),
        (f"{FENCE}$$x$$", True),
        (f"$$x$$ then {FENCE}", False),
        (FENCE, False),
        (f"{FENCE[:-1]} $$x$$", False),
        ("", False),
        (f"{FENCE[:-3]}{FENCE} $$ $$x$$", True),
    ],
)
def test_the_grammar_takes_the_literals_in_their_order_alone(value: str, taken: bool) -> None:
    assert accepts("single-digits", matcher("single-digits", FENCE, "$$x$$"), value) is taken


class Row:
    """A row of a model that always wants one token: what it has said so far."""

    def __init__(self, *texts: str) -> None:
        self.matcher = matcher("single-digits", *texts)
        self.vocabulary = grammars("single-digits").vocabulary
        self.said = ""
        self.take(self.matcher.forced())
        self.said = ""

    def take(self, tokens: list[int]) -> str:
        for token in tokens:
            self.matcher.consume(token)
        self.said += self.vocabulary.decode(tokens).decode()
        return self.said

    def says(self, text: str) -> str:
        """It says the text; returns what is forced then."""
        self.take(self.vocabulary.tokenize(text))
        return self.vocabulary.decode(self.matcher.forced()).decode()

    def wants(self, piece: bytes) -> str:
        """It wants one token; returns what is said once nothing is forced."""
        self.take(self.matcher.forced())
        logits = np.zeros(self.vocabulary.n_vocab, dtype=np.float32)
        logits[self.vocabulary.tokens.index(piece)] = 9
        self.matcher.apply(logits)
        self.take([int(np.argmax(logits))])
        return self.take(self.matcher.forced())


ESCAPED = FENCE.replace("\n", "\\n")


def test_a_literal_that_is_begun_is_finished_without_sampling() -> None:
    assert Row(FENCE).says("See:\\n```python\\np") == "rint('{{ x }}')\\n```"


def test_a_fence_in_the_middle_of_a_line_begins_no_literal() -> None:
    assert Row(FENCE).says("See ```python\\np") == ""


def test_a_formula_in_the_middle_of_a_line_begins_its_literal() -> None:
    assert Row("$$\\frac{a}{b}$$").says("so $$\\\\frac{a}{") == "b}$$"


def test_an_end_that_comes_too_early_becomes_the_literal_and_then_the_end() -> None:
    row = Row(FENCE)
    row.says("See")
    assert row.wants(b'"') == f'See\\n\\n{ESCAPED}"}}'
    assert row.matcher.is_complete


def test_more_text_may_stand_between_two_literals() -> None:
    row = Row(FENCE, "$$x$$")
    assert row.wants(b'"') == f"{ESCAPED}\\n"
    assert row.wants(b"and") == f"{ESCAPED}\\nand"
    assert row.wants(b'"') == f'{ESCAPED}\\nand\\n\\n$$x$$"}}'


def test_text_goes_on_in_a_new_line_behind_a_fence() -> None:
    row = Row(FENCE)
    row.says("```python\\np")
    assert row.wants(b"and") == f"{ESCAPED}\\n"
    assert row.wants(b"and") == f"{ESCAPED}\\nand"


def test_a_text_may_end_right_behind_a_fence() -> None:
    row = Row(FENCE)
    row.says("```python\\np")
    assert row.wants(b'"') == f'{ESCAPED}"}}'


def test_escapes_do_not_pass_for_literals() -> None:
    # The bytes of the escaped literal \n stand inside of \\n, a backslash and a letter.
    assert not accepts("single-digits", matcher("single-digits", "\nx"), "\\nx")
    assert accepts("single-digits", matcher("single-digits", "\nx"), "\\nx\nx")


@pytest.mark.parametrize(
    "schema",
    [
        closed(evolved_response={"type": "string", "maxLength": 3}),
        closed(evolved_response={"type": "string"}, other={"type": "string"}),
        closed(other={"type": "string"}),
        {"type": "string"},
        None,
    ],
)
def test_other_schemas_are_refused(schema: dict) -> None:
    with pytest.raises(SchemaError, match="one text, 'evolved_response'") as error:
        TextRules(field="evolved_response").check(schema)
    assert error.value.keyword == "text"


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(SchemaError, match="surrogate"):
        matcher("single-digits", "\ud800")


def test_the_same_literal_twice_stands_there_twice() -> None:
    found = say("single-digits", FENCE, FENCE)
    places = [i for i in range(len(found)) if found.startswith(FENCE, i)]
    assert len(places) >= 2
    assert all(b - a >= len(FENCE) for a, b in pairwise(places))


@EVERY
@FORMS
@given(
    low=st.integers(0, 12),
    more=st.integers(0, 8),
    text=st.sampled_from(["", "Two words."]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=12, deadline=None)
def test_a_text_has_as_many_words_as_it_must_and_may_have(
    name: str, form: str, low: int, more: int, text: str, seed: int
) -> None:
    low, high = low + n_words(text), low + n_words(text) + more
    rules = {"anchored": bool(text), "min_words": low, "max_words": high}
    found = say(name, *[text] * bool(text), form=form, seed=seed, free=80, **rules)
    assert low <= n_words(found) <= high
    assert found.startswith(text)


@EVERY
@FORMS
@given(most=st.integers(0, 60), seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_a_text_has_no_more_characters_than_it_may_have(
    name: str, form: str, most: int, seed: int
) -> None:
    assert len(say(name, form=form, seed=seed, free=60, max_chars=most)) <= most


@EVERY
@given(seed=st.integers(0, 2**32), free=st.integers(0, 60))
@settings(max_examples=12, deadline=None)
def test_plain_text_is_unicode_and_has_no_special_token(name: str, seed: int, free: int) -> None:
    found = say(name, form="text", seed=seed, free=free)
    assert not any(mark in found for mark in ["<|end|>", "<|user|>", "\ufffd", "\x00"])
    assert found.encode().decode() == found


def speaks(text: str, form: str, **rules: Any) -> tuple[TextMatcher, str]:
    """What a row has said that says a text, until its matcher ends it."""
    vocabulary = grammars("merged-digits").vocabulary
    row = matcher("merged-digits", form=form, **rules)
    said = list(row.forced())
    for token in said:
        row.consume(token)
    spelled = text if form == "text" else json.dumps(text, ensure_ascii=False)[1:-1]
    for token in vocabulary.tokenize(spelled):
        if row.is_complete:
            break
        row.consume(token)
        said.append(token)
    return row, vocabulary.decode(said).decode("utf-8", "ignore")


def value_of(answer: str, form: str) -> str:
    return answer if form == "text" else read_strictly(answer.encode())["evolved_response"]


@FORMS
@pytest.mark.parametrize(
    ("text", "kept", "cut"),
    [
        (
            "Put it in the shade. Give it some water. Put it in the shade. And more",
            "Put it in the shade. Give it some water.",
            "Put it in the shade.",
        ),
        ("One, two, one, two, one, two, one, two, one, two, one, two,", "One, two,", None),
        (
            "把它放在阴凉处。给它浇水。把它放在阴凉处。还有",
            "把它放在阴凉处。给它浇水。",
            "把它放在阴凉处。",
        ),
    ],
    ids=["sentence", "cycle", "chinese"],
)
def test_a_text_ends_where_it_begins_to_repeat_itself(
    form: str, text: str, kept: str, cut: str | None
) -> None:
    row, said = speaks(text, form, guard=True)
    assert row.is_complete
    answer, rest = row.finish(said)
    assert value_of(answer, form).casefold().startswith(kept.casefold()[:8])
    assert repeated_from(value_of(answer, form)) is None
    assert cut is None or (value_of(answer, form), rest) == (kept, (cut, "repetition"))


@FORMS
@pytest.mark.parametrize(
    "text",
    [
        "Yes. No. Yes. No. Yes. No.",
        "```\nx = x + 1 and more\nx = x + 1 and more\n```\n",
        "Row, row, row your boat gently. Row, row, row your boat gently.",
    ],
    ids=["short", "code", "known"],
)
def test_what_may_be_repeated_ends_no_text(form: str, text: str) -> None:
    row, _ = speaks(text, form, guard=True, known=text if "Row" in text else "")
    assert not row.is_complete


@FORMS
def test_a_text_that_is_too_long_ends_with_its_last_whole_sentence(form: str) -> None:
    text = "First a short one. Then another that is a little longer than it."
    row, said = speaks(text, form, max_words=9)
    assert row.is_complete
    answer, cut = row.finish(said)
    assert value_of(answer, form) == "First a short one."
    assert cut.text.startswith("Then another that is a")
    assert cut.reason == "length"


@FORMS
def test_literals_that_are_missing_come_behind_a_text_that_is_too_long(form: str) -> None:
    row = matcher("merged-digits", FENCE, form=form, max_words=3)
    for token in [*row.forced(), *grammars("merged-digits").vocabulary.tokenize("a b. c d e")]:
        if not row.is_complete:
            row.consume(token)
    assert value_of(row.finish("")[0], form) == f"a b.\n\n{FENCE}"


@EVERY
@FORMS
@given(least=st.integers(1, 12), seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_a_text_brings_as_many_new_words_as_it_must(
    name: str, form: str, least: int, seed: int
) -> None:
    known = "the response score evolved Because water plant"
    rules = {"min_new_words": least, "known": known}
    found = say(name, form=form, seed=seed, free=80, **rules)
    assert len(set(content_words(found)) - set(content_words(known))) >= least


def test_a_lead_stands_behind_an_anchored_literal() -> None:
    found = say("merged-digits", "First.", form="text", anchored=True, lead="\n\n", min_words=3)
    assert found.startswith("First.\n\n")


@FORMS
def test_words_are_counted_as_they_come(form: str) -> None:
    text = "Don't stop: 你好 at 3.5 miles, a naïve thing; then 12 more words and an end."
    most = n_words(text)
    for limit in range(1, most + 2):
        row, said = speaks(text, form, max_words=limit)
        assert row.is_complete == (limit < most)
        assert limit >= most or n_words(value_of(row.finish(said)[0], form)) <= limit


@FORMS
def test_a_text_ends_where_a_fence_closes_nothing(form: str) -> None:
    row, said = speaks("y = f(2)\n```\nThis calls f.", form, guard=True, known="x = f(1)")
    assert row.is_complete
    answer, rest = row.finish(said)
    assert rest is not None
    assert (value_of(answer, form), rest.text[:3], rest.reason) == ("y = f(2)", "```", "fence")


@FORMS
@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("y = f(2)\n```\nThis calls f", {"known": "```\nx = f(1)"}),
        ("See:\n```\ny = f(2)\n```\nThis calls f", {"known": "x"}),
        ("y = f(2)\n```\nThis calls f", {"known": "x", "min_words": 5}),
    ],
    ids=["the original has one", "a block", "too short to end"],
)
def test_other_fences_end_no_text(form: str, text: str, rules: dict[str, Any]) -> None:
    row, said = speaks(text, form, guard=True, **rules)
    assert row.finish(said)[1] is None
