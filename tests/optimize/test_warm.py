"""What earlier runs measured is where a search begins."""

import json
from pathlib import Path

import pytest

import structq
from structq import InputError
from structq.cli.commands import app
from structq.data import write_rows
from structq.journal import Journal
from structq.optimize.warm import known_trials
from tests.optimize.searches import make_rows, tune, tuning_script
from tests.scripted import ScriptedEngine, make_lm

GOOD = "Go deeper. GOOD: name one cause."


@pytest.fixture(autouse=True)
def _folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    lm = make_lm(ScriptedEngine(tuning_script))
    monkeypatch.setattr(structq, "lm", lambda spec, **options: lm)
    write_rows(lambda: make_rows(12), "in.jsonl")


def run_with(text, out):
    structq.EvolQuality(mutation_templates={"depth": text, "style": "Write."}).save("p.json")
    with pytest.raises(SystemExit) as ended:
        app(["run", "in.jsonl", "-o", out, "--lm", "x", "--program", "p.json"])
    assert ended.value.code == 0
    return f"{out}.journal"


def test_rows_of_two_runs_are_compared_where_they_met_the_same_mutation():
    journals = [run_with("Go deeper.", "a.jsonl"), run_with(GOOD, "b.jsonl")]
    cells = known_trials(journals)
    paired = [cell for cell in cells if {text for _, text, _ in cell} == {"Go deeper.", GOOD}]
    assert 1 <= len(paired) <= 12
    for cell in paired:
        gains = {text: gain for _, text, gain in cell}
        assert gains == {"Go deeper.": 0.0, GOOD: 1.0}


def test_a_search_begins_with_what_was_good_there():
    journals = [run_with("Go deeper.", "a.jsonl"), run_with(GOOD, "b.jsonl")]
    options = {"n": 12, "max_lm_calls": 90, "search": structq.optimize.search.template_search}
    tuned, engine = tune(proposer="library", warm_start=journals, **options)
    assert tuned.mutation_templates["depth"].startswith(GOOD)
    assert tuned.optimization.n_calls == len(engine.requests) <= 90


def test_the_checkpoint_of_a_search_is_known_too():
    options = {"n": 12, "max_lm_calls": 90, "search": structq.optimize.search.template_search}
    tune(checkpoint="first", **options)
    texts = {text for cell in known_trials(["first"]) for _, text, _ in cell}
    assert "Go deeper." in texts
    assert len(texts) > 2


def test_a_journal_without_trials_is_named():
    with Journal("empty", {"module": "EvolQuality"}):
        pass
    with pytest.raises(InputError, match="warm_start: 'empty' has no trials"):
        known_trials(["empty"])


def test_the_command_takes_journals(capsys):
    journal = run_with(GOOD, "a.jsonl")
    arguments = ["optimize", "in.jsonl", "-o", "t.json", "--lm", "x", "--max-lm-calls", "90"]
    with pytest.raises(SystemExit) as ended:
        app([*arguments, "--from", journal])
    assert ended.value.code == 0
    assert json.loads(Path("t.json").read_text())["optimization"]["n_calls"] <= 90
