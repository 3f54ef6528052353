"""The pace of an account, on a clock of its own: servers that take so many calls at once."""

import heapq

import numpy as np
import pytest

from structq.engines.backends.servers.rates import Rate
from structq.runs import Pace, PaceLimits


class Server:
    """Answers after a lognormal time, refuses what is more than it takes at once."""

    def __init__(self, takes, *, seed=0, latency_s=0.5):
        self.takes = takes
        self.draw = np.random.default_rng(seed)
        self.latency_s = latency_s

    def run(self, n_calls, pace, *, retry_s=0.5):
        """Share of the possible rate, and share of the calls that were refused."""
        now = ideal_s = 0.0
        events, again, n_busy, n_done, n_new = [], [], 0, 0, n_calls
        while n_done < n_calls:
            while (again and again[0] <= now) or n_new:
                if pace.wait_s(now) != 0:
                    break
                if again and again[0] <= now:
                    heapq.heappop(again)
                else:
                    n_new -= 1
                pace.start(now)
                takes = self.takes(n_done / n_calls)
                order = len(events) + n_done + len(again)
                if n_busy >= takes:
                    heapq.heappush(events, (now + 0.02, False, order, now))
                    continue
                n_busy += 1
                lasts = self.latency_s * float(np.exp(0.5 * self.draw.standard_normal()))
                ideal_s += lasts / takes
                heapq.heappush(events, (now + lasts, True, order, now))
            now = min([e[0] for e in events[:1]] + [at for at in again[:1] if at > now])
            while events and events[0][0] <= now:
                _, answered, _, started = heapq.heappop(events)
                if answered:
                    n_busy, n_done = n_busy - 1, n_done + 1
                    pace.succeed(now, started=started)
                else:
                    pace.refuse(now, started=started, retry_after_s=retry_s)
                    heapq.heappush(again, now + retry_s * (1 + self.draw.random()))
        return ideal_s / now, pace.n_refused / (n_calls + pace.n_refused)


@pytest.mark.parametrize("seed", range(3))
def test_a_server_that_takes_more_and_less_is_used_and_rarely_refuses(seed):
    pace = Pace(limits=PaceLimits(most=128))
    server = Server(lambda done: 32 if done < 1 / 3 else 12 if done < 2 / 3 else 64, seed=seed)
    used, refused = server.run(10_000, pace)
    assert used >= 0.9
    assert refused <= 0.02


@pytest.mark.parametrize("takes", [8, 20, 50])
def test_a_short_run_under_a_wide_window_is_refused_rarely(takes):
    pace = Pace(limits=PaceLimits(most=64))
    _, refused = Server(lambda done: takes).run(300, pace, retry_s=1.0)
    assert refused <= 0.06


def test_without_refusals_the_level_reaches_the_most_and_stays():
    pace = Pace(limits=PaceLimits(most=50))
    Server(lambda done: 1000).run(500, pace)
    assert (pace.level, pace.reason) == (50, "the most that is allowed")


def test_many_refusals_of_one_moment_are_one_cut():
    pace = Pace(limits=PaceLimits(most=12))
    for _ in range(12):
        pace.start(0.0)
    for _ in range(6):
        pace.refuse(1.0, started=0.0)
    assert pace.level == pytest.approx(0.95 * 12)
    assert pace.reason == "calls were refused"


def test_a_refusal_that_soon_follows_another_cuts_deeper():
    pace = Pace(limits=PaceLimits(most=12))
    for now in (0.0, 2.0):
        pace.start(now)
        pace.refuse(now + 1, started=now)
        pace.level = 10.0
        for _ in range(9):
            pace.start(now + 1)
    pace.refuse(4.0, started=3.5)
    assert pace.level == pytest.approx(0.8 * 10)


@pytest.mark.parametrize("takes", [5, 12, 40])
def test_a_steady_server_is_used_nearly_whole(takes):
    used, _ = Server(lambda done: takes, seed=1).run(4_000, Pace(limits=PaceLimits(most=64)))
    assert used >= 0.96


def test_the_known_number_of_calls_a_minute_is_kept():
    pace = Pace(limits=PaceLimits(most=10, per_minute=3))
    for now in (0.0, 1.0, 2.0):
        assert pace.wait_s(now) == 0
        pace.start(now)
        pace.succeed(now, started=now)
    assert pace.wait_s(10.0) == pytest.approx(50)
    assert pace.wait_s(60.5) == 0


def test_the_known_number_of_tokens_a_minute_is_kept():
    pace = Pace(limits=PaceLimits(most=10, tokens_per_minute=1000))
    for now in (0.0, 1.0):
        pace.start(now)
        pace.succeed(now, started=now, n_tokens=450)
    assert pace.wait_s(2.0) == pytest.approx(58)
    assert pace.wait_s(60.5) == 0


def test_a_server_that_is_down_is_tried_by_one_call_at_a_time():
    pace = Pace(limits=PaceLimits(most=10))
    for _ in range(3):
        pace.start(0.0)
        pace.fail(0.0, answered=False)
    assert pace.down_since == 0
    assert "does not answer" in pace.reason
    assert pace.wait_s(0.5) == pytest.approx(0.5)
    pace.start(1.0)
    assert pace.wait_s(1.5) is None
    pace.fail(1.5, answered=False)
    assert pace.wait_s(1.5) == pytest.approx(2.0)
    pace.start(4.0)
    pace.succeed(5.0, started=4.0)
    assert (pace.down_since, pace.s_down, pace.wait_s(5.0)) == (None, 5.0, 0)


def test_single_failures_among_answers_are_no_outage():
    pace = Pace(limits=PaceLimits(most=10))
    for now in range(20):
        pace.start(now)
        if now % 3:
            pace.succeed(now, started=now)
        else:
            pace.fail(now, answered=True)
        assert pace.down_since is None


@pytest.mark.parametrize(("asked", "waits"), [(0.5, 0.0), (30.0, 30.0), (86_400.0, 60.0)])
def test_a_long_wait_that_a_server_asks_for_holds_all_calls_up_to_a_limit(asked, waits):
    pace = Pace(limits=PaceLimits(most=10))
    pace.start(0.0)
    pace.refuse(0.0, started=0.0, retry_after_s=asked)
    assert pace.wait_s(0.0) == waits


def told(pace, now, name="requests", *, left, reset_s, call=None):
    rate = Rate(name=name, left=left, reset_s=reset_s)
    pace.told(now, rate, call=pace.n_started if call is None else call)


def test_no_call_starts_while_the_account_has_nothing_left():
    pace = Pace(limits=PaceLimits(most=10))
    told(pace, 0.0, left=0, reset_s=20.0)
    assert pace.wait_s(5.0) == pytest.approx(15)
    assert pace.reason == "the account has no requests left for 20 s"
    assert pace.wait_s(20.0) == 0


def test_what_was_started_since_counts_against_what_is_left():
    pace = Pace(limits=PaceLimits(most=10))
    first = pace.start(0.0)
    for _ in range(3):
        pace.start(0.1)
    told(pace, 1.0, left=5, reset_s=30.0, call=first)
    for _ in range(2):
        assert pace.wait_s(1.0) == 0
        pace.start(1.0)
    assert pace.wait_s(1.0) == pytest.approx(30)
    told(pace, 2.0, left=7, reset_s=29.0, call=first + 5)
    assert pace.wait_s(2.0) == 0


def test_tokens_that_are_left_are_counted_in_mean_calls():
    pace = Pace(limits=PaceLimits(most=10))
    pace.succeed(0.0, started=pace.start(0.0) - 1.0, n_tokens=400)
    told(pace, 0.0, "tokens", left=1000, reset_s=10.0)
    for _ in range(2):
        assert pace.wait_s(1.0) == 0
        pace.start(1.0)
    assert pace.wait_s(1.0) == pytest.approx(9)


def test_a_rate_that_is_whole_only_tomorrow_is_tried_a_call_at_a_time():
    pace = Pace(limits=PaceLimits(most=10))
    told(pace, 0.0, "requests-day", left=0, reset_s=86_400.0)
    assert pace.wait_s(0.0) == 60
    assert pace.wait_s(60.0) == 0
    pace.start(60.0)
    assert pace.wait_s(60.0) == 60
