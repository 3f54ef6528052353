"""Trials: exact budgets, no call twice, order kept, the engine full, the student untouched."""

import asyncio
import json
import threading

import dspy
import pytest

from structq import EvolQuality, QualityGain, QualityScorer
from structq.optimize.budget import Budget, gate_of
from structq.optimize.evaluator import NOT_RUN, Evaluator
from structq.optimize.store import Store
from structq.optimize.subjects import subject_of
from structq.optimize.trials import Trial
from tests.optimize.searches import TEMPLATES, make_rows, tuning_script
from tests.scripted import ScriptedEngine, make_lm, prompt_of, schema_of


def trial(text="GOOD.", row=0, mutation="depth", split="train"):
    return Trial(texts=((mutation, text),), split=split, row=row)


def make(
    engine,
    *,
    limit=1000,
    n_rows=8,
    student=None,
    metric=None,
    lm_options=None,
    scorer=None,
    store=None,
):
    lm = make_lm(engine, **(lm_options or {}))
    student = student or EvolQuality(mutation_templates=TEMPLATES, lm=lm)
    metric = metric or QualityGain(QualityScorer(lm=lm, **(scorer or {})))
    gate = gate_of(budget := Budget(limit=limit))
    subject = subject_of(student, gate)
    found = {"train": make_rows(n_rows), "val": make_rows(n_rows, "V")}
    rows = {split: [subject.row(row) for row in of_split] for split, of_split in found.items()}
    return Evaluator(
        subject, metric.behind(gate), rows=rows, budget=budget, store=store or Store(None, {}),
        n_in_flight=64,
    )  # fmt: skip


def run(evaluator, trials):
    return asyncio.run(evaluator.evaluate(trials))


def test_outcomes_keep_the_order_of_the_trials_whatever_the_order_of_answers():
    waits = iter(range(1000))
    engine = ScriptedEngine(tuning_script, delay_s=lambda request: (next(waits) * 7 % 5) / 200)
    trials = [trial(f"GOOD {i}.", row=i % 8, mutation=m) for i in range(8) for m in TEMPLATES]
    found = run(make(engine), trials)
    assert [outcome.trial for outcome in found] == trials
    assert engine.most_in_flight > 4


def test_a_trial_uses_its_text_and_leaves_the_student_alone():
    engine = ScriptedEngine(tuning_script)
    student = EvolQuality(
        mutation_templates=TEMPLATES, lm=make_lm(engine), num_evolutions=3, store_evolutions=True
    )
    before = student.dump_state()
    good, plain = run(make(engine, student=student), [trial("GOOD."), trial("Plain.")])
    assert (good.gain, good.evolved) == (1.0, "Answer 0. good")
    assert plain.gain == 0.0
    assert (good.n_calls, len(engine.requests)) == (2, 4)
    assert student.dump_state() == before
    assert student.num_evolutions == 3


def test_demos_and_system_prompt_of_the_student_are_used():
    engine = ScriptedEngine(tuning_script)
    student = EvolQuality(mutation_templates=TEMPLATES, lm=make_lm(engine), system_prompt="Sys.")
    demo = dspy.Example(instruction="D", response="d", evolved_response="dd")
    student.mutations["depth"].demos = [demo]
    run(make(engine, student=student), [trial()])
    evolving = next(r for r in engine.requests if "evolved_response" in schema_of(r))
    assert evolving.system == "Sys."
    assert len(evolving.messages) == 3


def test_equal_trials_run_once_and_cost_once():
    engine = ScriptedEngine(tuning_script)
    evaluator = make(engine)
    found = run(evaluator, [trial(), trial(), trial(row=1)])
    assert [outcome.n_calls for outcome in found] == [2, 0, 2]
    again = run(evaluator, [trial(row=1), trial()])
    assert [outcome.n_calls for outcome in again] == [0, 0]
    assert len(engine.requests) == 4
    assert again[1].gain == found[0].gain


@pytest.mark.parametrize("limit", range(1, 14))
def test_the_budget_is_spent_to_the_last_trial_and_never_passed(limit):
    engine = ScriptedEngine(tuning_script)
    evaluator = make(engine, limit=limit)
    found = run(evaluator, [trial(row=i) for i in range(6)])
    n_run = min(6, limit // 2)
    assert len(engine.requests) == evaluator.budget.spent == 2 * n_run
    assert [outcome.failure for outcome in found] == [None] * n_run + [NOT_RUN] * (6 - n_run)
    assert all(outcome.n_calls == 0 for outcome in found[n_run:])


@pytest.mark.parametrize("limit", range(1, 26))
def test_a_budget_holds_where_answers_are_asked_for_again(limit):
    """What a trial saves of its worst case is there for the next one."""

    def script(request):
        broken = "GOOD" in prompt_of(request) and "2?" in prompt_of(request)
        return "broken" if broken else tuning_script(request)

    engine = ScriptedEngine(script)
    student = EvolQuality(mutation_templates=TEMPLATES, lm=make_lm(engine), max_attempts=4)
    evaluator = make(engine, limit=limit, student=student, scorer={"max_attempts": 2})
    found = run(evaluator, [trial(row=i) for i in range(8)])
    assert len(engine.requests) == evaluator.budget.spent <= limit
    assert sum(outcome.n_calls for outcome in found) == evaluator.budget.spent
    n_refused = sum(outcome.failure == NOT_RUN for outcome in found)
    if n_refused:
        assert limit - evaluator.budget.spent < evaluator.max_calls


def test_a_failed_row_counts_the_set_score_and_costs_no_other_row():
    def script(request):
        return "broken" if "Answer 1." in prompt_of(request) else tuning_script(request)

    engine = ScriptedEngine(script)
    found = run(make(engine), [trial(row=i) for i in range(3)])
    assert [outcome.gain for outcome in found] == [1.0, -1.0, 1.0]
    assert "no output: OutputError" in found[1].failure
    assert (found[1].evolved, found[1].n_calls) == (None, 1)


def test_a_failed_score_keeps_the_evolution():
    def script(request):
        scoring = "scores" in schema_of(request)
        return RuntimeError("judge is out") if scoring else tuning_script(request)

    found = run(make(ScriptedEngine(script)), [trial()])
    assert found[0].evolved == "Answer 0. good"
    assert "judge is out" in found[0].failure
    assert found[0].n_calls == 2


@pytest.mark.parametrize("limit", [2, 3, 4, 100])
@pytest.mark.parametrize("kind", ["evolved_response", "scores"])
def test_what_a_busy_server_is_asked_again_is_counted_and_can_be_refused(limit, kind):
    """The LM's own repetitions are switched off and made under the budget."""

    def script(request):
        if kind in schema_of(request):
            return dspy.lm15.RateLimitError("busy", retry_after=0.0)
        return tuning_script(request)

    engine = ScriptedEngine(script)
    evaluator = make(engine, limit=limit, lm_options={"num_retries": 3})
    found = run(evaluator, [trial()])
    asked = min(limit, 4) if kind == "evolved_response" else min(limit, 5)
    assert len(engine.requests) == evaluator.budget.spent == asked
    assert "busy" in found[0].failure
    assert evaluator.budget.reserved == 0


def test_a_broken_template_costs_no_call():
    engine = ScriptedEngine(tuning_script)
    bad = ["{{ instruction }}", "{% for x in y %}", "", "a" * 1_000_000, "{{ response.x }}"]
    found = run(make(engine), [*map(trial, bad[:1]), trial(bad[3]), trial(bad[2])])
    assert not engine.requests
    assert all(outcome.n_calls == 0 and outcome.gain == -1.0 for outcome in found)
    assert "lacks the field" in found[0].failure
    assert "too long" in found[1].failure


def test_an_unknown_mutation_costs_no_call():
    engine = ScriptedEngine(tuning_script)
    found = run(make(engine), [trial(mutation="nope")])
    assert "there is no mutation 'nope'" in found[0].failure
    assert not engine.requests


def test_nothing_is_begun_while_closing():
    engine = ScriptedEngine(tuning_script)
    evaluator = make(engine)
    evaluator.closing = True
    assert run(evaluator, [trial()]) == [None]
    assert not engine.requests


def test_stored_outcomes_are_taken_over_with_their_calls(tmp_path):
    engine = ScriptedEngine(tuning_script)
    trials = [trial(row=i) for i in range(4)]
    whole = run(make(ScriptedEngine(tuning_script)), trials)
    with Store(tmp_path / "s", {}) as store:
        run(make(ScriptedEngine(tuning_script), store=store), trials[::2])
    with Store(tmp_path / "s", {}) as store:
        evaluator = make(engine, store=store)
        assert run(evaluator, trials) == whole
    assert (len(engine.requests), evaluator.budget.spent) == (4, 8)


def test_it_works_inside_a_running_loop_and_in_threads():
    async def inside():
        return await make(ScriptedEngine(tuning_script)).evaluate([trial()])

    assert asyncio.run(inside())[0].gain == 1.0
    found = []
    thread = threading.Thread(target=lambda: found.extend(asyncio.run(inside())))
    thread.start()
    thread.join()
    assert found[0].gain == 1.0


def test_configured_lm_serves_where_a_module_has_none():
    engine = ScriptedEngine(lambda request: tuning_script(request))
    with dspy.context(lm=make_lm(engine)):
        evaluator = make(
            engine,
            student=EvolQuality(mutation_templates=TEMPLATES),
            metric=QualityGain(QualityScorer()),
        )
        found = run(evaluator, [trial()])
    assert json.dumps(found[0].gain) == "1.0"
