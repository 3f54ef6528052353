import io

import pytest
from rich.console import Console

from structq.cli.rows_view import show_rows, spread
from structq.cli.terminal import visible

SCORED = {
    "instruction": "Name [bold]a tree.",
    "responses": ["oak [red]", "an oak\nof old"],
    "scores": [1, 2],
    "expected_scores": [1.25, 2.5],
    "best_response": "an oak\nof old",
    "mutations": ["details"],
    "metadata": {"calls": [], "error": None},
}
FAILED = {"instruction": "x", "metadata": {"calls": [], "error": {"message": "f:2: not [JSON]"}}}


def shown(*rows, width=100, n=9):
    file = io.StringIO()
    show_rows(rows, Console(file=file, width=width), n=n)
    return file.getvalue()


@pytest.mark.parametrize("width", [100, 40], ids=["beside", "below"])
def test_a_row_shows_its_texts_and_scores_and_obeys_no_markup(width):
    told = shown(SCORED, width=width)
    for text in ("Name [bold]a tree.", "oak [red]", "an oak", "of old"):
        assert text in told
    assert "1.25" in told
    assert "* details" in told
    assert "2.50" in told


def test_two_texts_stand_side_by_side_where_there_is_room():
    assert any("oak [red]" in line and "an oak" in line for line in shown(SCORED).splitlines())
    narrow = shown(SCORED, width=40).splitlines()
    assert not any("oak [red]" in line and "an oak" in line for line in narrow)


def test_more_texts_than_there_is_room_for_stand_below_each_other():
    row = SCORED | {
        "responses": ["a", "b", "c"], "scores": [1, 2, 3], "expected_scores": None,
        "best_response": "c", "mutations": ["details", "creativity"],
    }  # fmt: skip
    lines = shown(row).splitlines()
    assert any("* creativity" in line and "│ c " in line for line in lines)


def test_a_failed_row_shows_its_reason():
    assert "failed: f:2: not [JSON]" in shown(FAILED)


def test_a_response_without_a_score_says_so():
    assert "original, score -" in shown(SCORED | {"expected_scores": None, "scores": [None, 2]})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\rb\x07", "a\\rb\\x07"),
        ("a\r\nb\n", "a\nb\n"),
        ("\u202eabc", "\\u202eabc"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u00a0b\tc", "a b    c"),
        ("é 猫 😀 می\u200cخواهم", "é 猫 😀 می\u200cخواهم"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_text(text, told):
    assert visible(text) == told


def test_terminal_codes_of_a_row_never_reach_the_terminal():
    evil = SCORED | {"instruction": "\x1b]0;x\x07", "responses": ["oak [red]", "\x1b[2J"]}
    told = shown(evil | {"best_response": "\x1b[2J", "mutations": ["\x1b[31m"]})
    assert "\x1b" not in told
    assert "\x07" not in told


def test_few_rows_are_taken_at_even_distances():
    assert spread(list(range(48)), 4) == [0, 12, 24, 36]
    assert spread([1, 2], 5) == [1, 2]
    assert spread([], 5) == []
