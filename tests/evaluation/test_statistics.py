"""Statistics beside scipy, scikit-learn and counting by hand; what is no number is refused."""

import math
from itertools import combinations

import dspy
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import brier_score_loss, ndcg_score

from structq.errors import InputError
from structq.evaluation import (
    Agreement,
    bootstrap_interval,
    brier,
    expected_calibration_error,
    kendall,
    ndcg,
    pairwise_agreement,
    prediction_powered_mean,
    reliability,
    spearman,
)

few = st.integers(-3, 3).map(float)
lists = st.lists(st.tuples(few, few), min_size=1, max_size=9)


@settings(deadline=None)
@given(lists)
def test_pairs_are_counted(pairs):
    scores, labels = zip(*pairs, strict=True)
    right = n = 0.0
    for i, j in combinations(range(len(pairs)), 2):
        if labels[i] != labels[j]:
            n += 1
            better, worse = (i, j) if labels[i] > labels[j] else (j, i)
            right += 1 if scores[better] > scores[worse] else 0.5 * (scores[i] == scores[j])
    assert pairwise_agreement(scores, labels) == (right, n)


@settings(deadline=None)
@given(lists)
def test_rank_correlations_are_those_of_scipy(pairs):
    scores, labels = zip(*pairs, strict=True)
    if len(set(scores)) < 2 or len(set(labels)) < 2:
        assert spearman(scores, labels) is kendall(scores, labels) is None
        return
    assert spearman(scores, labels) == pytest.approx(stats.spearmanr(scores, labels)[0], abs=1e-9)
    assert kendall(scores, labels) == pytest.approx(stats.kendalltau(scores, labels)[0], abs=1e-9)


@settings(deadline=None)
@given(st.lists(st.tuples(few, st.integers(0, 3).map(float)), min_size=2, max_size=9))
def test_ndcg_is_that_of_scikit_learn(pairs):
    scores, labels = zip(*pairs, strict=True)
    if not any(labels):
        assert ndcg(scores, labels) is None
        return
    assert ndcg(scores, labels) == pytest.approx(ndcg_score([labels], [scores]), abs=1e-9)


def test_a_list_of_one_has_no_order():
    assert ndcg([1.0], [1.0]) is None
    assert pairwise_agreement([1.0], [1.0]) == (0.0, 0)
    assert spearman([1.0], [2.0]) is None


BAD = {"nan": math.nan, "infinity": math.inf, "none": None, "text": "1"}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
@pytest.mark.parametrize("statistic", [pairwise_agreement, spearman, kendall, ndcg])
def test_what_is_no_number_is_refused_by_its_place(statistic, bad):
    with pytest.raises(InputError, match=r"scores\[1\]: must be a finite number"):
        statistic([1.0, bad], [1.0, 2.0])
    with pytest.raises(InputError, match=r"labels\[0\]"):
        statistic([1.0, 2.0], [bad, 2.0])


@pytest.mark.parametrize("statistic", [pairwise_agreement, spearman, kendall, ndcg, brier])
def test_lists_of_different_lengths_are_refused(statistic):
    with pytest.raises(InputError, match="found 1 and 2"):
        statistic([1.0, 0.5], [1.0])
    with pytest.raises(InputError, match="one at least"):
        statistic([], [])


shares = st.floats(0, 1, allow_nan=False)
outcomes = st.lists(st.tuples(shares, st.integers(0, 1)), min_size=1, max_size=60)


@settings(deadline=None)
@given(outcomes)
def test_brier_is_that_of_scikit_learn(pairs):
    p, y = zip(*pairs, strict=True)
    assume(len(set(y)) == 2)
    assert brier(p, y) == pytest.approx(brier_score_loss(y, p), abs=1e-9)


@settings(deadline=None)
@given(outcomes, st.integers(1, 20))
def test_calibration_error_is_counted_bin_by_bin(pairs, n_bins):
    p, y = zip(*pairs, strict=True)
    error = 0.0
    for b in range(n_bins):
        inside = [k for k in range(len(p)) if min(int(p[k] * n_bins), n_bins - 1) == b]
        if inside:
            mean = sum(p[k] for k in inside) / len(inside)
            share = sum(y[k] for k in inside) / len(inside)
            error += len(inside) / len(p) * abs(mean - share)
    assert expected_calibration_error(p, y, n_bins) == pytest.approx(error, abs=1e-9)
    curve = reliability(p, y, n_bins)
    assert sum(one.n for one in curve) == len(p)
    assert [one.low for one in curve] == sorted(one.low for one in curve)


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_what_is_no_probability_is_refused(p):
    with pytest.raises(InputError, match="from 0 to 1"):
        brier([p], [1.0])
    with pytest.raises(InputError, match="0 or 1"):
        brier([0.5], [0.5])


def covers(make, truth, n_times, seed):
    rng = np.random.default_rng(seed)
    found = [make(rng) for _ in range(n_times)]
    return sum(one.low <= truth <= one.high for one in found) / n_times


@pytest.mark.slow
def test_the_bootstrap_covers_what_it_says():
    def of_pairs(rng):
        n_pairs = rng.integers(1, 7, 80)
        return bootstrap_interval(rng.binomial(n_pairs, 0.62), n_pairs, seed=int(rng.integers(1e9)))

    def few_rows(rng):
        return bootstrap_interval(rng.normal(3, 2, 15), seed=int(rng.integers(1e9)))

    assert 0.93 <= covers(of_pairs, 0.62, 1000, 1) <= 0.97
    assert 0.93 <= covers(few_rows, 3.0, 1000, 2) <= 0.97


@pytest.mark.slow
def test_prediction_powered_means_cover_where_the_naive_interval_fails():
    def draw(rng):
        quality = rng.normal(0, 1, 660)
        labels = quality + rng.normal(0, 0.5, 660)
        predicted = 0.8 * quality + 0.4 + rng.normal(0, 0.3, 660)  # a judge that is too kind
        return labels[:60], predicted[:60], predicted[60:]

    def naive(rng):
        _, _, others = draw(rng)
        return bootstrap_interval(others, seed=0)

    def powered(rng):
        return prediction_powered_mean(*draw(rng))

    assert 0.93 <= covers(powered, 0.0, 1000, 3) <= 0.97
    assert covers(naive, 0.0, 50, 4) == 0.0
    labels, predicted, others = draw(np.random.default_rng(5))
    classic = stats.sem(labels) * stats.t.ppf(0.975, 59)
    found = prediction_powered_mean(labels, predicted, others)
    assert (found.high - found.low) / 2 < 0.75 * classic


def test_predictions_that_say_nothing_are_not_trusted():
    rng = np.random.default_rng(6)
    labels, noise = rng.normal(2, 1, 50), rng.normal(0, 100, 5050)
    found = prediction_powered_mean(labels, noise[:50], noise[50:])
    assert found.value == pytest.approx(labels.mean(), abs=0.2)
    constant = prediction_powered_mean(labels, np.ones(50), np.ones(10))
    assert constant.value == pytest.approx(labels.mean())


def test_one_row_has_no_interval():
    assert bootstrap_interval([1.0]) == (1.0, -math.inf, math.inf)
    with pytest.raises(InputError, match="at least 2"):
        prediction_powered_mean([1.0], [1.0], [1.0])
    with pytest.raises(InputError, match="sum to nothing"):
        bootstrap_interval([1.0], [0.0])


def test_agreement_is_a_metric_of_dspy():
    row = dspy.Example(labels={"best": 1}, responses=["a", "b"])
    made = dspy.Prediction(scores=[1.0, 1.0], expected_scores=[1.2, 1.4], metadata={})
    assert Agreement()(row, made) == 1.0
    read = dspy.Prediction(scores=[2.0, 1.0], metadata={"raw_scores": [0.3, -2.0]})
    assert Agreement()(row, read) == 0.0
    missing = dspy.Prediction(scores=[2.0, None], metadata={})
    assert Agreement()(row, missing) == 0.5
    tie = dspy.Example(labels={"tie": True}, responses=["a", "b"])
    assert Agreement()(tie, made) == 0.5
