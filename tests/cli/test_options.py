"""Options come from the settings: every setting has one, with its bounds, files and help."""

import json
from pathlib import Path

import pytest

import structq
from structq.cli import commands
from structq.cli.commands import COMMANDS, app
from structq.cli.optimize import TuningSettings
from structq.cli.options import LmSettings
from structq.modules.settings import EvolOptions, ScorerOptions
from structq.runs import RunSettings
from tests.scripted import ScriptedEngine, make_lm, prompt_of

ROW = {"instruction": "Name a tree.", "response": "oak", "responses": ["oak", "an old ash"]}
SHARED = {*LmSettings.model_fields, *RunSettings.model_fields}
LISTS = {"store_evolutions", "include_original_response"}
EVOLVING, SCORING = {*EvolOptions.model_fields}, {*ScorerOptions.model_fields}
OF_COMMANDS = {
    "run": (EVOLVING | SCORING) - LISTS,
    "evolve": EVOLVING,
    "score": SCORING | {"seed"},
    "optimize": (EVOLVING | SCORING | {*TuningSettings.model_fields})
    - LISTS - {"num_evolutions", "on_error"},
}  # fmt: skip
OWN = {
    "source", "data", "out", "lm", "program", "max_lm_calls", "help", "scorer_lm", "config",
    "print_config", "calibration",
}  # fmt: skip


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Runs one command on a scripted LM; keeps the prompts and the options of the LM."""
    monkeypatch.chdir(tmp_path)
    Path("in.jsonl").write_text(json.dumps(ROW) + "\n", encoding="utf8")

    def run(command, *arguments, script=None):
        engine = ScriptedEngine(script)

        def lm(spec, **options):
            run.lm = options
            return make_lm(engine)

        monkeypatch.setattr(structq, "lm", lm)
        # Tests give one output several times.
        again = ["--restart"] if command in ("run", "evolve", "score") else []
        base = (command, "in.jsonl", "-o", "out.jsonl", "--lm", "x", *arguments, *again)
        with pytest.raises(SystemExit) as ended:
            app([str(argument) for argument in base])
        run.prompts = [prompt_of(request) for request in engine.requests]
        run.systems = [str(request.system) for request in engine.requests]
        return ended.value.code

    return run


def row():
    return json.loads(Path("out.jsonl").read_text(encoding="utf8"))


def parameters(name):
    return {one.name: one for one in commands._Commands().get_command(None, name).params}


@pytest.mark.parametrize("name", OF_COMMANDS)
def test_every_setting_that_applies_is_an_option_and_no_other(name):
    shared = {*LmSettings.model_fields, "limit", "window"} if name == "optimize" else SHARED
    assert parameters(name).keys() - OWN == (OF_COMMANDS[name] | shared) - OWN


@pytest.mark.parametrize("name", OF_COMMANDS)
def test_an_option_is_described_as_its_setting(name):
    found = parameters(name)
    own = TuningSettings.model_fields if name == "optimize" else {}
    for setting, field in {**ScorerOptions.model_fields, **EvolOptions.model_fields}.items():
        if setting in found and setting not in own and not (name == "score" and setting == "seed"):
            assert found[setting].help.startswith(field.description)


def test_the_list_of_commands_is_what_there_is(capsys):
    with pytest.raises(SystemExit) as ended:
        app(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for name, (_, about) in COMMANDS.items():
        assert name in told
        assert about.split()[0] in told
        assert commands._Commands().get_command(None, name).help


WRONG = [
    ("run", ["--num-evolutions", "0"], "--num-evolutions: must be an integer of at least 1"),
    ("run", ["--num-evolutions", "x"], "--num-evolutions: must be an integer of at least 1"),
    ("run", ["--num-evolutions", "2.5"], "--num-evolutions: must be an integer"),
    ("evolve", ["--max-attempts", "1000"], "--max-attempts: must be an integer of at most 100"),
    ("evolve", ["--preserve", "some"], "--preserve: must be one of 'none', 'blocks', 'all'"),
    ("evolve", ["--max-growth", "0"], "--max-growth: must be a number above 1, or None"),
    ("evolve", ["--max-growth", "nan"], "--max-growth: must be a number above 1, or None"),
    ("run", ["--form", "xml"], "--form: must be one of 'text', 'json', 'compact'"),
    ("run", ["--window", "0"], "--window: must be an integer of at least 1"),
    ("run", ["--limit", "-1"], "--limit: must be an integer of at least 1"),
    ("run", ["--on-error", "ignore"], "--on-error: must be one of 'keep', 'stop'"),
    ("run", ["--temperature", "-1"], "--temperature: must be a number of at least 0"),
    ("score", ["--scale", "6"], "--scale: '6' (must be LOW-HIGH, such as 1-6, or a .json"),
    ("score", ["--scale", "none.json"], "--scale: cannot read 'none.json'"),
    ("score", ["--scoring", "independent"], "--scale: independent scoring needs a fixed one"),
    ("score", ["--criteria", "none.txt"], "--criteria: cannot read 'none.txt'"),
    ("score", ["--criteria", "blank.txt"], "--criteria: is blank"),
    ("score", ["--template", "blank.txt"], "template"),
    ("evolve", ["--mutation-templates", "list.json"], "must hold names and values, found [1]"),
    ("evolve", ["--mutation-templates", "broken.toml"], "'broken.toml' cannot be read"),
    ("evolve", ["--mutation-weights", "details=x"], "mutation_weights['details']: must be a num"),
    ("evolve", ["--mutation-weights", "none=1"], "--mutation-weights: there is no mutation 'none'"),
    ("run", ["--lm-option", "timeout"], "--lm-option: 'timeout' (must be NAME=VALUE)"),
    ("run", ["--lm-option", "n_slots=many"], "n_slots must be an integer"),
    ("score", ["--num-evolutions", "2"], "No such option: --num-evolutions"),
    ("evolve", ["--scale", "1-6"], "No such option: --scale"),
]


@pytest.mark.parametrize(("command", "options", "told"), WRONG, ids=lambda one: str(one)[:40])
def test_a_wrong_option_exits_2_in_one_sentence(call, capsys, command, options, told):
    Path("blank.txt").write_text(" \n", encoding="utf8")
    Path("list.json").write_text("[1]", encoding="utf8")
    Path("broken.toml").write_text("= 1", encoding="utf8")
    assert call(command, *options) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said
    assert call.prompts == []
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize("kind", ["json", "toml"])
def test_mutation_templates_come_from_a_file(call, kind):
    text = {"json": '{"mine": "SHORTER, please."}', "toml": 'mine = "SHORTER, please."'}[kind]
    if kind == "toml":
        pytest.importorskip("tomllib")
    Path(f"mine.{kind}").write_text(text, encoding="utf8")
    assert call("evolve", "--mutation-templates", f"mine.{kind}") == 0
    assert row()["mutations"] == ["mine", "mine"]
    assert all("SHORTER, please." in prompt for prompt in call.prompts)


@pytest.mark.parametrize("text", ["details=2", "details=1,creativity=0", "weights.json"])
def test_weights_are_named_or_come_from_a_file(call, text):
    Path("weights.json").write_text('{"details": 3.5}', encoding="utf8")
    assert call("evolve", "--mutation-weights", text) == 0
    assert row()["mutations"] == ["details", "details"]


def test_a_rubric_comes_from_a_file(call):
    Path("rubric.json").write_text('{"1": "it is WRONG", "5": "it is RIGHT"}', encoding="utf8")
    assert call("score", "--scale", "rubric.json") == 0
    assert row()["scores"] == [1, 5]
    assert "it is RIGHT" in call.prompts[0]


def test_criteria_and_template_come_from_files(call):
    Path("criteria.txt").write_text("Judge by BREVITY.\n", encoding="utf8")
    Path("score.jinja2").write_text(
        "[instruction]\n{{ instruction }}\n[/instruction]\n{% for r in responses %}"
        "[{{ loop.index }}]\n{{ r }}\n[/{{ loop.index }}]\n{% endfor %}"
        "MINE {{ criteria }} {{ form }}",
        encoding="utf8",
    )
    assert call("score", "--criteria", "criteria.txt") == 0
    assert "Judge by BREVITY." in call.prompts[0]
    assert call("score", "--criteria", "criteria.txt", "--template", "score.jinja2") == 0
    assert "MINE Judge by BREVITY." in call.prompts[0]


def test_answers_are_not_checked_where_that_is_asked_for(call):
    def same(request):
        return json.dumps({"evolved_response": "oak"})

    assert call("evolve", script=same) == 1
    assert call("evolve", "--no-check-answers", script=same) == 0
    assert row()["evolved_response"] == "oak"


def test_attempts_growth_and_form_reach_the_module(call):
    answers = iter(["broken", '{"evolved_response":"an old oak"}'])
    options = ("--max-attempts", 2, "--max-growth", "none", "--form", "compact")
    assert call("evolve", *options, "--num-evolutions", 1, script=lambda _: next(answers)) == 0
    assert row()["metadata"]["calls"][0]["attempts"] == 2
    assert "at most" not in call.prompts[0]
    assert row()["metadata"]["calls"][0]["form"] == "compact"


def test_lines_of_text_are_asked_for(call):
    def script(request):
        return "[1] Score: 1\n[2] Score: 2"

    assert call("score", "--no-use-default-structured-output", script=script) == 0
    assert row()["scores"] == [1, 2]


def test_options_of_the_lm_reach_it_with_their_types(call):
    options = ("--lm-option", "top_k=5", "--lm-option", "top-p=0.5", "--lm-option", "cache=false")
    assert call("evolve", *options, "--lm-option", "flavour=mint") == 0
    assert call.lm == {"top_k": 5, "top_p": 0.5, "cache": False, "flavour": "mint"}


def test_an_option_wins_over_the_program_which_wins_over_the_default(call):
    saved = structq.EvolQuality(
        mutation_templates={"saved": "SAVED."}, num_evolutions=3, max_added_words=30
    )
    saved.save("program.json")
    Path("mine.json").write_text('{"mine": "MINE."}', encoding="utf8")
    assert call("evolve", "--program", "program.json") == 0
    assert row()["mutations"] == ["saved"] * 3
    given = ("--num-evolutions", 1, "--min-added-words", 1, "--mutation-templates", "mine.json")
    assert call("evolve", "--program", "program.json", *given) == 0
    assert row()["mutations"] == ["mine"]
    assert "Add at most 30 words." in call.prompts[0]
