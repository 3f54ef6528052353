import asyncio
import time

import pytest
from dspy.utils import exceptions as dspy_errors

from structq.adapter.failures import lm_failure
from structq.errors import LMError, OutputError, PromptTooLongError
from structq.runs import Gate, GateSettings, PaceLimits
from structq.runs.gate import RowClock


def make_gate(most=8, **settings):
    return Gate(GateSettings(limits=PaceLimits(most=most), **settings))


def failing(*errors, then="answer"):
    """A call that fails with each error in turn, and answers then."""
    left = list(errors)

    async def send():
        if left:
            raise left.pop(0)
        return then

    return send


def error_of(kind, message="no", **facts):
    cause = kind(message)
    found = lm_failure(cause)
    found.__cause__ = cause
    found.__dict__.update(facts)
    return found


RATE = dspy_errors.LMRateLimitError
SERVER = dspy_errors.LMServerError
GONE = dspy_errors.LMTransportError


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Waits that are noted and not waited for."""
    waits = []

    async def pause(self, wait_s):
        waits.append(wait_s)
        await asyncio.sleep(0)

    monkeypatch.setattr(Gate, "_pause", pause)
    return waits


@pytest.mark.parametrize(
    "kind", [RATE, SERVER, GONE, dspy_errors.LMTimeoutError], ids=lambda kind: kind.__name__
)
def test_what_passes_is_asked_again(kind):
    gate = make_gate()
    errors = [error_of(kind), error_of(kind)]
    assert asyncio.run(gate.call("a", failing(*errors), row=RowClock())) == "answer"
    assert gate.n_calls == 3


@pytest.mark.parametrize(
    "error",
    [
        error_of(dspy_errors.LMInvalidRequestError),
        PromptTooLongError(n_tokens=9, limit=8),
        OutputError("broken", raw="x"),
        LMError("the LM was closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_asking_again_cannot_mend_fails_its_row_alone(error):
    gate = make_gate()
    with pytest.raises(type(error)):
        asyncio.run(gate.call("a", failing(error), row=RowClock()))
    assert (gate.n_calls, gate.ended_by) == (1, None)


@pytest.mark.parametrize(
    "error",
    [
        error_of(dspy_errors.LMAuthError, "wrong key"),
        error_of(dspy_errors.LMUnsupportedModelError, "wrong key"),
        error_of(dspy_errors.LMProviderError, "wrong key", status=403),
        error_of(dspy_errors.LMProviderError, "wrong key", status=404),
    ],
    ids=["401", "no such model", "403", "404"],
)
def test_what_every_row_would_meet_ends_the_run_at_its_first_call(error):
    gate = make_gate()
    with pytest.raises(LMError):
        asyncio.run(gate.call("a", failing(error), row=RowClock()))
    assert "wrong key" in gate.ended_by
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(gate.call("a", failing(), row=RowClock()))
    assert gate.n_calls == 1


def test_one_refused_key_among_answers_costs_one_row():
    gate = make_gate()

    async def all_calls():
        calls = [failing() for _ in range(20)]
        calls[3] = failing(error_of(dspy_errors.LMAuthError))
        tasks = [gate.call("a", send, row=RowClock()) for send in calls]
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(all_calls())
    assert gate.ended_by is None
    assert [isinstance(answer, LMError) for answer in answers] == [i == 3 for i in range(20)]


def test_a_server_that_was_never_there_ends_the_run():
    gate = make_gate()
    errors = [error_of(GONE, "connection refused") for _ in range(9)]
    with pytest.raises(LMError):
        asyncio.run(gate.call("a", failing(*errors), row=RowClock()))
    assert "connection refused" in gate.ended_by
    assert gate.n_calls <= 4


def test_a_wait_beyond_the_limit_fails_the_row_and_names_it(quick):
    gate = make_gate()
    error = error_of(RATE, retry_after=86_400)
    with pytest.raises(LMError, match="asks to wait 86,400 s, and at most 120 s are waited"):
        asyncio.run(gate.call("a", failing(error), row=RowClock()))
    assert quick == []


def test_a_wait_within_the_limit_is_kept(quick):
    gate = make_gate()
    asyncio.run(gate.call("a", failing(error_of(RATE, retry_after=4.0)), row=RowClock()))
    assert 4.0 <= quick[0] <= 5.0


def test_a_row_past_its_deadline_fails_with_the_last_reason():
    gate = make_gate(deadline_s=10.0)
    row = RowClock(started=time.monotonic() - 60)
    with pytest.raises(LMError, match="given up after 60 s"):
        asyncio.run(gate.call("a", failing(error_of(SERVER)), row=row))


def test_the_time_that_a_server_is_down_does_not_count():
    gate = make_gate(deadline_s=10.0)

    async def calls():
        await gate.call("a", failing(), row=RowClock())
        pace = gate.status[0][1]
        row = RowClock(started=time.monotonic() - 1)
        row.s_down_before = 0.0
        pace.s_down = 100.0
        row.started -= 100.0
        return await gate.call("a", failing(error_of(SERVER)), row=row)

    assert asyncio.run(calls()) == "answer"


def test_no_more_calls_are_in_flight_than_the_window():
    gate = make_gate(most=3)
    now = most = 0

    async def send():
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.001)
        now -= 1

    async def all_calls():
        await asyncio.gather(*(gate.call("a", send, row=RowClock()) for _ in range(30)))

    asyncio.run(all_calls())
    assert (most, gate.n_calls) == (3, 30)


def test_accounts_have_windows_of_their_own():
    gate = make_gate(most=1)

    async def both():
        started = asyncio.Event()

        async def first():
            started.set()
            await asyncio.sleep(0.05)
            return 1

        async def second():
            await started.wait()
            return 2

        return await asyncio.gather(
            gate.call("a", first, row=RowClock()), gate.call("b", second, row=RowClock())
        )

    assert asyncio.run(both()) == [1, 2]


def test_a_limit_of_calls_ends_the_run_and_says_so():
    gate = make_gate(max_calls=2)

    async def calls():
        return [await gate.call("a", failing(), row=RowClock()) for _ in range(2)]

    assert asyncio.run(calls()) == ["answer", "answer"]
    assert (gate.ended_by, gate.over_limit) == ("the limit of 2 calls is reached", True)


def test_a_limit_of_cost_ends_the_run():
    gate = make_gate(max_cost=0.01)
    gate.spend(0.004)
    assert gate.ended_by is None
    gate.spend(0.006)
    assert "0.01 dollars" in gate.ended_by


def test_a_call_that_is_cancelled_gives_its_place_back():
    gate = make_gate(most=1)

    async def calls():
        slow = asyncio.create_task(gate.call("a", lambda: asyncio.sleep(60), row=RowClock()))
        await asyncio.sleep(0.01)
        slow.cancel()
        return await gate.call("a", failing(), row=RowClock())

    assert asyncio.run(calls()) == "answer"


def test_a_wait_beyond_the_limit_holds_up_no_other_row(quick):
    gate = make_gate()

    async def calls():
        asked = error_of(RATE, retry_after=86_400)
        with pytest.raises(LMError):
            await gate.call("a", failing(asked), row=RowClock())
        return gate.status[0][1].wait_s(time.monotonic())

    assert asyncio.run(calls()) == 0


def test_waiting_for_a_turn_does_not_count_against_the_deadline():
    gate = make_gate(deadline_s=10.0)
    row = RowClock()
    row.age_s(time.monotonic() - 1, gate_pace(gate))
    assert row.age_s(time.monotonic(), gate_pace(gate)) < 2


def gate_pace(gate):
    asyncio.run(gate.call("a", failing(), row=RowClock()))
    return gate.status[0][1]
