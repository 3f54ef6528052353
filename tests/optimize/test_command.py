"""``structq optimize`` and ``--program``, on a scripted LM."""

import json
from pathlib import Path

import pytest

import structq
from structq.cli.commands import app
from structq.cli.optimize_view import result_lines
from structq.data import write_rows
from structq.optimize.result import Change, Finding, Gain, Optimization, Verdict
from tests.optimize.searches import make_rows, tuning_script
from tests.scripted import ScriptedEngine, make_lm, prompt_of

BASE = ("optimize", "in.jsonl", "-o", "tuned.json", "--lm", "x")


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Runs one command in an empty folder on scripted LMs; returns the exit code."""
    monkeypatch.chdir(tmp_path)
    write_rows(lambda: make_rows(16), "in.jsonl")

    def run(*arguments, script=tuning_script):
        def lm(spec, **options):
            run.lms[spec] = ScriptedEngine(script)
            return make_lm(run.lms[spec])

        monkeypatch.setattr(structq, "lm", lm)
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in arguments])
        return ended.value.code

    run.lms = {}
    return run


def test_it_writes_a_program_and_says_what_it_found(call, capsys):
    assert call(*BASE, "--max-lm-calls", 100) == 0
    told = capsys.readouterr().err
    assert "no valset: 8 of the 16 rows were set aside" in told
    assert "verdict" in told
    assert "unchanged program in tuned.json" in told
    assert f"{len(call.lms['x'].requests)} of 100" in told
    program = structq.EvolQuality()
    program.load("tuned.json")
    assert program.mutation_templates == structq.EvolQuality().mutation_templates
    saved = json.loads(Path("tuned.json").read_text())["optimization"]
    assert saved["finding"]["verdict"]["accepted"] is False
    assert saved["max_lm_calls"] == 100


def test_a_proposer_and_a_judge_of_their_own_are_asked(call):
    options = ("--scorer-lm", "judge", "--proposer-lm", "writer", "--proposer", "reflective")
    assert call(*BASE, "--max-lm-calls", 100, *options) == 0
    assert set(call.lms) == {"x", "judge", "writer"}
    asked = {name: len(engine.requests) for name, engine in call.lms.items()}
    assert all(asked.values()), asked
    assert sum(len(engine.requests) for engine in call.lms.values()) <= 100


def test_rows_for_the_verdict_can_be_given(call, capsys):
    write_rows(lambda: make_rows(6, "V"), "valid.jsonl")
    assert call(*BASE, "--max-lm-calls", 80, "--valid", "valid.jsonl") == 0
    assert "set aside" not in capsys.readouterr().err


def test_a_bad_line_is_named_and_costs_only_itself(call, capsys):
    with Path("in.jsonl").open("a") as file:
        file.write('{"instruction": "x"}\n')
    assert call(*BASE, "--max-lm-calls", 80) == 1
    assert "in.jsonl:17:response: missing" in capsys.readouterr().err
    assert Path("tuned.json").exists()


def saved_result():
    program = json.loads(Path("tuned.json").read_text())
    del program["optimization"]["seconds"]
    return program


def test_it_goes_on_from_its_checkpoint(call):
    options = (*BASE, "--max-lm-calls", 80, "--checkpoint", "journal.jsonl")
    assert call(*options) == 0
    first = saved_result()
    assert call(*options) == 0
    assert not call.lms["x"].requests
    assert saved_result() == first


def test_an_interrupt_leaves_the_checkpoint_and_no_program(call, capsys, monkeypatch):
    def interrupt(self, standing):
        if standing.n_calls > 20:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("structq.cli.optimize_view.OptimizeView.show", interrupt)
        code = call(*BASE, "--max-lm-calls", 80, "--checkpoint", "journal.jsonl")
    assert code == 130
    told = capsys.readouterr().err
    assert "interrupted, not tested" in told
    assert "goes on from journal.jsonl" in told
    assert not Path("tuned.json").exists()
    assert call(*BASE, "--max-lm-calls", 80, "--checkpoint", "journal.jsonl") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("optimize", "none.jsonl", "-o", "t.json", "--lm", "x", "--max-lm-calls", 9), "none"),
        ((*BASE[:3], "tuned.txt", "--lm", "x", "--max-lm-calls", 9), "must end in .json"),
        ((*BASE, "--max-lm-calls", 5), "too few"),
        ((*BASE, "--max-lm-calls", 80, "--limit", 3), "at least 4 are needed"),
        ((*BASE, "--max-lm-calls", 80, "--level", 2), "level"),
        ((*BASE, "--max-lm-calls", 80, "--program", "in.jsonl"), "no saved EvolQuality"),
        ((*BASE, "--max-lm-calls", 80, "--scale", "x"), "--scale"),
    ],
    ids=["no file", "suffix", "few calls", "few rows", "level", "program", "scale"],
)
def test_what_cannot_work_ends_with_a_reason_and_before_any_call(call, capsys, arguments, said):
    assert call(*arguments) == 2
    assert said in capsys.readouterr().err
    assert not any(engine.requests for engine in call.lms.values())


def save(**settings):
    structq.EvolQuality(mutation_templates={"only": "GOOD."}, **settings).save("program.json")


def read():
    return [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("command", ["run", "evolve"])
def test_a_saved_program_runs_with_its_templates_and_settings(call, command):
    save(num_evolutions=3)
    options = ("in.jsonl", "-o", "out.jsonl", "--lm", "x", "--program", "program.json")
    assert call(command, *options) == 0
    assert {tuple(row["mutations"]) for row in read()} == {("only",) * 3}
    evolving = [p for p in map(prompt_of, call.lms["x"].requests) if "evolved_response" in p]
    assert all(prompt.startswith("GOOD.") for prompt in evolving)


def test_an_option_that_is_given_wins_over_the_program(call):
    save(num_evolutions=3, store_evolutions=True)
    options = ("in.jsonl", "-o", "out.jsonl", "--lm", "x", "--program", "program.json")
    assert call("evolve", *options, "--num-evolutions", 1, "--include-original-response") == 0
    assert [len(row["evolved_responses"]) for row in read()] == [2] * 16


def test_a_program_that_is_none_is_named(call, capsys):
    options = ("in.jsonl", "-o", "out.jsonl", "--lm", "x", "--program")
    assert call("run", *options, "in.jsonl") == 2
    assert "no saved EvolQuality" in capsys.readouterr().err
    assert call("run", *options, "missing.json") == 2


def test_the_summary_tells_the_verdict_and_the_cost():
    seed, best = {"a": "A", "b": "B"}, {"a": "C", "b": "B"}
    gain = Gain(mean=0.2, low=0.1, high=0.3, n=20)
    change = Change(row=3, gain=0.5, names=("a",), before="x", after="y")
    verdict = Verdict(
        accepted=True, reason="better", gain=gain, p_value=0.01, n_words=(10, 12),
        n_calls=(2.0, 2.5), helped=(change,),
    )  # fmt: skip
    finding = Finding(seed=seed, best=best, verdict=verdict, gains={"a": gain})
    result = Optimization(
        finding=finding, n_calls=90, max_lm_calls=100, seconds=1.0, n_trials=40,
        failures={"evil \x1b[2J": 3},
    )  # fmt: skip
    told = dict(result_lines(result))
    assert told["verdict"] == "proven better"
    assert told["gain, whole program"] == "+0.200 (+0.100 to +0.300, 95 %) on 20 rows"
    assert told["templates changed"] == "a"
    assert told["words, templates"] == "2 before, 2 after"
    assert told["words, output"] == "10 before, 12 after"
    assert told["calls, a row"] == "2 before, 2.5 after"
    assert told["helped most"] == "row 4 +0.50"
    assert "hurt most" not in told
    assert told["LM calls"] == "90 of 100"
    assert told["failed trials"] == r"3 (3 times: evil \x1b[2J)"
