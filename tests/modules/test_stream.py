import asyncio
import contextvars
import subprocess
import sys
import threading

import pytest

from structq.modules.orders import orders
from structq.modules.stream import run_stream, stream


async def double(item):
    await asyncio.sleep(0.001 * (item % 3))
    return 2 * item


def test_results_keep_the_order_of_the_items():
    assert list(run_stream(double, range(50), n_in_flight=7)) == [2 * i for i in range(50)]


def test_slow_item_does_not_hold_back_the_work():
    release = asyncio.Event
    started = []

    async def main():
        gate = release()

        async def work(item):
            started.append(item)
            if item == 0:
                await gate.wait()
            if item == 6:
                gate.set()
            return item

        return [result async for result in stream(work, range(8), n_in_flight=2)]

    assert asyncio.run(asyncio.wait_for(main(), 5)) == list(range(8))
    assert started[:7] == list(range(7))


def test_reading_ahead_is_bounded():
    read = []

    async def main():
        def items():
            for i in range(100):
                read.append(i)
                yield i

        async for _ in stream(double, items(), n_in_flight=2):
            return

    asyncio.run(main())
    assert len(read) <= 10


def test_error_of_the_work_ends_the_stream_and_cancels_the_rest():
    cancelled = threading.Event()

    async def work(item):
        if item == 0:
            await asyncio.sleep(0.01)
            raise ValueError("boom")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(ValueError, match="boom"):
        list(run_stream(work, range(3), n_in_flight=3))
    assert cancelled.is_set()


def test_error_of_the_items_ends_the_stream():
    def items():
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(run_stream(double, items(), n_in_flight=1))


def test_stream_inside_a_stream_does_not_wait_for_itself():
    async def work(item):
        return sum(run_stream(double, range(item), n_in_flight=2))

    assert list(run_stream(work, [1, 3], n_in_flight=2)) == [0, 6]


def test_iterator_that_is_dropped_at_the_end_lets_python_end():
    code = (
        "from structq.modules.stream import run_stream\n"
        "async def work(i): return i\n"
        "kept = run_stream(work, range(99), n_in_flight=1)\n"
        "next(kept)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


def test_nothing_in_nothing_out():
    assert list(run_stream(double, [], n_in_flight=1)) == []


def test_context_variables_of_the_caller_are_seen():
    variable = contextvars.ContextVar("variable", default="unset")

    async def work(item):
        return variable.get()

    variable.set("mine")
    assert list(run_stream(work, [1, 2], n_in_flight=1)) == ["mine", "mine"]


@pytest.mark.parametrize(
    ("n_responses", "n_orders", "expected"),
    [
        (3, 1, [(0, 1, 2)]),
        (3, 3, [(0, 1, 2), (1, 2, 0), (2, 0, 1)]),
        (1, 5, [(0,)]),
        (2, 9, [(0, 1), (1, 0)]),
    ],
)
def test_orders_begin_with_the_rotations(n_responses, n_orders, expected):
    assert orders(n_responses, n_orders) == expected


@pytest.mark.parametrize(("n_responses", "n_orders"), [(3, 99), (4, 24), (16, 40)])
def test_orders_are_different_permutations(n_responses, n_orders):
    found = orders(n_responses, n_orders)
    assert len(set(found)) == len(found) == min(n_orders, {3: 6, 4: 24, 16: 40}[n_responses])
    assert all(sorted(order) == list(range(n_responses)) for order in found)


ENDINGS = {
    "the coroutine is cancelled": (
        "async def work(): raise asyncio.CancelledError\n"
        "try: run_async(work())\n"
        "except BaseException as error: print(type(error).__name__)"
    ),
    "an interrupt before anything was scheduled": (
        "loop = loops.loop_of_caller()\n"
        "real = loop.call_soon_threadsafe\n"
        "def interrupted(*arguments, **options):\n"
        "    loop.call_soon_threadsafe = real\n"
        "    raise KeyboardInterrupt\n"
        "loop.call_soon_threadsafe = interrupted\n"
        "async def work(): print('never')\n"
        "try: run_async(work())\n"
        "except BaseException as error: print(type(error).__name__)"
    ),
}


@pytest.mark.parametrize(
    ("code", "told"),
    list(zip(ENDINGS.values(), ["CancelledError", "KeyboardInterrupt"], strict=True)),
    ids=ENDINGS,
)
def test_a_caller_is_never_left_waiting(code, told):
    head = (
        "import asyncio\nfrom structq import loops\nfrom structq.modules.stream import run_async\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", head + code], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == told
