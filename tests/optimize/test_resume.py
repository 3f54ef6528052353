"""A checkpoint: resume from any answers, refusal, interrupts."""

import json
import random
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from structq import InputError, ResumeError
from structq.journal import Journal
from structq.optimize.result import Finding, Verdict
from structq.optimize.search import template_search
from tests.optimize.searches import (
    TEMPLATES,
    make_optimizer,
    make_rows,
    make_student,
    small_search,
    tune,
    tuning_script,
)
from tests.scripted import ScriptedEngine, make_lm, prompt_of

FILE = "search.journal"


@pytest.fixture(autouse=True)
def _folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _interrupts():
    """Interrupts reach Python also where the shell ignores them (a job in the background)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def asked(engine):
    """What the LM was asked, as one text a request: evolve and score prompts are all different."""
    return [prompt_of(request) for request in engine.requests]


def same(a, b):
    assert a.mutation_templates == b.mutation_templates
    assert a.optimization.finding == b.optimization.finding
    assert a.optimization.n_calls == b.optimization.n_calls
    assert a.optimization.n_trials == b.optimization.n_trials


def answers():
    """Kind, key and value of all that is stored."""
    with closing(sqlite3.connect(FILE)) as db:
        found = db.execute("SELECT row, key, value FROM answers").fetchall()
    return {(kind, key): json.loads(value) for kind, key, value in found}


def forget(wanted):
    with closing(sqlite3.connect(FILE)) as db, db:
        db.executemany("DELETE FROM answers WHERE row = ? AND key = ?", wanted)


def n_calls(found):
    """Calls that stored answers were paid with."""
    outcomes = sum(value["n_calls"] for (kind, _), value in found.items() if kind == 0)
    return outcomes + sum(value[1] for (kind, _), value in found.items() if kind == 1)


@pytest.mark.parametrize(
    ("search", "n"),
    [(partial(small_search, n_texts=1), 4), (template_search, 8)],
    ids=["small", "real"],
)
def test_whatever_is_missing_is_asked_again_and_nothing_else(search, n):
    options = {"checkpoint": FILE, "n": n, "search": search, "max_lm_calls": 160}
    whole, engine = tune(**options)
    once, kept = Counter(asked(engine)), answers()
    assert n_calls(kept) == once.total()
    for seed in range(12):
        rng = random.Random(seed)
        gone = [key for key in sorted(kept) if rng.random() < seed / 11]
        forget(gone)
        again, engine = tune(**options)
        same(again, whole)
        assert len(engine.requests) == n_calls({key: kept[key] for key in gone})
        assert not Counter(asked(engine)) - once


def test_a_finished_run_is_read_and_not_run():
    whole, _ = tune(checkpoint=FILE)
    again, engine = tune(checkpoint=FILE)
    same(again, whole)
    assert not engine.requests


def test_answers_in_another_order_of_time_give_the_same_result():
    slow = ScriptedEngine(tuning_script, delay_s=lambda request: hash(prompt_of(request)) % 3 / 300)
    same(tune(engine=slow)[0], tune()[0])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, ("seed",)),
        ({"max_lm_calls": 999}, ("max_lm_calls",)),
        ({"level": 0.01}, ("level",)),
        ({"n": 6}, ("trainset", "valset")),
        ({"proposer": ["library", "paraphrase"]}, ("proposer",)),
        ({"seed": 1, "level": 0.01}, ("level", "seed")),
    ],
    ids=str,
)
def test_a_journal_of_another_configuration_is_refused(change, named):
    tune(checkpoint=FILE)
    before = answers()
    with pytest.raises(ResumeError, match=f"{named[0]}.*differ") as caught:
        tune(checkpoint=FILE, **change)
    assert caught.value.differs == named
    assert answers() == before


def test_another_student_or_judge_is_refused():
    tune(checkpoint=FILE)
    engine = ScriptedEngine(tuning_script)
    optimizer = make_optimizer(engine, checkpoint=FILE)
    optimizer.metric.length_penalty = 0.5
    rows = {"trainset": make_rows(5), "valset": make_rows(5, "V")}
    with pytest.raises(ResumeError) as caught:
        optimizer.compile(make_student(engine, max_attempts=2), **rows)
    assert caught.value.differs == ("metric", "student")


def test_a_longer_time_limit_is_no_other_configuration():
    first, _ = tune(checkpoint=FILE, max_seconds=1e6)
    again, engine = tune(checkpoint=FILE, max_seconds=2e6)
    same(again, first)
    assert not engine.requests


@pytest.mark.parametrize("content", [b'{"a": 1}\n', b"instruction,response\n"], ids=["json", "csv"])
def test_another_file_is_refused_and_stays(content):
    Path(FILE).write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint: .*no journal"):
        tune(checkpoint=FILE)
    assert Path(FILE).read_bytes() == content


def test_a_checkpoint_that_cannot_be_written_is_an_input_error():
    Path("folder").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        tune(checkpoint="folder")


def test_no_secret_of_an_lm_is_in_the_journal():
    engine = ScriptedEngine(tuning_script)
    lm = make_lm(engine)
    lm.kwargs["api_key"] = "sk-secret"
    optimizer = make_optimizer(engine, checkpoint=FILE, search=lambda *_, **__: iter_nothing())
    student = make_student(engine)
    student.lm = lm
    optimizer.compile(student, trainset=make_rows(9))
    assert b"sk-secret" not in Path(FILE).read_bytes()


def iter_nothing():
    verdict = Verdict(accepted=False, reason="nothing")
    return Finding(seed=TEMPLATES, best=TEMPLATES, verdict=verdict)
    yield


class Interrupting:
    """Interrupts the caller's thread as Ctrl-C does, at the n-th call of the LM."""

    def __init__(self, n):
        self.n_left = n

    def __call__(self, request):
        self.n_left -= 1
        if self.n_left == 0:
            signal.raise_signal(signal.SIGINT)
        return tuning_script(request)


@pytest.mark.parametrize("n", [1, 2, 3, 11, 40, 77, 110])
def test_an_interrupt_keeps_what_is_paid_for(n):
    whole, engine = tune(n=4)
    stopped, first = tune(engine=ScriptedEngine(Interrupting(n)), checkpoint=FILE, n=4)
    result = stopped.optimization
    assert result.interrupted
    assert "interrupted, not tested" in result.verdict.reason
    assert not result.verdict.accepted
    assert stopped.mutation_templates == make_student(engine).mutation_templates
    assert result.n_calls == len(first.requests)
    with Journal(FILE, None) as journal:
        assert journal.notes()["optimization"]["finding"]["best"] == result.candidate
    again, second = tune(checkpoint=FILE, n=4)
    same(again, whole)
    assert sorted(asked(first) + asked(second)) == sorted(asked(engine))


def test_the_template_search_says_what_it_had_at_an_interrupt():
    options = {"n": 8, "max_lm_calls": 160, "search": template_search, "checkpoint": FILE}
    stopped, _ = tune(engine=ScriptedEngine(Interrupting(60)), **options)
    assert stopped.optimization.interrupted
    assert set(stopped.optimization.candidate) == {"depth", "style"}
    assert stopped.optimization.history


def test_an_interrupt_between_two_steps_counts_too():
    def interrupt(progress):
        if progress.n_steps == 4:
            raise KeyboardInterrupt

    stopped, _ = tune(on_progress=interrupt, checkpoint=FILE)
    assert stopped.optimization.interrupted
    again, _ = tune(checkpoint=FILE)
    same(again, tune()[0])
