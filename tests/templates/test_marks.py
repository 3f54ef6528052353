import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structq.errors import InputError
from structq.templates import check_text, choose_mark
from structq.templates.marks import choose_heading_mark


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["plain", "[note]", "[]", "[instruction ]"], ""),
        (["see [1]"], "a"),
        (["[/response]"], "a"),
        (["[1]", "[2a]"], "b"),
        (["[instructiona]"], ""),
        (["[1]"] + [f"[1{c}]" for c in "abcdefghijklmnopqrstuvwxyz"], "aa"),
    ],
    ids=str,
)
def test_mark_is_the_first_that_no_text_uses(texts, mark):
    expected = mark if any(re.search(r"\[/?(instruction|response|\d+)\]", t) for t in texts) else ""
    assert choose_mark(texts) == expected == mark


PIECES = [f"[{s}{name}{mark}]" for s in ("", "/") for name in ("instruction", "response", "1", "23")
          for mark in ("", "a", "b", "ab")]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from([*PIECES, "x", "[", "]"]), max_size=8).map("".join)))
def test_no_text_can_hold_a_tag_of_the_prompt(texts):
    mark = choose_mark(texts)
    tag = re.compile(rf"\[/?(instruction|response|\d+){mark}\]")
    assert not any(tag.search(text) for text in texts)


NAMES = ("Instruction", "Response")


@pytest.mark.parametrize(
    ("texts", "mark"),
    [
        (["plain", "In response: yes", "Responses:", "Response 2 of 3: x", "Response"], ""),
        (["Response:"], " a"),
        (["x\n  response 2 :\ny"], " a"),
        (["Response a:"], " b"),
        (["Response 2 a: x", "INSTRUCTION b:"], " c"),
        (["Response two: x"], " a"),
        (["Response:"] + [f"Response {c}:" for c in "abcdefghijklmnopqrstuvwxyz"], " aa"),
    ],
    ids=str,
)
def test_heading_mark_is_one_that_no_text_uses(texts, mark):
    assert choose_heading_mark(texts, NAMES) == mark


HEADINGS = [f"\n{name}{number}{mark}:" for name in (*NAMES, "response")
            for number in ("", " 1", " 23") for mark in ("", " a", " b", " A", " ab")]  # fmt: skip


@given(st.lists(st.lists(st.sampled_from([*HEADINGS, "x", "\n", ":"]), max_size=8).map("".join)))
def test_no_text_can_hold_a_heading_of_the_prompt(texts):
    mark = choose_heading_mark(texts, NAMES)
    heading = re.compile(rf"^(instruction|response)( \d+)?{mark}:", re.MULTILINE | re.IGNORECASE)
    assert not any(heading.search(text) for text in texts)


@pytest.mark.parametrize("value", [None, 3, b"x", ["x"], "\udc00"], ids=repr)
def test_what_is_not_text_names_its_field(value):
    with pytest.raises(InputError, match="field_x: ") as caught:
        check_text(value, "field_x")
    assert caught.value.field == "field_x"


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_text_is_returned_as_it_is(text):
    assert check_text(text, "x") is text
