from collections import Counter

import numpy as np
import pytest

from structq.optimize.acceptance import adjust, gain_of, judge, p_value, plan_pairs
from structq.optimize.trials import Outcome, Space, Trial

RNG = np.random.default_rng


def test_a_clear_gain_is_seen_and_a_clear_loss_is_not():
    d = RNG(0).normal(0.5, 0.4, 40)
    assert p_value(d[:, None], RNG(1)) < 0.01
    assert p_value(-d[:, None], RNG(1)) > 0.9


@pytest.mark.parametrize("d", [[], [1.0], [0.0] * 9])
def test_nothing_follows_from_nothing(d):
    assert p_value(np.array(d)[:, None], RNG(0)) == 1.0


def test_the_interval_is_that_of_the_tables():
    d = np.array([1.0, -1.0] * 5 + [0.0])
    d = d / d.std(ddof=1) * np.sqrt(11)
    gain = gain_of(d + 3)
    assert (gain.mean, gain.n) == (pytest.approx(3), 11)
    assert gain.high - gain.mean == pytest.approx(2.2281, abs=1e-3)
    assert gain_of([1.0]) is None


def test_sign_flips_hold_their_level_on_no_difference():
    rng = RNG(3)
    rejected = sum(p_value(rng.normal(0, 1, (12, 1)), rng) <= 0.05 for _ in range(300))
    assert rejected <= 27  # 15 expected; more than 27 has a chance of 0.1 %


def test_parts_of_a_candidate_are_tested_at_the_level_of_one_test():
    rng = RNG(4)
    nested = (rng.normal(0, 1, (12, 5)).cumsum(axis=1) for _ in range(300))
    rejected = sum(p_value(rows, rng).min() <= 0.05 for rows in nested)
    assert 4 <= rejected <= 27


@pytest.mark.parametrize(
    ("gains", "taken"),
    [
        ({"a": 0.5, "b": -0.4}, {"a"}),
        ({"a": 0.5, "b": 0.4}, {"a", "b"}),
        ({"a": 0.0, "b": 0.0}, set()),
        ({"a": -0.5, "b": -0.5}, set()),
    ],
    ids=["one harms", "both help", "none helps", "both harm"],
)
def test_a_candidate_is_taken_where_it_is_better(gains, taken):
    rng = RNG(6)
    pairs = [
        (outcome(row, gains[name] + 0.3 * rng.normal(), name=name), outcome(row, 0.0, name=name))
        for row in range(40)
        for name in ("ab"[row % 2],)
    ]
    verdict, _, kept = judge(pairs, level=0.05, rng=RNG(0), order=["a", "b"])
    assert (kept if verdict.accepted else set()) == taken


def outcome(row, gain, n_calls=2, text="x", name="a", evolved="One two."):
    trial = Trial(texts=((name, text),), split="val", row=row)
    return Outcome(trial=trial, gain=gain, n_calls=n_calls, evolved=evolved)


def pairs_of(gains):
    return [(outcome(i, gain), outcome(i, 0.0, evolved="One.")) for i, gain in enumerate(gains)]


def test_a_proven_candidate_comes_with_what_it_costs_and_whom_it_helped():
    verdict, gains, _ = judge(
        pairs_of([0.5, 0.4, 0.6, -0.1, 0.5, 0.7, 0.3, 0.5]), level=0.05, rng=RNG(0)
    )
    assert verdict.accepted
    assert verdict.gain.mean == pytest.approx(0.425)
    assert (verdict.n_words, verdict.n_calls) == ((1, 2), (2, 2))
    assert [change.row for change in verdict.helped] == [5, 2, 0, 4, 7]
    assert [(change.row, change.gain) for change in verdict.hurt] == [(3, -0.1)]
    assert (verdict.hurt[0].before, verdict.hurt[0].after) == ("One.", "One two.")
    assert not gains


def test_an_open_question_says_what_would_settle_it():
    # (1.645 + 0.842) ** 2 = 6.18 times the squared ratio of spread and mean: 619 rows of 4 calls
    verdict, *_ = judge(pairs_of([-0.9, 1.1] * 10), level=0.05, rng=RNG(0))
    assert not verdict.accepted
    assert verdict.n_calls_to_settle == pytest.approx(4 * 651, rel=0.02)
    assert judge(pairs_of([-1.1, 0.9] * 10), level=0.05, rng=RNG(0))[0].n_calls_to_settle is None


def test_too_few_rows_prove_nothing():
    verdict, *_ = judge(pairs_of([1.0] * 4), level=0.05, rng=RNG(0))
    assert (verdict.accepted, verdict.p_value) == (False, None)
    assert "too few" in verdict.reason


def planned(n_pairs, n_rows, weights, changed="abc"):
    texts = dict.fromkeys(weights, "x")
    best = {name: "y" if name in changed else "x" for name in weights}
    pairs = plan_pairs(Space.of(texts, weights), best, n_pairs, n_rows, RNG(0))
    return [(mine.row, mine.texts[0][0]) for mine, _ in pairs]


def test_rows_come_once_before_any_comes_again():
    pairs = planned(25, 10, dict.fromkeys("abc", 1))
    assert Counter(row for row, _ in pairs[:10]) == dict.fromkeys(range(10), 1)
    assert len(set(pairs)) == len(pairs) == 25


def test_mutations_come_as_often_as_they_are_weighed():
    assert Counter(n for _, n in planned(75, 100, {"a": 3, "b": 1, "c": 0}, "a")) == {
        "a": 75, "b": 25,
    }  # fmt: skip


def test_what_is_the_same_costs_no_call_and_counts_as_no_gain():
    pairs = planned(20, 30, dict.fromkeys("ab", 1), changed="a")
    assert Counter(name for _, name in pairs)["a"] == 20
    tested = pairs_of([0.4] * 8)
    verdict, *_ = judge(tested, level=0.05, rng=RNG(0), same=[*range(8)] * 3)
    assert verdict.gain.mean == pytest.approx(0.1)
    assert verdict.accepted


def test_no_rows_no_pairs():
    assert planned(5, 0, {"a": 1}) == []


def test_readings_are_taken_out_of_differences():
    rng = np.random.default_rng(0)
    readings = rng.normal(size=50)
    signal = 0.1 + 0.1 * rng.normal(size=50)
    found = np.array(adjust(signal - 0.7 * readings, readings))
    assert found.std() < 0.15
    assert np.allclose(adjust(-(signal - 0.7 * readings), -readings), -found)


def test_without_readings_or_with_few_rows_differences_stay():
    assert adjust([0.1] * 30, [0.0] * 30) == [0.1] * 30
    assert adjust([0.1, 0.2], [0.5, -0.5]) == [0.1, 0.2]
