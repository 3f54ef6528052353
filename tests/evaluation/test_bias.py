"""Position alone, length alone, or a judge: on judges whose nature is known."""

import numpy as np
import pytest
from scipy.stats import binom

from structq.evaluation import Judged, Labels
from structq.evaluation.bias import Decision, Ordered, _at_most, is_length_alone, is_position_alone
from structq.evaluation.judge import judge_warnings


def judged(rng, n_rows, decide):
    """Rows of two responses as a judge scores them, in both orders; quality knows the labels."""
    rows = []
    for _ in range(n_rows):
        quality = rng.normal(0, 1, 2)
        lengths = np.maximum(3, np.exp(rng.normal(4, 0.6, 2))).astype(int)
        best = int(quality[1] + rng.normal(0, 0.3) > quality[0] + rng.normal(0, 0.3))
        labels = Labels(values=(float(best == 0), float(best == 1)), kind="best")

        def scored(first, quality=quality, lengths=lengths, labels=labels):
            values = decide(rng, quality, lengths, first)
            return Judged(labels=labels, lengths=lengths.tolist(), modes=values, means=values)

        there = scored(0)
        back = scored(1)
        rows.append(
            Judged(
                labels=labels,
                lengths=there.lengths,
                modes=there.modes,
                means=there.means,
                turned=back,
            )
        )
    return rows


def by_place(lean=1.0, sd=0.0):
    def decide(rng, quality, lengths, first):
        values = rng.normal(0, sd, 2) if sd else np.zeros(2)
        values[first] += lean
        return values.tolist()

    return decide


def by_length(sd=0.0):
    return lambda rng, quality, lengths, first: (np.log(lengths) + rng.normal(0, sd, 2)).tolist()


def by_quality(sd=0.3):
    return lambda rng, quality, lengths, first: (quality + rng.normal(0, sd, 2)).tolist()


def mixed(share, one, other):
    """A judge that decides a share of its rows one way and the rest the other way."""

    def decide(rng, quality, lengths, first):
        # The row decides which, and not the order in which it is asked.
        of_row = np.random.default_rng(abs(hash((float(quality[0]), float(quality[1])))))
        chosen = one if of_row.random() < share else other
        return chosen(rng, quality, lengths, first)

    return decide


def warnings_of(rows):
    found = judge_warnings(rows)
    return {kind for kind in ("position", "length") if any(w.startswith(kind) for w in found)}


def test_a_judge_of_places_a_judge_of_lengths_and_a_good_one():
    rng = np.random.default_rng(0)
    assert warnings_of(judged(rng, 60, by_place())) == {"position"}
    assert warnings_of(judged(rng, 60, by_place(-1.0))) == {"position"}
    assert warnings_of(judged(rng, 200, by_place(sd=0.2))) == {"position"}
    assert warnings_of(judged(rng, 120, by_length())) == {"length"}
    assert warnings_of(judged(rng, 120, by_quality())) == set()


def many(make, seed):
    """Warnings of 100 noisy judges on 40 to 400 rows each."""
    rng = np.random.default_rng(seed)
    sizes = np.exp(rng.uniform(np.log(40), np.log(400), 100)).astype(int)
    found = [warnings_of(judged(rng, int(n), make(rng))) for n in sizes]
    return [sum(kind in one for one in found) for kind in ("position", "length")]


@pytest.mark.slow
def test_hundred_judges_that_judge_are_hardly_ever_warned_of():
    half = lambda rng: mixed(rng.uniform(0.5, 0.9), by_place(), by_quality(rng.uniform(0, 0.5)))  # noqa: E731
    long = lambda rng: mixed(rng.uniform(0.5, 0.9), by_length(), by_quality(rng.uniform(0, 0.5)))  # noqa: E731
    good = lambda rng: by_quality(rng.uniform(0, 1))  # noqa: E731
    noise = lambda rng: by_quality(100.0)  # noqa: E731
    for make, seed in ((half, 1), (long, 2), (good, 3), (noise, 4)):
        position, length = many(make, seed)
        assert position <= 5
        assert length <= 5


@pytest.mark.slow
def test_judges_at_nine_tenths_of_a_bias_are_rarely_warned_of():
    half = lambda rng: mixed(0.9, by_place(), by_quality())  # noqa: E731
    long = lambda rng: mixed(0.9, by_length(), by_quality())  # noqa: E731
    assert many(half, 5)[0] <= 5
    assert many(long, 6)[1] <= 8


@pytest.mark.slow
def test_judges_of_nothing_else_are_warned_of_where_there_are_rows_enough():
    places = lambda rng: by_place(rng.choice([-1.0, 1.0]))  # noqa: E731
    lengths = lambda rng: by_length()  # noqa: E731
    assert many(places, 7)[0] == 100
    assert many(lengths, 8)[1] >= 75


def test_a_good_judge_of_rows_whose_better_response_is_longer_is_no_lover_of_length():
    rng = np.random.default_rng(9)
    decisions = [
        Decision(difference=1.0, lengths=(int(n) + 40, int(n)), label=1.0)
        for n in rng.integers(10, 30, 200)
    ]
    assert not is_length_alone(decisions)
    unlabelled = [Decision(difference=1.0, lengths=one.lengths) for one in decisions]
    assert is_length_alone(unlabelled)


@pytest.mark.parametrize(
    ("first", "second", "same", "alone"),
    [(106, 0, 0, True), (40, 0, 0, True), (39, 0, 1, False), (0, 50, 0, True), (10, 0, 0, False),
     (360, 0, 40, False), (385, 0, 15, True), (30, 30, 0, False), (0, 0, 0, False),
     (5, 5, 90, False)],
)  # fmt: skip
def test_how_many_rows_show_position_alone(first, second, same, alone):
    assert is_position_alone(Ordered(first=first, second=second, same=same)) is alone


@pytest.mark.parametrize(
    ("k", "n", "p"), [(0, 40, 0.1), (3, 100, 0.05), (50, 50, 0.5), (7, 2000, 0.01)]
)
def test_tails_are_those_of_scipy(k, n, p):
    assert _at_most(k, n, p) == pytest.approx(binom.cdf(k, n, p), abs=1e-9)
