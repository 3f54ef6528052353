"""Nothing waits for a worker that is gone: deaths, closing, forks, copies."""

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time

import cloudpickle
import pytest

import structq
from structq.engines.calls import Append, Call, Extend
from structq.engines.local import LocalLM
from structq.engines.pair import AsyncLocalEngine, LocalEngine
from structq.engines.registry import open_lm
from structq.engines.scheduler import ClosedError, Scheduler
from structq.errors import InputError, LMError
from tests.engines.test_scheduler import CountingRuntime, ManyCountingRuntime, answer, counting

ROW = {
    "instruction": "How do I keep my bicycle chain from rusting?",
    "response": "Wipe the chain dry after a ride in the rain and put some oil on it.",
}


class Panic(BaseException):
    """As the panics of packages that are written in Rust."""


def breaking(method, error, *, after=0):
    """A runtime one of whose methods raises, once, after so many calls that went well."""
    runtime = ManyCountingRuntime() if method == "extend_many" else CountingRuntime()
    real, calls = getattr(runtime, method), []

    def broken(*args):
        calls.append(args)
        if len(calls) == after + 1:
            raise error
        return real(*args)

    setattr(runtime, method, broken)
    return runtime


def drafting():
    yield Extend([1, 1])
    yield Extend([2], drop=1)
    return answer("done")


def panicking():
    yield Extend([1])
    yield Append(1)
    raise Panic("in a grammar")


DEATHS = [
    ("rewind", RuntimeError("no slot"), 0),
    ("rewind", Panic("at admission"), 0),
    ("rewind", RuntimeError("in a draft"), 3),
    ("length", RuntimeError("no length"), 0),
    ("extend", Panic("in the prompt"), 0),
    ("extend", KeyboardInterrupt(), 1),
    ("extend_many", Panic("in a shared run"), 0),
    ("step", Panic("in a step"), 0),
    ("step", SystemExit(3), 2),
    ("step", GeneratorExit(), 0),
]


@pytest.mark.parametrize(
    ("method", "error", "after"), DEATHS, ids=[f"{m}-{type(e).__name__}-{a}" for m, e, a in DEATHS]
)
def test_every_call_ends_whatever_the_runtime_does_and_the_next_one_works(method, error, after):
    scheduler = Scheduler(breaking(method, error, after=after))
    kinds = [drafting() if method in ("length", "rewind") else counting(2, 3) for _ in range(3)]
    futures = scheduler.submit_all(kinds)
    found = [future.exception(60) for future in futures]
    assert any(found)
    for one in filter(None, found):
        assert isinstance(one, LMError) or one is error
        assert isinstance(one, Exception)
    assert scheduler.submit(counting(1, 1)).result(60).text == "1,2"
    scheduler.close()


@pytest.mark.parametrize("broken", ["step_shape", "batch_sizes"])
def test_a_worker_that_dies_takes_all_calls_with_it_and_the_next_call_has_another(broken):
    runtime = CountingRuntime(n_slots=2)
    scheduler = Scheduler(runtime)
    if broken == "step_shape":
        real = runtime.step
        runtime.step = lambda slots, tokens: real(slots, tokens)[0:0]
    else:
        scheduler.batch_sizes = None
    futures = scheduler.submit_all([counting(2, 3) for _ in range(5)])
    for future in futures:
        assert isinstance(future.exception(60), (LMError, IndexError))
    if broken == "step_shape":
        runtime.step = real
    else:
        scheduler.batch_sizes = []
    assert scheduler.submit(counting(1, 1)).result(60).text == "1,2"
    scheduler.close()


def test_a_panic_in_a_generation_is_an_error_of_that_one_alone():
    scheduler = Scheduler(CountingRuntime())
    bad, good = scheduler.submit_all([panicking(), counting(1, 5)])
    assert isinstance(bad.exception(60), LMError)
    assert "Panic: in a grammar" in str(bad.exception())
    assert good.result(60).text == "1,2,3,4,5,6"
    scheduler.close()


def close_in_a_pass(scheduler, runtime):
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    while not scheduler._closed:
        time.sleep(0.001)
    runtime.gate.set()
    closing.join(60)


def test_a_generation_that_will_not_close_ends_all_the_same():
    def stubborn():
        try:
            yield Extend([1])
            while True:
                yield Append(1)
        finally:
            raise Panic("while closing")

    runtime = CountingRuntime()
    runtime.gate.clear()
    scheduler = Scheduler(runtime)
    futures = scheduler.submit_all([stubborn(), counting(1, 40)])
    close_in_a_pass(scheduler, runtime)
    assert [type(future.exception(60)) for future in futures] == [ClosedError] * 2


def test_closing_ends_what_is_left_by_name():
    runtime = CountingRuntime()
    runtime.gate.clear()
    scheduler = Scheduler(runtime)
    futures = scheduler.submit_all([counting(1, 40) for _ in range(6)])
    close_in_a_pass(scheduler, runtime)
    for future in futures:
        with pytest.raises(ClosedError, match="the LM was closed"):
            future.result(60)
    with pytest.raises(ClosedError, match="the LM was closed"):
        scheduler.submit(counting(1, 1))


@pytest.mark.parametrize("how", ["sync", "async"])
def test_closing_during_a_run_keeps_the_rows_that_are_done(how):
    lm = structq.lm("nano")
    rows = [{**ROW, "instruction": f"{ROW['instruction']} ({n})"} for n in range(64)]
    program = structq.QualityScorer(lm=lm, n_in_flight=4)
    rows = [{"instruction": r["instruction"], "responses": [r["response"]]} for r in rows]
    done = []
    for row in program.stream(rows):
        done.append(row)
        if len(done) == 3:
            if how == "sync":
                lm.engine.close()
            else:
                asyncio.run(lm._async_engine_spec.aclose())
    assert len(done) == 64
    errors = [row["metadata"]["error"] for row in done]
    assert errors[:3] == [None] * 3
    assert errors[-1]["type"] == "LMError"
    for error in filter(None, errors):
        assert "the LM was closed" in error["message"]
    with pytest.raises(LMError, match="the LM was closed"):
        program(**rows[0])
    assert structq.QualityScorer(lm=structq.lm("nano"))(**rows[0]).scores


def forked(code):
    """What a child of a process that has used nano prints, within a minute."""
    script = f"""
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
import structq
lm = structq.lm("nano", temperature=0.0)
program = structq.QualityScorer(lm=lm)
row = {{"instruction": {ROW["instruction"]!r}, "responses": [{ROW["response"]!r}]}}
parent = program(**row).expected_scores
def in_child(work):
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException as error:
            print(type(error).__name__, error)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)
{textwrap.dedent(code)}
print("parent", program(**row).expected_scores == parent)
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    return found.stdout.split("\n")[:-1]


FORKS = {
    "after use": "in_child(lambda: print(program(**row).expected_scores == parent))",
    "process in the child": """
        rows = [row] * 4
        in_child(lambda: print(
            [r["expected_scores"] for [*rs] in program.process(rows) for r in rs] == [parent] * 4
        ))
    """,
    "another LM object": """
        in_child(lambda: print(
            structq.QualityScorer(lm=structq.lm("nano"))(**row).expected_scores == parent
        ))
    """,
    "locks held at the fork": """
        from structq.engines import registry
        own = lm.engine.lm
        kept = registry._OPEN
        locks = [kept._lock, *kept._locks.values(), own._lock, own._opening, own.grammars._lock]
        locks = [getattr(lock, "_lock", lock) for lock in locks]
        held = threading.Event(); go = threading.Event()
        def hold():
            for lock in locks: lock.acquire()
            with lm.engine.lm.scheduler._wake:
                held.set(); go.wait()
            for lock in locks: lock.release()
        thread = threading.Thread(target=hold); thread.start(); held.wait()
        in_child(lambda: print(
            structq.QualityScorer(lm=structq.lm("nano"))(**row).expected_scores == parent
        ))
        go.set(); thread.join()
    """,
    "while the parent runs": """
        many = [row] * 64
        thread = threading.Thread(target=lambda: list(program.process(many))); thread.start()
        time.sleep(0.2)
        in_child(lambda: print(program(**row).expected_scores == parent))
        thread.join()
    """,
    "a child of the child": """
        in_child(lambda: in_child(lambda: print(program(**row).expected_scores == parent)))
    """,
    "evolving": """
        evolve = structq.EvolQuality(lm=lm, mutation_templates={"depth": "Make it deeper."})
        first = evolve(instruction="How do I fry an egg?", response="In a pan, with some oil.")
        in_child(lambda: print(evolve(
            instruction="How do I fry an egg?", response="In a pan, with some oil."
        ).evolved_response == first.evolved_response))
    """,
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(code, id=name, marks=[] if name == "after use" else [pytest.mark.slow])
        for name, code in FORKS.items()
    ],
)
def test_a_forked_child_answers_as_its_parent(code):
    assert forked(code) == ["True", "parent True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_says_why_an_lm_without_a_spec_does_not_work():
    said = forked("""
        from structq.engines.local import LocalLM
        from structq.engines.calls import Call
        own = LocalLM(lm.engine.lm._runtime)
        in_child(lambda: own.submit(Call(messages=[("user", "Hello.")])))
        own.close()
    """)
    assert said[0].startswith("LMError the LM 'nano")
    assert "cannot be used in a forked process" in said[0]


@pytest.mark.parametrize("pickler", [pickle, cloudpickle], ids=["pickle", "cloudpickle"])
def test_an_lm_is_pickled_by_its_spec(pickler):
    lm = structq.lm("nano", temperature=0.5, dry_multiplier=0.3)
    data = pickler.dumps(lm)
    assert len(data) < 10_000
    again = pickler.loads(data)
    assert again.engine.lm is again._async_engine_spec.lm is lm.engine.lm
    assert (again.model, again.kwargs) == (lm.model, lm.kwargs)
    assert again.engine.penalties == {"dry_multiplier": 0.3}
    assert pickler.loads(pickler.dumps(lm.engine.lm)) is lm.engine.lm


@pytest.mark.parametrize("copier", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_shares_the_weights(copier):
    lm = structq.lm("nano")
    assert copier(lm).engine.lm is lm.engine.lm
    assert copier(lm.engine).lm is lm.engine.lm
    assert copier(lm.engine.lm) is lm.engine.lm


def test_a_pickle_opens_in_another_process(tmp_path):
    path = tmp_path / "lm.pickle"
    path.write_bytes(cloudpickle.dumps(structq.QualityScorer(lm=structq.lm("nano"))))
    code = (
        f"import pickle; p = pickle.load(open({str(path)!r}, 'rb')); "
        f"print(p(instruction={ROW['instruction']!r}, responses=[{ROW['response']!r}]).scores)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    expected = structq.QualityScorer(lm=structq.lm("nano"))(
        instruction=ROW["instruction"], responses=[ROW["response"]]
    )
    assert done.stdout.strip() == str(expected.scores)


@pytest.mark.parametrize(
    "make", [LocalEngine, AsyncLocalEngine, lambda lm: lm], ids=["sync", "async", "lm"]
)
def test_an_lm_without_a_spec_says_why_it_cannot_be_pickled(make):
    own = LocalLM(open_lm("nano")._runtime)
    with pytest.raises(InputError, match=r"cannot be saved.*not opened by structq\.lm"):
        pickle.dumps(make(own))
    own.close()


def test_calls_after_closing_say_so():
    own = LocalLM(open_lm("nano")._runtime)
    call = Call(messages=[("user", "Hello.")], max_tokens=2)
    assert own.submit(call).result(60).text
    own.close()
    with pytest.raises(ClosedError, match="the LM was closed"):
        own.submit(call)
