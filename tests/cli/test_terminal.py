"""Nothing that a row, an LM or a file name holds steers the terminal."""

import io
import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import structq
from structq.cli import terminal
from structq.cli.commands import app
from structq.cli.rows_view import show_rows
from structq.cli.terminal import one_line, visible
from structq.errors import LMError
from tests.scripted import ScriptedEngine, default_script, make_lm, prompt_of

EVIL = {
    "clipboard": "\x1b]52;c;aGk=\x07",
    "cursor": "\x1b[2J\x1b[1;1H",
    "c1": "\x9b2J\x9d52;c;aGk=\x9c",
    "bidi": "\u202eabc\u2066x\u2069",
    "bell": "\a\b\x7f",
    "line": "a\rb\x0b\x0c\x85c",
    "charset": "\x0e\x1bP0;1|17/ab\x1b\\",
    "marks": "\u200e\u200f\u061c\ufeff",
}
JOINERS = "\u200c\u200d"


def steers(text, *, but=""):
    """What of a text a terminal would obey."""
    return {
        char
        for char in text
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in but
    }


@given(st.text() | st.sampled_from(list(EVIL.values())))
def test_no_text_steers_a_terminal(text):
    assert not steers(visible(text), but="\n" + JOINERS)
    assert not steers(one_line(text), but=JOINERS)


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_plain_text_is_shown_as_it_is(text):
    assert visible(text) == text


@given(st.text())
def test_rows_are_shown_as_text(text):
    row = {
        "instruction": text, "responses": [text, "b"], "scores": [1, 2], "expected_scores": None,
        "best_response": text, "mutations": [text], "metadata": {"error": None},
    }  # fmt: skip
    file = io.StringIO()
    console = terminal.console(stderr=False)
    console.file = file
    failed = {"instruction": text, "metadata": {"error": {"message": text}}}
    show_rows([row, failed], console, n=2)
    assert not steers(file.getvalue(), but="\n" + JOINERS)


@pytest.fixture
def call(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments, script=None):
        monkeypatch.setattr(structq, "lm", lambda spec, **_: make_lm(ScriptedEngine(script)))
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in arguments])
        return ended.value.code

    return run


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL.keys())
def test_what_a_command_says_is_text(call, capsys, evil):
    def script(request):
        return LMError(f"said {evil}") if "fails" in prompt_of(request) else default_script(request)

    rows = [
        {"instruction": f"Name a tree. {evil}", "response": evil},
        {"instruction": f"It fails. {evil}", "response": evil},
        {"instruction": "x", "response": "y", f"key {evil}": None} | {f"response{evil}": 1},
        {"instruction": evil},
    ]
    Path("in.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf8")
    assert call("run", "in.jsonl", "-o", "-", "--lm", "x", script=script) == 1
    told = capsys.readouterr()
    assert not steers(told.out, but="\n" + JOINERS)
    assert not steers(told.err, but="\n" + JOINERS)
    assert [json.loads(line)["instruction"] for line in told.out.splitlines()] == [
        row["instruction"] for row in rows
    ]


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL.keys())
def test_names_of_files_and_lms_are_text(call, capsys, evil):
    assert call("run", f"{evil}.jsonl", "-o", f"{evil}.out", "--lm", "x") == 2
    Path("in.jsonl").write_text('{"instruction": "x", "response": "y"}\n', encoding="utf8")
    assert call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x", "--program", evil) == 2
    assert call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x", "--form", evil) == 2
    assert call("models", "--remove", evil) == 2
    assert not steers(capsys.readouterr().err, but="\n" + JOINERS)
