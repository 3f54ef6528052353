"""Whatever the logits and however hostile the literals: the answer holds them, in order."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structq.decoding import LiteralMatcher, Literals
from structq.errors import LMError, SchemaError
from tests.decoding.walks import EOS, TOKENIZERS, closed, grammars, is_compact, read_strictly, walk

EVERY = pytest.mark.parametrize("name", TOKENIZERS)
EVOLVED = closed(evolved_response={"type": "string"})
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


def matcher(name: str, *texts: str, anchored: bool = False) -> LiteralMatcher:
    wanted = Literals(field="evolved_response", texts=texts, anchored=anchored)
    return grammars(name).literal_matcher(EVOLVED, wanted)


def say(name: str, *texts: str, anchored: bool = False, seed: int = 0, free: int = 30) -> str:
    """An evolved response from random logits."""
    room = grammars(name)
    tokens = walk(
        matcher(name, *texts, anchored=anchored),
        room.vocabulary.tokens,
        np.random.default_rng(seed),
        free_tokens=free,
        limit=60_000,
        use_forced=True,
    )
    text = room.vocabulary.decode(tokens)
    value = read_strictly(text)
    assert is_compact(text.decode())
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


def accepts(name: str, matcher: LiteralMatcher, value: str) -> bool:
    text = json.dumps({"evolved_response": value}, ensure_ascii=False, separators=(",", ":"))
    try:
        for token in [*grammars(name).vocabulary.tokenize(text), EOS]:
            matcher.consume(token)
    except LMError:
        return False
    return True


@EVERY
@given(texts=st.lists(TEXT, max_size=3), seed=st.integers(0, 2**32), free=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_literals_are_there_in_order(name: str, texts: list[str], seed: int, free: int) -> None:
    assert in_order(say(name, *texts, seed=seed, free=free), texts)


@EVERY
@given(text=TEXT, seed=st.integers(0, 2**32), free=st.integers(0, 40))
@settings(max_examples=40, deadline=None)
def test_an_anchored_literal_is_the_beginning(name: str, text: str, seed: int, free: int) -> None:
    assert say(name, text, anchored=True, seed=seed, free=free).startswith(text)


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
    ],
)
def test_other_schemas_are_refused(schema: dict) -> None:
    with pytest.raises(SchemaError, match="literals") as error:
        grammars("single-digits").literal_matcher(
            schema, Literals(field="evolved_response", texts=("x",))
        )
    assert error.value.keyword == "literals"


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(SchemaError, match="surrogate"):
        matcher("single-digits", "\ud800")


def test_the_same_literal_twice_stands_there_twice() -> None:
    found = say("single-digits", FENCE, FENCE)
    places = [i for i in range(len(found)) if found.startswith(FENCE, i)]
    assert len(places) >= 2
    assert all(b - a >= len(FENCE) for a, b in pairwise(places))
