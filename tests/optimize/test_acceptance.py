from collections import Counter

import numpy as np
import pytest

from structq.optimize.acceptance import adjust, draw_pairs, gain_of, n_rows_to_settle, p_value

RNG = np.random.default_rng


@pytest.mark.parametrize("test", ["sign-flip", "t", "bootstrap"])
def test_a_clear_gain_is_seen_and_a_clear_loss_is_not(test):
    d = RNG(0).normal(0.5, 0.4, 40)
    assert p_value(d, test, RNG(1)) < 0.01
    assert p_value(-d, test, RNG(1)) > 0.9


@pytest.mark.parametrize("test", ["sign-flip", "t", "bootstrap"])
@pytest.mark.parametrize("d", [[], [1.0], [0.0] * 9])
def test_nothing_follows_from_nothing(test, d):
    assert p_value(d, test, RNG(0)) == 1.0


def test_the_t_tail_is_that_of_the_tables():
    # 1.812 is the 95 % point of 10 degrees of freedom.
    d = np.array([1.0, -1.0] * 5 + [0.0])
    d = d / d.std(ddof=1) * np.sqrt(11)
    assert p_value(d + 1.8125, "t", RNG(0)) == pytest.approx(0.05, abs=1e-4)


def test_the_interval_is_that_of_the_tables():
    d = np.array([1.0, -1.0] * 5 + [0.0])
    d = d / d.std(ddof=1) * np.sqrt(11)
    gain = gain_of(d + 3)
    assert (gain.mean, gain.n) == (pytest.approx(3), 11)
    assert gain.high - gain.mean == pytest.approx(2.2281, abs=1e-3)
    assert gain_of([1.0]) is None


def test_sign_flips_hold_their_level_on_no_difference():
    rng = RNG(3)
    rejected = sum(p_value(rng.normal(0, 1, 12), "sign-flip", rng) <= 0.05 for _ in range(300))
    assert rejected <= 27  # 15 expected; more than 27 has a chance of 0.1 %


def test_rows_that_settle_it():
    # (1.645 + 0.842) ** 2 = 6.18 times the squared ratio of spread and mean
    d = np.array([1.0, 3.0] * 50)
    assert n_rows_to_settle(d, 0.05) == 2
    assert n_rows_to_settle(d - 1.9, 0.05) == pytest.approx(619 * 1.01, abs=12)
    assert n_rows_to_settle(-d, 0.05) is None


def test_rows_come_once_before_any_comes_again():
    pairs = draw_pairs(25, 10, [1, 1, 1], [1, 1, 1], RNG(0))
    assert Counter(pair.row for pair in pairs[:10]) == dict.fromkeys(range(10), 1)
    assert len({(pair.row, pair.candidate) for pair in pairs}) == len(pairs)


def test_equal_weights_mean_equal_mutations():
    assert all(p.candidate == p.seed for p in draw_pairs(30, 30, [2, 1], [2, 1], RNG(0)))


def test_mutations_come_as_often_as_they_are_weighed():
    pairs = draw_pairs(100, 100, [3, 1, 0], [1, 1, 2], RNG(0))
    assert Counter(p.candidate for p in pairs) == {0: 75, 1: 25}
    assert Counter(p.seed for p in pairs) == {0: 25, 1: 25, 2: 50}


def test_no_rows_no_pairs():
    assert draw_pairs(5, 0, [1], [1], RNG(0)) == []


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
