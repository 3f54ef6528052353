import json
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest
from dspy.lm15 import RateLimitError, ServerError

import structq
from structq.data import Row
from structq.errors import InputError, ResumeError, RowError
from structq.journal import Journal
from structq.runs import Gate, GateSettings, PaceLimits, Run
from tests.scripted import ScriptedEngine, default_script, make_lm, prompt_of

ROOT = Path(__file__).parents[2]


def make_rows(n, **extra):
    return [
        Row(line=i + 1, values={"instruction": f"Say {i}.", "response": f"{i} it is.", **extra})
        for i in range(n)
    ]


def bad(line):
    error = RowError(path="f", line=line, field="response", reason="null (must be text)")
    return Row(line=line, values={"instruction": "x", "id": 7}, error=error)


def make_run(engine, *, journal=None, most=8, task=None, **options):
    task = task or structq.EvolveAndScore(num_evolutions=2, lm=make_lm(engine))
    gate = Gate(GateSettings(limits=PaceLimits(most=most), deadline_s=20.0))
    return Run(task=task, gate=gate, path="f", journal=journal, **options)


def run(rows, engine=None, **options):
    engine = engine or ScriptedEngine()
    return list(make_run(engine, **options).finished(enumerate(rows)))


@pytest.mark.parametrize("pattern", ["", "g", "b", "gbg", "bbgbb", "ggbbggbgbbbg"])
def test_every_row_comes_out_once_and_in_order(pattern):
    rows = [make_rows(i + 1)[-1] if kind == "g" else bad(i) for i, kind in enumerate(pattern)]
    finished = run(rows, ordered=True)
    assert [row.number for row in finished] == list(range(len(rows)))
    assert ["b" if row.error else "g" for row in finished] == list(pattern)


def test_a_bad_row_keeps_its_columns_and_has_null_outputs():
    (row,) = run([bad(4)])
    assert row.values["id"] == 7
    assert row.values["best_response"] is None
    assert row.values["metadata"]["error"]["field"] == "response"
    assert row.cause == "RowError: response: null (must be text)"


def test_causes_are_the_same_for_rows_that_fail_alike():
    def script(request):
        return json.dumps({"wrong": prompt_of(request)[-20:]})

    rows = run(make_rows(4), ScriptedEngine(script))
    assert len({row.cause for row in rows}) == 1
    assert "OutputError" in rows[0].cause


def test_a_slow_row_holds_up_no_other():
    def slow(request):
        return 0.5 if "Say 0." in str(request.messages) else 0.0

    order = [row.number for row in run(make_rows(30), ScriptedEngine(delay_s=slow), most=2)]
    assert order[-1] == 0
    assert sorted(order) == list(range(30))


def test_rows_in_order_wait_for_a_slow_one_and_the_work_goes_on():
    def slow(request):
        return 0.3 if "Say 0." in str(request.messages) else 0.0

    engine = ScriptedEngine(delay_s=slow)
    first = None
    for row in make_run(engine, most=2, ordered=True).finished(enumerate(make_rows(30))):
        first = first or len(engine.requests)
        assert row.error is None
    assert first > 80


def test_calls_and_not_only_rows_are_bounded():
    scorer = structq.QualityScorer(scale=(1, 6), scoring="independent")
    engine = ScriptedEngine(delay_s=lambda request: 0.002)
    task = structq.EvolveAndScore(structq.EvolQuality(num_evolutions=3), scorer, lm=make_lm(engine))
    run(make_rows(12), engine, task=task, most=3)
    assert engine.most_in_flight <= 3


def test_rows_are_read_as_they_come_and_come_out_as_they_are_done():
    seen = threading.Event()

    def slowly():
        yield make_rows(1)[0]
        assert seen.wait(10), "the first row did not come out before the second was read"
        yield make_rows(2)[1]

    for row in make_run(ScriptedEngine(), ordered=True).finished(enumerate(slowly())):
        seen.set()
        assert row.error is None


def test_no_more_rows_are_read_ahead_than_the_limit():
    n_read = 0

    def endless():
        nonlocal n_read
        for i in count():
            n_read += 1
            yield Row(line=i + 1, values={"instruction": "Say it.", "response": str(i)})

    finished = make_run(ScriptedEngine(), n_ahead=20).finished(enumerate(endless()))
    for _ in range(5):
        next(finished)
    time.sleep(0.3)
    assert n_read <= 5 + 20 + 2
    finished.close()


def test_what_passes_is_asked_again_and_no_row_is_lost():
    calls = count()

    def script(request):
        return ServerError("busy") if next(calls) % 5 == 0 else default_script(request)

    rows = run(make_rows(12), ScriptedEngine(script))
    assert [row.error for row in rows] == [None] * 12


def test_a_server_that_takes_few_at_once_loses_no_row():
    engine = ScriptedEngine(delay_s=lambda request: 0.003)

    def script(request):
        refused = RateLimitError("slow down", retry_after=0.01)
        return refused if engine.in_flight >= 4 else default_script(request)

    engine.script = script
    rows = run(make_rows(30), engine, most=32)
    assert [row.error for row in rows] == [None] * 30


# The journal.


def journal_at(tmp_path, **facts):
    return Journal(tmp_path / "j", facts)


def test_a_finished_run_is_not_asked_for_again(tmp_path):
    with journal_at(tmp_path) as journal:
        first = run(make_rows(9), journal=journal, ordered=True)
    engine = ScriptedEngine()
    with journal_at(tmp_path) as journal:
        again = run(make_rows(9), engine, journal=journal, ordered=True)
    assert engine.requests == []
    assert [row.values for row in again] == [row.values for row in first]


def test_a_run_that_ended_early_goes_on_where_it_ended(tmp_path):
    whole = run(make_rows(12), ordered=True)
    engine = ScriptedEngine()
    with journal_at(tmp_path) as journal:
        finished = make_run(engine, journal=journal, most=2).finished(enumerate(make_rows(12)))
        for _ in range(4):
            next(finished)
        finished.close()
    n_before = len(engine.requests)
    with journal_at(tmp_path) as journal:
        rows = run(make_rows(12), engine, journal=journal, ordered=True)
    assert [row.values for row in rows] == [row.values for row in whole]
    assert len(engine.requests) - 36 <= 3
    assert n_before < 36


def test_a_run_that_is_stopped_finishes_what_is_in_flight(tmp_path):
    engine = ScriptedEngine(delay_s=lambda request: 0.02)
    with journal_at(tmp_path) as journal:
        work = make_run(engine, journal=journal, most=2)
        for n, _ in enumerate(work.finished(enumerate(make_rows(40)))):
            if n == 2:
                work.stop()
    n_before = len(engine.requests)
    assert n_before < 60
    with journal_at(tmp_path) as journal:
        rows = run(make_rows(40), engine, journal=journal)
    assert len(rows) == 40
    assert len(engine.requests) == 120  # nothing that was in flight is asked for again


@pytest.mark.parametrize("n_more", [1, 5])
def test_rows_that_were_added_send_only_their_own_calls(tmp_path, n_more):
    with journal_at(tmp_path) as journal:
        run(make_rows(4), journal=journal)
    engine = ScriptedEngine()
    with journal_at(tmp_path) as journal:
        rows = run(make_rows(4 + n_more), engine, journal=journal)
    assert len(rows) == 4 + n_more
    assert len(engine.requests) == 3 * n_more


def test_more_evolutions_send_only_what_is_missing(tmp_path):
    with journal_at(tmp_path) as journal:
        run(make_rows(4), journal=journal, shape="2")
    engine = ScriptedEngine()
    task = structq.EvolveAndScore(num_evolutions=3, lm=make_lm(engine))
    with journal_at(tmp_path) as journal:
        rows = run(make_rows(4), engine, journal=journal, task=task, shape="3")
    assert len(engine.requests) == 2 * 4  # the third evolution, and the scores of all
    assert all(len(row.values["responses"]) == 4 for row in rows)


def test_an_input_that_changed_is_refused_with_its_place(tmp_path):
    with journal_at(tmp_path) as journal:
        run(make_rows(4), journal=journal)
    changed = [*make_rows(2), Row(line=3, values={"instruction": "New.", "response": "x"})]
    with journal_at(tmp_path) as journal, pytest.raises(ResumeError, match="f:3: is another row"):
        run(changed, journal=journal)


def test_rows_that_failed_are_made_again_only_where_that_is_asked(tmp_path):
    def script(request):
        broken = "Say 1." in str(request.messages) and "scores" in str(request.config)
        return "no" if broken else default_script(request)

    with journal_at(tmp_path) as journal:
        rows = run(make_rows(3), ScriptedEngine(script), journal=journal)
        assert sum(row.error is not None for row in rows) == 1
        assert sum(journal.causes().values()) == 1
    engine = ScriptedEngine()
    with journal_at(tmp_path) as journal:
        assert sum(row.error is not None for row in run(make_rows(3), engine, journal=journal)) == 1
        assert engine.requests == []
    with journal_at(tmp_path) as journal:
        rows = run(make_rows(3), engine, journal=journal, retry_failed=True)
        assert [row.error for row in rows] == [None] * 3
        assert journal.causes() == {}
    assert len(engine.requests) == 1  # what evolved is kept, the scores alone are asked for


def test_measured_scores_come_back_as_they_were(tmp_path):
    lm = make_lm(ScriptedEngine(measures=True))
    task = structq.QualityScorer(scale=(1, 3), lm=lm)
    rows = [Row(line=1, values={"instruction": "x", "responses": ["a", "b"]})]
    with journal_at(tmp_path) as journal:
        (first,) = run(rows, journal=journal, task=task, shape="1")
    with journal_at(tmp_path) as journal:
        (again,) = run(rows, journal=journal, task=task, shape="2")
    assert again.values == first.values
    assert first.values["score_distributions"] is not None


def test_an_error_of_the_input_ends_the_run_and_keeps_what_was_done(tmp_path):
    def rows():
        yield from make_rows(3)
        raise InputError("the disk is gone", field="input")

    with journal_at(tmp_path) as journal:
        with pytest.raises(InputError, match="the disk is gone"):
            run(rows(), journal=journal)
        assert journal.n_finished() == 3


_KILLED = """
import sys, time, threading, os
sys.path.insert(0, {root!r})
from tests.runs.test_run import *
engine = ScriptedEngine(delay_s=lambda request: 0.004)
journal = Journal({path!r}, {{}})
threading.Timer({after_s}, lambda: os.kill(os.getpid(), 9)).start()
for row in make_run(engine, journal=journal, most=4).finished(enumerate(make_rows(60))):
    pass
print("done")
"""


def test_a_run_that_is_killed_again_and_again_loses_nothing(tmp_path):
    path = str(tmp_path / "j")
    kept = []
    for after_s in (0.08, 0.12, 0.2):
        code = _KILLED.format(root=str(ROOT), path=path, after_s=after_s)
        subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, cwd=ROOT)
        with Journal(path, {}) as journal:
            kept.append(len(journal._all("SELECT key FROM answers")))
    assert kept == sorted(kept)
    engine = ScriptedEngine()
    with Journal(path, {}) as journal:
        rows = run(make_rows(60), engine, journal=journal, ordered=True)
    assert len(engine.requests) == 180 - kept[-1]
    assert [row.values for row in rows] == [row.values for row in run(make_rows(60), ordered=True)]


def test_an_answer_that_cannot_be_kept_ends_the_run_and_fails_no_row(tmp_path, monkeypatch):
    path, times = tmp_path / "j", count()

    def full(self, row, key, value):
        if next(times) == 5:
            raise InputError("journal: cannot write: disk I/O error", field="journal")
        kept(self, row, key, value)

    kept = Journal.keep_answer
    with Journal(path, {}) as journal:
        monkeypatch.setattr(Journal, "keep_answer", full)
        with pytest.raises(InputError, match="disk I/O error"):
            run(make_rows(12), journal=journal)
        assert journal.causes() == {}
    monkeypatch.undo()
    with Journal(path, {}) as journal:
        assert all(row.error is None for row in run(make_rows(12), journal=journal))
