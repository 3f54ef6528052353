"""`structq report` from a run to a page."""

import json

import pytest

from structq.cli.commands import app
from tests.report.made import block, sentences


@pytest.fixture
def call(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            app(list(map(str, arguments)))
        return ended.value.code

    return run


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "in.jsonl"
    found = [
        {"id": f"q{n}", "instruction": f"Why is number {n} odd?", "response": "It is so, as told."}
        for n in range(4)
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in found))
    return path


def test_a_run_of_nano_becomes_a_page_with_its_prompts(call, rows, tmp_path, capsys):
    assert call("run", rows, "-o", "out.jsonl", "--lm", "nano", "--preserve", "all") == 0
    assert call("report", "out.jsonl", "-o", "page.html") == 0
    assert "report in page.html" in capsys.readouterr().err
    page = tmp_path / "page.html"
    answers = block(page, "answers")["runs"][0]
    assert (answers["rows"], answers["cost"]["calls"]) == (4, 12)
    assert answers["cost"]["seconds"] > 0
    assert "What did it cost?" in sentences(page)
    frames = block(page, "index")["frames"]
    assert frames
    assert all("\ue000" in frame[-1][1] and "\ue001" in frame[-1][1] for frame in frames)


@pytest.mark.parametrize("command", ["evolve", "score"])
def test_what_the_other_commands_write_has_a_page_too(call, rows, tmp_path, command):
    assert call("evolve", rows, "-o", "evolved.jsonl", "--lm", "nano", "--preserve", "all") == 0
    if command == "score":
        assert call("score", "evolved.jsonl", "-o", "scored.jsonl", "--lm", "nano") == 0
    name = {"evolve": "evolved.jsonl", "score": "scored.jsonl"}[command]
    assert call("report", name, "-o", "page.html") == 0
    assert block(tmp_path / "page.html", "answers")["runs"][0]["rows"] == 4


def test_what_is_no_run_ends_with_a_sentence(call, tmp_path, capsys):
    assert call("report", "nothing.jsonl", "-o", "page.html") == 2
    assert "nothing.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
