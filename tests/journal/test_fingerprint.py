"""What a checkpoint knows of a metric that is a function."""

import functools
import math
import re
import subprocess
import sys

import numpy as np
import pytest

from structq.errors import InputError, ResumeError
from structq.journal.fingerprint import UnknownError, fingerprint
from structq.modules import QualityScorer
from structq.optimize import QualityGain, TemplateOptimizer
from structq.optimize.proposers import Library
from tests.optimize.searches import make_rows, make_student, small_search
from tests.scripted import ScriptedEngine, make_lm

SCALE = 1


def scaled(example, prediction):
    return SCALE * len(prediction.evolved_response)


def closing_over(value):
    return lambda e, p: value * len(p.evolved_response)


class Longer:
    def __init__(self, by):
        self.by = by

    def __call__(self, example, prediction):
        return len(prediction.evolved_response) / self.by

    def method(self, example, prediction):
        return self.by


def defaulted(example, prediction, sign=1):
    return sign


def nested(sign):
    def outer(e, p):
        def inner():
            return sign * 2

        return inner()

    return outer


class Helped(Longer):
    def __call__(self, example, prediction):
        return self.helper()

    def helper(self):
        return 1


class Hindered(Helped):
    def helper(self):
        return -1


class Statics:
    class Up:
        @staticmethod
        def of(value):
            return value

    class Down:
        @staticmethod
        def of(value):
            return -value


def calling(kind):
    return lambda e, p: kind.of(len(p.evolved_response))


PAIRS = {
    "lambdas": (lambda e, p: len(p.evolved_response), lambda e, p: -len(p.evolved_response)),
    "constants": (lambda e, p: 1.0, lambda e, p: 2.0),
    "int and float": (lambda e, p: 1, lambda e, p: 1.0),
    "closures": (closing_over(1), closing_over(-1)),
    "partials": (functools.partial(defaulted, sign=1), functools.partial(defaulted, sign=-1)),
    "objects": (Longer(1), Longer(2)),
    "methods": (Longer(1).method, Longer(2).method),
    "builtins": (max, min),
    "names": (lambda e, p: math.sqrt(4), lambda e, p: math.exp(4)),
    "nested": (nested(1), nested(2)),
    "arrays": (closing_over(np.ones(2)), closing_over(np.zeros(2))),
    "patterns": (closing_over(re.compile("a")), closing_over(re.compile("b"))),
    "helpers of objects": (Helped(1), Hindered(1)),
    "methods of classes": (calling(Statics.Up), calling(Statics.Down)),
    "sets": (closing_over({"a", "b"}), closing_over({"a", "c"})),
}


@pytest.mark.parametrize(("one", "other"), PAIRS.values(), ids=PAIRS)
def test_functions_that_compute_something_else_differ(one, other):
    assert fingerprint(one) == fingerprint(one)
    assert fingerprint(one) != fingerprint(other)


def test_a_global_that_is_used_counts(monkeypatch):
    before = fingerprint(scaled)
    monkeypatch.setitem(globals(), "SCALE", -1)
    assert fingerprint(scaled) != before


def test_it_is_the_same_in_every_process():
    code = (
        "from tests.journal.test_fingerprint import *; "
        "print(*(fingerprint(f) for pair in PAIRS.values() for f in pair))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1


def test_what_says_nothing_of_itself_needs_a_name(tmp_path):
    unknown = closing_over(object())
    with pytest.raises(UnknownError, match="builtins"):
        fingerprint(unknown)
    with pytest.raises(InputError, match="give metric_name="):
        TemplateOptimizer(unknown, max_lm_calls=9, checkpoint=tmp_path / "c")
    TemplateOptimizer(unknown, max_lm_calls=9)
    TemplateOptimizer(unknown, max_lm_calls=9, checkpoint=tmp_path / "c", metric_name="mine")


def compile_with(metric, path, **options):
    optimizer = TemplateOptimizer(
        metric, max_lm_calls=60, search=small_search, checkpoint=path, **options
    )
    student = make_student(ScriptedEngine())
    return optimizer.compile(student, trainset=make_rows(5), valset=make_rows(5, "V"))


def test_a_checkpoint_of_one_lambda_is_refused_for_another(tmp_path):
    one, other = PAIRS["lambdas"]
    compile_with(one, tmp_path / "c")
    with pytest.raises(ResumeError, match="metric"):
        compile_with(other, tmp_path / "c")
    compile_with(one, tmp_path / "c")


def test_a_name_of_ones_own_decides(tmp_path):
    one, other = PAIRS["lambdas"]
    compile_with(one, tmp_path / "c", metric_name="length")
    compile_with(other, tmp_path / "c", metric_name="length")
    with pytest.raises(ResumeError, match="metric"):
        compile_with(one, tmp_path / "c", metric_name="another")


def test_proposers_of_other_settings_are_told_apart(tmp_path):
    metric = PAIRS["lambdas"][0]
    compile_with(metric, tmp_path / "c", proposer=Library(n_sentences=1))
    with pytest.raises(ResumeError, match="proposer"):
        compile_with(metric, tmp_path / "c", proposer=Library(n_sentences=5))


def judged_by(demos=(), **options):
    scorer = QualityScorer(lm=make_lm(ScriptedEngine(), **options))
    scorer.score.demos = list(demos)
    return QualityGain(scorer).describe()


class OwnGain(QualityGain):
    def __init__(self, scorer, sign):
        super().__init__(scorer)


def test_judges_are_told_apart_by_their_demos_and_by_options_of_their_lm():
    one, other = ({"instruction": "a", "scores": [n]} for n in (1, 2))
    assert judged_by([one]) == judged_by([dict(one)])
    assert judged_by([one]) != judged_by([other])
    assert judged_by(extra_body={"min_p": 0.1}) != judged_by(extra_body={"min_p": 0.2})


def test_another_gain_of_ones_own_is_another_metric():
    scorer = QualityScorer(lm=make_lm(ScriptedEngine()))
    assert OwnGain(scorer, 1).describe() != QualityGain(scorer).describe()
