import gc
import threading
import time
import weakref
from concurrent.futures import CancelledError

import numpy as np
import pytest

from structq.engines.calls import Append, Completion, Extend
from structq.engines.scheduler import Scheduler


class CountingRuntime:
    """A model whose next token is the number of tokens so far; records its passes."""

    n_vocab, window, eos_token_id, name = 100, 64, 0, "counting"

    def __init__(self, n_slots=4):
        self.n_slots = n_slots
        self.slots = [[] for _ in range(n_slots)]
        self.passes = []
        self.gate = threading.Event()
        self.gate.set()
        self.broken_steps = 0

    def logits(self, slot):
        return np.eye(self.n_vocab, dtype=np.float32)[len(self.slots[slot])]

    def extend(self, slot, tokens, n_logits):
        self.gate.wait()
        self.passes.append(("extend", slot))
        self.slots[slot] += tokens
        return self.logits(slot)[None].repeat(n_logits, 0)

    def step(self, slots, tokens):
        self.gate.wait()
        self.passes.append(("step", tuple(slots)))
        if self.broken_steps:
            self.broken_steps -= 1
            raise MemoryError("no room for this pass")
        for slot, token in zip(slots, tokens, strict=True):
            self.slots[slot].append(token)
        return np.stack([self.logits(slot) for slot in slots])

    def length(self, slot):
        return len(self.slots[slot])

    def rewind(self, slot, length):
        del self.slots[slot][length:]


def answer(text):
    return Completion(
        text=text,
        finish_reason="stop",
        n_prompt_tokens=1,
        n_output_tokens=1,
        n_passes=1,
        n_forced_tokens=0,
    )


def counting(n_prompt, n_steps):
    """A row that says so many tokens and returns those that it was given."""
    logits = yield Extend([1] * n_prompt)
    said = [int(logits[-1].argmax())]
    for _ in range(n_steps):
        logits = yield Append(said[-1])
        said.append(int(logits[-1].argmax()))
    return answer(",".join(map(str, said)))


@pytest.fixture
def runtime():
    return CountingRuntime()


@pytest.fixture
def scheduler(runtime):
    scheduler = Scheduler(runtime)
    yield scheduler
    runtime.gate.set()
    scheduler.close()


def test_rows_get_their_own_logits(scheduler):
    futures = scheduler.submit_all([counting(n, 3) for n in (2, 5, 9)])
    assert [future.result(60).text for future in futures] == ["2,3,4,5", "5,6,7,8", "9,10,11,12"]


def test_rows_join_and_leave_the_running_batch(scheduler, runtime):
    futures = scheduler.submit_all([counting(1, n) for n in (1, 4, 2, 3, 5, 2)])
    for future in futures:
        future.result(60)
    # Four slots: the fifth row takes the place of the first one, the sixth that of the third.
    assert list(scheduler.batch_sizes) == [4, 4, 4, 3, 1, 1]
    assert sum(kind == "extend" for kind, _ in runtime.passes) == 6


def test_a_slot_is_empty_for_its_next_row(runtime):
    runtime.n_slots = 1
    scheduler = Scheduler(runtime)
    texts = [future.result(60).text for future in scheduler.submit_all([counting(3, 1)] * 1)]
    texts += [future.result(60).text for future in scheduler.submit_all([counting(3, 1)])]
    scheduler.close()
    assert texts == ["3,4", "3,4"]


def test_dropped_columns_are_gone(scheduler):
    def drafting():
        yield Extend([1, 1, 1])
        logits = yield Extend([2], drop=2)
        return answer(str(logits[-1].argmax()))

    assert scheduler.submit(drafting()).result(60).text == "2"


def test_an_error_in_a_row_fails_that_row_alone(scheduler):
    def failing():
        yield Extend([1])
        yield Append(1)
        raise KeyError("mine")

    bad, good = scheduler.submit_all([failing(), counting(1, 5)])
    with pytest.raises(KeyError, match="mine"):
        bad.result(60)
    assert good.result(60).text == "1,2,3,4,5,6"


def test_an_error_at_the_start_of_a_row_fails_it(scheduler):
    def failing():
        raise ValueError("at once")
        yield

    with pytest.raises(ValueError, match="at once"):
        scheduler.submit(failing()).result(60)
    assert scheduler.submit(counting(1, 1)).result(60).text == "1,2"


def test_a_failed_pass_fails_its_rows_and_the_worker_goes_on(scheduler, runtime):
    runtime.broken_steps = 1
    futures = scheduler.submit_all([counting(1, 2), counting(1, 2)])
    for future in futures:
        with pytest.raises(MemoryError, match="no room"):
            future.result(60)
    assert scheduler.submit(counting(1, 1)).result(60).text == "1,2"


def test_cancelling_drops_queued_and_running_rows(scheduler, runtime):
    runtime.gate.clear()
    closed = []

    def watched(name):
        try:
            return (yield from counting(1, 50))
        finally:
            closed.append(name)

    running = scheduler.submit_all([watched(n) for n in range(4)])
    queued = scheduler.submit_all([counting(1, 1) for _ in range(3)])
    while not scheduler._running:
        time.sleep(0.001)
    assert running[0].cancel()
    assert queued[0].cancel()
    runtime.gate.set()
    assert queued[1].result(60).text == "1,2"
    assert running[1].result(60).text
    assert closed[0] == 0
    with pytest.raises(CancelledError):
        running[0].result(60)


def test_closing_cancels_what_is_left_and_refuses_more(runtime):
    scheduler = Scheduler(runtime)
    runtime.gate.clear()
    futures = scheduler.submit_all([counting(1, 40) for _ in range(6)])
    runtime.gate.set()
    scheduler.close()
    scheduler.close()
    assert all(future.done() for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        scheduler.submit(counting(1, 1))


def test_the_worker_is_a_daemon_that_starts_with_the_first_row(runtime):
    def workers():
        return [thread for thread in threading.enumerate() if thread.name == "structq-counting"]

    scheduler = Scheduler(runtime)
    assert not workers()
    scheduler.submit(counting(1, 1)).result(60)
    (worker,) = workers()
    assert worker.daemon
    scheduler.close()
    assert not workers()


def test_many_threads_share_the_batches(runtime):
    runtime.n_slots = 4
    scheduler = Scheduler(runtime)
    texts = {}

    def work(n):
        texts[n] = scheduler.submit(counting(n, 4)).result(60).text

    threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scheduler.close()
    assert texts == {n: ",".join(str(n + i) for i in range(5)) for n in range(1, 20)}


def test_finished_rows_are_not_kept(scheduler):
    row = counting(1, 1)
    gone = weakref.ref(row)
    scheduler.submit(row).result(60)
    del row
    for _ in range(50):
        gc.collect()
        if gone() is None:
            return
        time.sleep(0.01)
    pytest.fail("the scheduler keeps a row that is done")


class ManyCountingRuntime(CountingRuntime):
    """Takes short runs of several rows in one pass."""

    def extend_many(self, slots, tokens, n_logits):
        self.passes.append(("many", tuple(slots), n_logits))
        for slot, row in zip(slots, tokens, strict=True):
            self.slots[slot] += row
        return np.stack([self.logits(slot)[None].repeat(n_logits, 0) for slot in slots])


def forcing(n_prompt, n_logits):
    """A row with a long prompt, then a run of which it wants several logits, the last one twice."""
    logits = yield Extend([1] * n_prompt)
    logits = yield Extend([1, 2, 3], n_logits=n_logits)
    assert logits.shape == (n_logits, 100)
    again = yield Extend([4], drop=1)
    assert again.shape == (1, 100)
    return answer(f"{logits[-1].argmax()},{again[-1].argmax()}")


def test_short_runs_share_a_pass_where_the_runtime_can():
    runtime = ManyCountingRuntime()
    runtime.gate.clear()
    scheduler = Scheduler(runtime)
    futures = scheduler.submit_all([forcing(40, 1), forcing(50, 2)])
    runtime.gate.set()
    assert [future.result(5).text for future in futures] == ["43,43", "53,53"]
    assert runtime.passes[2:] == [("many", (0, 1), 2), ("many", (0, 1), 1)]
    assert list(scheduler.batch_sizes) == [2, 2]
    scheduler.close()


def test_a_failed_shared_run_fails_its_rows_and_no_others():
    runtime = ManyCountingRuntime()

    def broken(*_):
        raise MemoryError("no room for this pass")

    runtime.extend_many = broken
    scheduler = Scheduler(runtime)
    rows = [forcing(40, 1), forcing(50, 2), counting(40, 2)]
    *failed, fine = scheduler.submit_all(rows)
    for future in failed:
        with pytest.raises(MemoryError, match="no room"):
            future.result(5)
    assert fine.result(5).text == "40,41,42"
    scheduler.close()
