"""Code by its form, fences without a partner, and speakers that nobody asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structq.strays import code_lines, has_open_fence, holds_code, lone_fence, speaker_from

CODE = {
    "python": "def square(numbers):\n    return [n ** 2 for n in numbers]\n\nprint(square([1]))",
    "c++": "#include <iostream>\nint main() {\n    std::cout << 1;\n    return 0;\n}",
    "java": "public int sum(int n) {\n    int total = 0;\n    return total;\n}",
    "c#": "using System;\nclass Hex {\n    static int Of(string s) => 1;\n}",
    "javascript": "let now = new Date();\nconsole.log(now.toLocaleString());",
    "html": "<html>\n<body><p>Hello</p></body>\n</html>",
    "sql": "SELECT name FROM people\nWHERE age > 3;",
    "json": '{\n"name": "Ann",\n"age": 3\n}',
    "shell": '#!/bin/sh\nfind . -name "*.txt" -exec rm -f {} \\;\necho "All gone."',
    "loop": "for i in range(3):\n    print(i)",
    "imports": "import numpy as np\nfrom math import pi\narea = pi * 2",
}
PROSE = {
    "sentences": "Bread needs flour, water and salt.\nLet it rest for an hour.",
    "a list": "1. Go west on I-10.\n2. Take the 101 north.\n- and rest;",
    "semicolons": "first, wash it;\nthen, dry it;\nlast, fold it;",
    "brackets": "for many people (most of them)\nif you like (it is free)",
    "a letter": "Dear Ann,\n\nThank you for the book.\n\nYours, Bob",
    "formulas": "3x + 10 = 40\nx = 10\ny = 2 * x",
    "money": "amount of tip = $6.65\namount with tip = $54.15",
    "keywords": "import taxes rose.\nreturn the form by May.\nclass begins at nine.",
    "another script": "首先，洗干净；\n然后（晾干）：\n最后折好。",
    "commands": "find the key and go home.\necho is a nymph\ncd players are rare - now",
    "nothing": " \n\n",
}


@pytest.mark.parametrize("text", CODE.values(), ids=CODE)
def test_code_is_known_by_its_form(text):
    assert len(code_lines(text)) >= 2
    assert holds_code(text)


@pytest.mark.parametrize("text", PROSE.values(), ids=PROSE)
def test_prose_and_formulas_are_no_code(text):
    assert code_lines(text) == []


def test_what_stands_between_fences_is_code_to_keep_and_none_to_lose():
    letter = "```\nDear Ann,\n```"
    assert holds_code(letter)
    assert code_lines(letter) == []


@pytest.mark.parametrize(
    ("text", "known", "at"),
    [
        ("x = f(1)\n```\nIt calls f.", "x = f(1)", 9),
        ("return 0;\n}\n\n```", "", 13),
        ("Here it is:\n```\nx = 1\n```", "", None),
        ("```python\nx = 1\n```\nDone.", "", None),
        ("x = f(1)\n```python\ny = 2\n```", "", None),
        ("x = f(1)\n```\nIt calls f.", "```\nx = f(1)", None),
        ("No code at all.", "", None),
        ("", "", None),
    ],
    ids=["closes nothing", "after a brace", "opened by prose", "a block", "opens a language",
         "the original's own", "no fence", "nothing"],
)  # fmt: skip
def test_a_fence_that_closes_nothing_is_found(text, known, at):
    assert lone_fence(text, known) == at


@pytest.mark.parametrize(
    ("text", "known", "at"),
    [
        ("Rest.\nUser: and now?", "Why?", 6),
        ("Rest.\n\nResponse:\nRest more.", "Why?", 7),
        ("**Assistant:** Rest.", "Why?", 0),
        ("Rest.\nResponse a:\nSleep.", "Why?", 6),
        ("Rest.\nUser: and now?", "Write a chat.\nUser: hello", None),
        ("The user: a person who uses.", "Why?", None),
        ("Question: why?\nAnswer: air.", "Why?", None),
        ("Response:time is short.", "Why?", None),
    ],
    ids=["a turn", "a part of a prompt", "bold", "a letter behind it", "asked for", "in a sentence",
         "a quiz", "no space"],
)  # fmt: skip
def test_a_speaker_that_was_not_there_is_found(text, known, at):
    assert speaker_from(text, known) == at


@given(st.text(alphabet="a=(){};:`~<>[]# \n\t.\"'/0", max_size=400))
def test_any_text_is_read(text):
    assert all(line in text for line in code_lines(text))
    assert has_open_fence(text) in (True, False)
    for at in (lone_fence(text), speaker_from(text, "")):
        assert at is None or 0 <= at < len(text)


@pytest.mark.parametrize("unit", [" ", "for (", "; ", "a(", "public ", "<a ", "```\n", "\t"])
def test_long_lines_cost_no_more_than_their_length(unit):
    text = unit * 200_000  # a pattern that goes back and forth would need hours
    assert code_lines(text) == []
    assert lone_fence(text) is speaker_from(text, "") is None
