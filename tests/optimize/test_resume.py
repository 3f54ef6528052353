"""A journal: resume at every step and at every answer, repair, refusal, interrupts."""

import json
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from structq import InputError, ResumeError
from structq.optimize.journal import Journal
from structq.optimize.search import template_search
from tests.optimize.searches import (
    make_optimizer,
    make_rows,
    make_student,
    small_search,
    tune,
    tuning_script,
)
from tests.scripted import ScriptedEngine, make_lm, prompt_of

FILE = "journal.jsonl"


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
    assert a.mutation_weights == b.mutation_weights
    assert a.optimization.finding == b.optimization.finding
    assert a.optimization.n_calls == b.optimization.n_calls
    assert a.optimization.n_trials == b.optimization.n_trials


def lines():
    return Path(FILE).read_bytes().splitlines(keepends=True)


def test_resume_after_every_line_gives_the_same_result_and_repeats_no_call():
    options = {"checkpoint": FILE, "n": 4, "search": partial(small_search, n_texts=1)}
    whole, engine = tune(**options)
    once, journal = Counter(asked(engine)), lines()
    for n in range(len(journal)):
        Path(FILE).write_bytes(b"".join(journal[:n]))
        before = [json.loads(line) for line in journal[1:n]]
        n_paid = sum(line.get("n_calls", 0) for line in before)
        again, engine = tune(**options)
        same(again, whole)
        assert len(engine.requests) == once.total() - n_paid
        assert not Counter(asked(engine)) - once


@pytest.mark.slow
def test_the_template_search_resumes_after_any_line():
    options = {"checkpoint": FILE, "n": 8, "max_lm_calls": 160, "search": template_search}
    whole, engine = tune(**options)
    n_whole, journal = len(engine.requests), lines()
    for n in range(1, len(journal), 9):
        Path(FILE).write_bytes(b"".join(journal[:n]))
        n_paid = sum(json.loads(line).get("n_calls", 0) for line in journal[1:n])
        again, engine = tune(**options)
        same(again, whole)
        assert len(engine.requests) == n_whole - n_paid


def test_a_finished_run_is_read_and_not_run():
    whole, _ = tune(checkpoint=FILE)
    again, engine = tune(checkpoint=FILE)
    same(again, whole)
    assert not engine.requests


def test_answers_in_another_order_of_time_give_the_same_result():
    slow = ScriptedEngine(tuning_script, delay_s=lambda request: hash(prompt_of(request)) % 3 / 300)
    same(tune(engine=slow)[0], tune()[0])


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_cut_last_line_is_removed_and_asked_again(cut):
    whole, engine = tune(checkpoint=FILE, n=4)
    journal = lines()[:9]
    Path(FILE).write_bytes(b"".join(journal)[:-cut])
    n_paid = sum(json.loads(line).get("n_calls", 0) for line in journal[1:-1])
    again, resumed = tune(checkpoint=FILE, n=4)
    same(again, whole)
    assert len(resumed.requests) == len(engine.requests) - n_paid
    assert all(json.loads(line) for line in lines())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, ("seed",)),
        ({"max_lm_calls": 999}, ("max_lm_calls",)),
        ({"level": 0.01}, ("level",)),
        ({"n": 6}, ("trainset", "valset")),
        ({"proposer": ["library", "crossover"]}, ("proposer",)),
        ({"learn_weights": True}, ("learn_weights",)),
        ({"seed": 1, "level": 0.01}, ("level", "seed")),
    ],
    ids=str,
)
def test_a_journal_of_another_configuration_is_refused(change, named):
    tune(checkpoint=FILE)
    before = Path(FILE).read_bytes()
    with pytest.raises(ResumeError, match=f"{named[0]}.*differ") as caught:
        tune(checkpoint=FILE, **change)
    assert caught.value.differs == named
    assert Path(FILE).read_bytes() == before


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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n', "no journal"),
        (b"instruction,response\n", "not JSON"),
        (b"[1]\n", "not an object"),
        (b'{"journal": "structq optimize", "version": 99, "config": {}}\n', "no journal"),
    ],
    ids=["object", "csv", "list", "version"],
)
def test_another_file_is_refused_and_stays(content, said):
    Path(FILE).write_bytes(content)
    with pytest.raises(ResumeError, match=said):
        tune(checkpoint=FILE)
    assert Path(FILE).read_bytes() == content


def test_a_broken_line_inside_is_named():
    tune(checkpoint=FILE)
    journal = lines()
    journal[3] = b'{"step": 2}\n'
    Path(FILE).write_bytes(b"".join(journal))
    with pytest.raises(ResumeError, match=f"{FILE}:4: not an answer"):
        tune(checkpoint=FILE)


def test_answers_to_other_questions_are_refused():
    tune(checkpoint=FILE)
    with pytest.raises(ResumeError, match="another version of the search"):
        tune(checkpoint=FILE, search=lambda seed, **facts: small_search(
            seed, **facts, proposals=("Other.",), n_asks=1
        ))  # fmt: skip


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
    assert "sk-secret" not in Path(FILE).read_text()


def iter_nothing():
    from structq.optimize.verdict import Candidate, Finding, Verdict

    seed = Candidate(templates={})
    verdict = Verdict(accepted=False, reason="nothing", gain=None, p_value=None)
    return Finding(seed=seed, best=seed, verdict=verdict, gains={})
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
    assert json.loads(lines()[-1])["note"]["best"]["templates"] == result.candidate.templates
    again, second = tune(checkpoint=FILE, n=4)
    same(again, whole)
    assert sorted(asked(first) + asked(second)) == sorted(asked(engine))


def test_an_interrupted_run_names_the_best_so_far():
    stopped, _ = tune(engine=ScriptedEngine(Interrupting(90)), n=5)
    assert "GOOD: go deeper." in stopped.optimization.candidate.templates.values()
    assert stopped.optimization.changed


def test_the_template_search_says_what_it_had_at_an_interrupt():
    options = {"n": 8, "max_lm_calls": 160, "search": template_search, "checkpoint": FILE}
    stopped, _ = tune(engine=ScriptedEngine(Interrupting(60)), **options)
    assert stopped.optimization.interrupted
    assert set(stopped.optimization.candidate.templates) == {"depth", "style"}
    assert stopped.optimization.history


def test_an_interrupt_between_two_steps_counts_too():
    def interrupt(progress):
        if progress.n_steps == 4:
            raise KeyboardInterrupt

    stopped, _ = tune(on_progress=interrupt, checkpoint=FILE)
    assert stopped.optimization.interrupted
    again, _ = tune(checkpoint=FILE)
    same(again, tune()[0])


def test_a_journal_without_a_file_keeps_nothing():
    with Journal(None, {}) as journal:
        journal.end_step(1, seconds=0.0, stop=False)
    assert not list(Path().iterdir())
