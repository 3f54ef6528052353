"""How long an evolution must and may be."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structq import EvolQuality, InputError
from structq.modules.length import MAX_GROWTH, Length, check_growth


def words(n):
    return "word " * n


def least(length, n=20, n_original=20, anchored=False, shortens=False):
    return length.least(words(n), words(n_original), anchored=anchored, shortens=shortens)


def test_half_of_the_response_is_the_least_unless_the_mutation_shortens():
    assert least(Length(), n=20) == 10
    assert least(Length(), n=21) == 11
    assert least(Length(), n=20, shortens=True) == 1
    assert least(Length(), n=0) == 0


def test_what_must_be_added_counts_from_the_last_response():
    assert least(Length(min_added=7), n=30, n_original=10) == 37
    assert least(Length(min_added=7), n=30, shortens=True) == 37


def test_five_words_come_behind_an_original_that_is_kept_whole():
    assert least(Length(), n_original=20, anchored=True) == 25
    assert least(Length(min_added=2), n_original=20, anchored=True) == 25
    assert least(Length(min_added=9), n_original=20, anchored=True) == 29


def test_an_upper_bound_is_a_promise_over_every_lower_one():
    assert least(Length(max_added=3), n_original=20, anchored=True) == 23


def test_growth_counts_from_forty_words():
    assert Length(max_growth=3.0).most(words(5)) == 120
    assert Length(max_growth=3.0).most(words(40)) == 120
    assert Length(max_growth=3.0).most(words(41)) == 123
    assert Length(max_growth=1.5).most(words(41)) == 62
    assert Length(max_growth=3.0).most("") == 120


def test_what_may_be_added_bounds_too():
    assert Length(max_added=10).most(words(5)) == 15
    assert Length(max_added=10, max_growth=3.0).most(words(5)) == 15
    assert Length(max_added=500, max_growth=3.0).most(words(5)) == 120
    assert Length().most(words(5)) is None


def test_growth_leaves_room_for_what_must_be_added():
    assert Length(min_added=200, max_growth=1.5).most(words(10)) == 210


@pytest.mark.parametrize(
    ("length", "sentence"),
    [
        (Length(), ""),
        (Length(min_added=7), "Add at least 7 words."),
        (Length(max_added=9), "Add at most 9 words."),
        (Length(max_added=9, max_growth=3.0), "Add at most 9 words."),
        (Length(max_growth=3.0), "Use at most 120 words."),
        (Length(min_added=7, max_growth=3.0), "Add at least 7 words. Use at most 120 words."),
    ],
    ids=str,
)
def test_the_bounds_in_words(length, sentence):
    assert length.sentence(words(5)) == sentence


BOUND = st.none() | st.integers(1, 400)


@given(
    low=BOUND,
    high=BOUND,
    growth=st.none() | st.floats(1.01, 9),
    n=st.integers(0, 300),
    shortens=st.booleans(),
)
def test_the_bounds_never_cross(low, high, growth, n, shortens):
    if low is not None and high is not None:
        low, high = sorted((low, high))
    length = Length(min_added=low, max_added=high, max_growth=growth)
    most = length.most(words(n))
    assert most is None or least(length, n=n, n_original=n, shortens=shortens) <= most


@pytest.mark.parametrize("value", [1, 1.0, 0, -3, math.inf, math.nan, "3", True, [2]], ids=repr)
def test_a_growth_that_is_no_number_above_one_is_refused(value):
    with pytest.raises(InputError, match="max_growth: must be a number above 1") as caught:
        check_growth(value)
    assert caught.value.field == "max_growth"
    with pytest.raises(InputError, match="max_growth"):
        EvolQuality(max_growth=value)


@pytest.mark.parametrize("value", [None, 2, 1.5])
def test_a_growth_can_be_set(value):
    assert EvolQuality(max_growth=value).max_growth == value


def test_growth_is_bounded_unless_it_is_said_otherwise():
    assert EvolQuality().max_growth == MAX_GROWTH == 3.0


def test_the_least_may_not_be_more_than_the_most():
    with pytest.raises(InputError, match="at most max_added_words, found 9 and 8") as caught:
        EvolQuality(min_added_words=9, max_added_words=8)
    assert caught.value.field == "min_added_words"
    assert EvolQuality(min_added_words=9, max_added_words=9).min_added_words == 9
