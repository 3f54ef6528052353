"""``structq optimize --metric``: by name, or a function in a file; what is wrong is said first."""

import json
from pathlib import Path

import pytest

from tests.optimize.searches import tuning_script
from tests.optimize.test_command import BASE, call, saved_result
from tests.scripted import ScriptedEngine, extensions_of, respond

FEW = (*BASE, "--max-lm-calls", 80)
__all__ = ["call"]  # a fixture

FILE = """
import dspy
from helping import bonus

def words(example, prediction):
    return min(1.0, len(prediction.evolved_response.split()) / 9) + bonus

def told(gold, pred, trace=None, pred_name=None, pred_trace=None):
    return dspy.Prediction(score="good" in pred.evolved_response, feedback="say good")

async def later(example, prediction):
    return {"score": 0.5, "feedback": example.instruction}

class Judge:
    async def __call__(self, example, prediction):
        return 0.25

judge = Judge()

def one(example):
    return 1.0

def many(a, b, c):
    return 1.0

def raising(example, prediction):
    return example.gold == prediction.evolved_response

def words_only(example, prediction):
    return "good"

def nan(example, prediction):
    return float("nan")

def only_longer(example, prediction):
    return 1 / (len(prediction.evolved_response) - len(example.response))

value = 3
"""


@pytest.fixture
def files(call):
    Path("mine.py").write_text(FILE)
    Path("helping.py").write_text("bonus = 0.0\n")
    Path("broken.py").write_text("def f(:\n")
    Path("ending.py").write_text("1 / 0\n")
    Path("text.txt").write_text("def f(a, b): return 1\n")
    return call


@pytest.mark.parametrize(
    "metric",
    ["adds", "concise", "readable", "readable:6", "mine.py:words", "mine.py:told",
     "mine.py:later", "mine.py:judge", "mine.py:only_longer"],
)  # fmt: skip
def test_a_metric_takes_the_place_of_the_judge(files, metric):
    assert files(*FEW, "--metric", metric, "--checkpoint", "kept.jsonl") == 0
    asked = files.lms["x"].requests
    assert len(asked) <= 80
    forms = [request.config.response_format for request in asked]
    assert not any("scores" in json.dumps(form) for form in forms)
    result = saved_result()
    assert files(*FEW, "--metric", metric, "--checkpoint", "kept.jsonl") == 0
    assert not files.lms["x"].requests
    assert saved_result() == result


def test_a_file_that_changed_is_another_metric(files, capsys):
    options = (*FEW, "--metric", "mine.py:words", "--checkpoint", "kept.jsonl")
    assert files(*options) == 0
    Path("mine.py").write_text(FILE.replace("/ 9", "/ 5"))
    assert files(*options) == 2
    assert "metric" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("none", "there is no 'none' (gain, adds, concise, readable, readable:YEARS"),
        ("readable:old", "years of school"),
        ("mine.py", "names no function"),
        ("gone.py:f", "cannot read 'gone.py'"),
        ("mine.py:gone", "has no function 'gone' (it has bonus"),
        ("mine.py:value", "has no function 'value'"),
        ("mine.py:one", "must take (example, prediction), found one(example)"),
        ("mine.py:many", "must take (example, prediction), found many(a, b, c)"),
        ("mine.py:raising", "fails on the first 3 rows: AttributeError"),
        ("mine.py:words_only", "fails on the first 3 rows: ValueError"),
        ("mine.py:nan", "fails on the first 3 rows: it is nan"),
        ("broken.py:f", "cannot be run: SyntaxError"),
        ("ending.py:f", "cannot be run: ZeroDivisionError"),
        ("text.txt:f", "there is no 'text.txt:f'"),
    ],
)
def test_a_wrong_one_is_told_before_any_call(files, capsys, metric, said):
    if metric == "mine.py:gone":
        said = "has no function 'gone'"
    assert files(*FEW, "--metric", metric) == 2
    assert said in capsys.readouterr().err
    assert not any(engine.requests for engine in files.lms.values())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--scorer-lm", "y"),
        ("--scale", "1-6"),
        ("--length-penalty", 0.1),
        ("--scoring", "pairwise"),
    ],
)
def test_what_speaks_of_a_judge_is_refused_where_there_is_none(files, capsys, option, value):
    assert files(*FEW, "--metric", "adds", option, value) == 2
    assert f"{option}: says nothing with --metric adds" in capsys.readouterr().err


def test_a_judge_that_reads_can_be_asked_for(files, monkeypatch):
    def script(request):
        if "read" not in extensions_of(request):
            return tuning_script(request)
        text = extensions_of(request)["read"]
        worth = float(text.count("good")) * bool(request.messages[0].text)
        found = {"logprob": worth, "n_tokens": 1}
        return respond(request, "", data={"structq": {"read": found}})

    monkeypatch.setattr(ScriptedEngine, "reads_text", True, raising=False)
    options = (*BASE, "--max-lm-calls", 120, "--scoring", "likelihood")
    assert files(*options, script=script) == 0
    asked = [extensions_of(request) for request in files.lms["x"].requests]
    assert len(asked) <= 120
    n_read = sum("read" in one for one in asked)
    n_trials = saved_result()["optimization"]["n_trials"]
    assert n_read == 4 * n_trials > 0
