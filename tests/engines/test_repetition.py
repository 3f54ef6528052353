"""Penalties on what an answer has said before, against a reading of their definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structq.engines.sampling import Repetition, Sampler, Sampling

N_VOCAB = 6
LOGITS = np.array([2.0, 1.0, 0.0, -1.0, -2.0, 0.5], np.float32)


def said(tokens, breakers=()):
    repetition = Repetition(frozenset(breakers))
    for token in tokens:
        repetition.add(token)
    return repetition


def longest_run(tokens, token, breakers):
    """Most tokens before an earlier ``token`` that are also the last ones, none a breaker."""
    best = 0
    for place, earlier in enumerate(tokens):
        if earlier != token:
            continue
        n = 0
        while (
            n < place
            and tokens[place - 1 - n] == tokens[-1 - n]
            and (tokens[-1 - n] not in breakers)
        ):
            n += 1
        best = max(best, n)
    return best


def dry_by_hand(tokens, breakers, multiplier, base, allowed):
    expected = LOGITS.astype(np.float64)
    for token in set(tokens):
        run = longest_run(tokens, token, breakers)
        if run >= allowed:
            expected[token] -= multiplier * base ** min(run - allowed, 64)
    return expected


@settings(deadline=None, max_examples=200)
@given(
    tokens=st.lists(st.integers(0, N_VOCAB - 1), max_size=40),
    breakers=st.sets(st.integers(0, N_VOCAB - 1), max_size=2),
    allowed=st.integers(1, 4),
)
def test_dry_is_what_its_definition_says(tokens, breakers, allowed):
    logits = LOGITS.copy()
    said(tokens, breakers).dry(logits, 0.8, 1.75, allowed)
    expected = dry_by_hand(tokens, breakers, 0.8, 1.75, allowed)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(
    tokens=st.lists(st.integers(0, 2), min_size=250, max_size=600),
    breakers=st.sets(st.integers(0, 2), max_size=1),
)
def test_dry_holds_as_the_answer_outgrows_its_buffers(tokens, breakers):
    repetition = said([], breakers)
    for place, token in enumerate(tokens):
        repetition.add(token)
        if place % 40 == 0 or place > len(tokens) - 3 or place in (254, 255, 256, 257, 511, 512):
            logits = LOGITS.copy()
            repetition.dry(logits, 0.5, 1.1, 2)
            expected = dry_by_hand(tokens[: place + 1], breakers, 0.5, 1.1, 2)
            np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_a_loop_costs_more_with_every_turn():
    costs = []
    for turns in range(1, 6):
        logits = LOGITS.copy()
        said([0, 1] * turns + [0]).dry(logits, 1.0, 2.0, 2)
        costs.append(LOGITS[1] - logits[1])
    assert costs[0] == 0
    assert costs == sorted(costs)
    assert costs[-1] == pytest.approx(2.0 ** (9 - 2))


def test_no_run_goes_over_a_breaker():
    logits = LOGITS.copy()
    said([0, 5, 1, 2, 0, 5], breakers=[5]).dry(logits, 1.0, 2.0, 1)
    np.testing.assert_array_equal(logits, LOGITS)
    said([0, 5, 1, 2, 0, 5]).dry(logits, 1.0, 2.0, 1)
    assert logits[1] < LOGITS[1]


def test_a_run_without_end_stays_within_the_numbers():
    logits = LOGITS.copy()
    said([3] * 2000).dry(logits, 1.0, 1.75, 2)
    assert np.isfinite(logits).all()
    assert int(logits.argmin()) == 3


@settings(deadline=None)
@given(
    tokens=st.lists(st.integers(0, N_VOCAB - 1), max_size=20),
    penalty=st.floats(1.0, 4.0, allow_nan=False),
)
def test_repetition_penalty_is_what_its_definition_says(tokens, penalty):
    logits = LOGITS.copy()
    said(tokens).divide(logits, penalty)
    for token, (before, after) in enumerate(zip(LOGITS.tolist(), logits.tolist(), strict=True)):
        if token not in tokens:
            assert after == before
        else:
            assert after == pytest.approx(before / penalty if before > 0 else before * penalty)


def test_a_sampler_takes_both_penalties():
    sampler = Sampler(Sampling(repetition_penalty=2.0, dry_multiplier=1.0, dry_allowed_length=1))
    sampler.said([0, 1, 0])
    logits = LOGITS.copy()
    sampler.penalise(logits)
    np.testing.assert_allclose(logits, [1.0, 0.5 - 1.0, 0.0, -1.0, -2.0, 0.5])


def test_a_sampler_without_penalties_leaves_the_logits():
    sampler = Sampler(Sampling())
    sampler.said([0, 1, 0, 1, 0])
    logits = LOGITS.copy()
    sampler.penalise(logits)
    np.testing.assert_array_equal(logits, LOGITS)


def test_what_a_mask_forbids_stays_forbidden():
    logits = np.array([-np.inf, 1.0], np.float32)
    repetition = said([0, 1, 0, 1, 0, 1, 0])
    repetition.divide(logits, 1.5)
    repetition.dry(logits, 1.0, 1.75, 1)
    assert logits[0] == -np.inf
    assert not np.isnan(logits).any()
