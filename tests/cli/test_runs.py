"""What a run over files keeps, refuses and says, in process and on scripted LMs."""

import json
from pathlib import Path

import pytest

import structq
from structq.cli.commands import app
from tests.scripted import ScriptedEngine, default_script, make_lm


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Runs one command in an empty folder; keeps the engine that it asked."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, script=None):
        run.engine = ScriptedEngine(script)
        monkeypatch.setattr(structq, "lm", lambda spec, **options: make_lm(run.engine))
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in arguments])
        return ended.value.code

    return run


def write(rows, path="in.jsonl"):
    Path(path).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf8")


def read(path="out.jsonl"):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf8").splitlines()]


def rows(n):
    return [{"id": i, "instruction": f"Say {i}.", "response": f"{i} it is."} for i in range(n)]


RUN = ("run", "in.jsonl", "-o", "out.jsonl", "--lm", "x")


def test_the_same_command_again_asks_nothing_and_gives_the_same(call):
    write(rows(5))
    assert call(*RUN) == 0
    first = Path("out.jsonl").read_bytes()
    assert call(*RUN) == 0
    assert call.engine.requests == []
    assert Path("out.jsonl").read_bytes() == first


@pytest.mark.parametrize("option", [[], ["--restart"], ["--retry-failed"]])
def test_a_file_that_no_run_made_is_not_overwritten(call, capsys, option):
    write(rows(2))
    Path("out.jsonl").write_text("precious", encoding="utf8")
    assert call(*RUN, *option) == 2
    assert Path("out.jsonl").read_text(encoding="utf8") == "precious"
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert call(*RUN, "--overwrite") == 0
    assert len(read()) == 2


def test_an_input_that_changed_leaves_the_output_as_it_was(call, capsys):
    write(rows(6))
    assert call(*RUN) == 0
    before = Path("out.jsonl").read_bytes()
    write([*rows(3), {"instruction": "New.", "response": "x"}])
    assert call(*RUN) == 2
    assert "is another row than in the journal" in capsys.readouterr().err
    assert Path("out.jsonl").read_bytes() == before


def test_a_run_that_ends_early_keeps_the_rows_of_an_earlier_one(call):
    write(rows(6))
    assert call(*RUN, "--num-evolutions", 1) == 0
    assert call(*RUN, "--num-evolutions", 2, "--max-calls", 3, "--window", 1) == 3
    assert [row["id"] for row in read()] == list(range(6))


def test_other_settings_are_refused_by_name(call, capsys):
    write(rows(2))
    assert call(*RUN, "--seed", 1) == 0
    assert call(*RUN, "--seed", 2) == 2
    assert "settings.seed was 1 and is 2" in capsys.readouterr().err


def test_columns_of_other_names_end_the_run_once_and_the_hint_works(call, capsys):
    write([{"prompt": f"Say {i}.", "completion": "It is."} for i in range(2000)])
    assert call(*RUN, "--limit", 200) == 2
    told = capsys.readouterr().err
    assert told.count("did you mean --map instruction=prompt,response=completion?") <= 2
    assert len(told.splitlines()) < 6
    mapped = ("--map", "instruction=prompt,response=completion", "--limit", 3)
    assert call(*RUN, *mapped) == 0
    assert [row["prompt"] for row in read()] == ["Say 0.", "Say 1.", "Say 2."]


def test_score_takes_one_response_and_what_evolve_and_run_wrote(call):
    write(rows(2))
    score = ("score", "--lm", "x", "-o")
    assert call(*score, "one.jsonl", "in.jsonl") == 0
    assert [len(row["scores"]) for row in read("one.jsonl")] == [1, 1]
    for command, n in (("evolve", 2), ("run", 3)):
        assert call(command, "in.jsonl", "-o", f"{command}.jsonl", "--lm", "x") == 0
        assert call(*score, f"{command}.scored.jsonl", f"{command}.jsonl") == 0
        assert [len(row["scores"]) for row in read(f"{command}.scored.jsonl")] == [n, n]


def test_rows_go_through_every_format(call):
    write(rows(3))
    assert call("evolve", "in.jsonl", "-o", "a.csv", "--lm", "x") == 0
    assert call("score", "a.csv", "-o", "b.parquet", "--lm", "x") == 0
    assert call("score", "b.parquet", "-o", "c.json.gz", "--lm", "x") == 0
    assert call("score", "c.json.gz", "-o", "d.jsonl.zst", "--lm", "x") == 0
    assert call("export", "d.jsonl.zst", "--to", "dpo", "-o", "pairs") == 0
    assert len(read("pairs/train.jsonl")) == 3


def test_a_failed_row_is_made_again_only_where_that_is_asked(call):
    def script(request):
        return "broken" if "Say 1." in str(request.messages) else default_script(request)

    write(rows(3))
    assert call(*RUN, "--max-attempts", 1, script=script) == 1
    assert call(*RUN) == 1
    assert call.engine.requests == []
    assert call(*RUN, "--retry-failed") == 0
    assert len(call.engine.requests) == 3


def test_too_many_failures_end_the_run(call, capsys):
    write(rows(300))

    def script(request):
        text = str(request.messages)
        return "broken" if any(f"Say {i}" in text for i in (1, 2)) else default_script(request)

    options = ("--max-failures", "10%", "--max-attempts", 1, "--window", 2)
    assert call("evolve", *RUN[1:], *options, script=script) == 2
    assert "rows failed (at most 10% may)" in capsys.readouterr().err
    assert len(read()) < 300


def test_a_plan_asks_nothing(call, capsys):
    write(rows(4))
    assert call(*RUN, "--dry-run") == 0
    assert call.engine.requests == []
    assert not Path("out.jsonl").exists()
    told = capsys.readouterr().err
    assert "Say 0." in told
    assert "evolve calls" in told


def test_settings_come_from_a_file_and_options_win(call, capsys):
    write(rows(2))
    assert call(*RUN, "--num-evolutions", 3, "--print-config") == 0
    Path("run.toml").write_text(capsys.readouterr().out, encoding="utf8")
    base = ("run", "in.jsonl", "--config", "run.toml")
    assert call(*base, "-o", "a.jsonl") == 0
    assert len(read("a.jsonl")[0]["responses"]) == 4
    assert call(*base, "-o", "b.jsonl", "--num-evolutions", 1) == 0
    assert len(read("b.jsonl")[0]["responses"]) == 2
    Path("bad.toml").write_text("num_evolution = 1", encoding="utf8")
    assert call(*RUN, "--config", "bad.toml") == 2
    assert "did you mean 'num_evolutions'?" in capsys.readouterr().err


def test_the_summary_is_written_as_json(call):
    write(rows(2))
    assert call(*RUN, "--summary", "s.json", "--quiet") == 0
    summary = json.loads(Path("s.json").read_text(encoding="utf8"))
    assert (summary["rows"], summary["failed"], summary["lm_calls"]) == (2, 0, 6)


def test_parts_are_put_together_in_order(call):
    write(rows(7))
    for i in (1, 2, 3):
        assert call("run", "in.jsonl", "-o", f"{i}.jsonl", "--lm", "x", "--shard", f"{i}/3") == 0
    assert call("merge", "1.jsonl", "2.jsonl", "3.jsonl", "-o", "all.jsonl") == 0
    assert [row["id"] for row in read("all.jsonl")] == list(range(7))
