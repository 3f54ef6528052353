"""What known sentences can make of a text, under effects that are given."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structq.optimize.moves import Effects, recombine


def effects(seed, n, *, patience=np.inf):
    rng = np.random.default_rng(seed)
    together = np.triu(rng.normal(0, 0.5, (n, n)), 1)
    return Effects(
        alone=rng.normal(0.1, 1, n), together=together + together.T,
        words=rng.integers(1, 12, n).astype(float), patience=patience,
    )  # fmt: skip


def subsets(n, most):
    return chain.from_iterable(combinations(range(n), k) for k in range(most + 1))


@given(
    st.integers(0, 10**6), st.integers(1, 7), st.integers(1, 7),
    st.sampled_from([np.inf, 80.0, 20.0, 5.0]), st.data(),
)  # fmt: skip
def test_nothing_near_it_or_near_the_start_is_better(seed, n, most, patience, data):
    own = effects(seed, n, patience=patience)
    start = data.draw(st.sets(st.integers(0, n - 1), max_size=most))
    found = recombine(own, [sorted(start)], max_sentences=most)
    assert len(found) <= most
    assert list(found) == sorted(set(found))
    near = [s for s in subsets(n, most) if min(len({*s} ^ start), len({*s} ^ {*found})) <= 2]
    assert own.worth(found) >= max(map(own.worth, near)) - 1e-9


@given(st.integers(0, 10**6), st.integers(1, 7))
def test_it_is_no_worse_than_any_start(seed, n):
    own = effects(seed, n)
    starts = list(subsets(n, n))
    best = max(map(own.worth, starts))
    assert own.worth(recombine(own, starts, max_sentences=n)) == pytest.approx(best)


def test_a_start_that_is_too_long_is_cut():
    own = Effects(alone=np.ones(5), together=np.zeros((5, 5)), words=np.ones(5))
    assert len(recombine(own, [range(5)], max_sentences=3)) == 3


def test_a_sentence_as_long_as_the_patience_is_weighed_like_others():
    own = Effects(
        alone=np.array([1.0, -1.0]), together=np.zeros((2, 2)), words=np.array([20.0, 20.0]),
        patience=20.0,
    )  # fmt: skip
    assert recombine(own, [()], max_sentences=2) == (0,)
    assert recombine(own, [(1,)], max_sentences=2) == (0,)


def test_without_sentences_there_is_an_empty_text():
    none = Effects(alone=np.zeros(0), together=np.zeros((0, 0)), words=np.zeros(0))
    assert recombine(none, [()], max_sentences=3) == ()
