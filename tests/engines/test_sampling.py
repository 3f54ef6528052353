import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structq.engines.sampling import Sampler, Sampling, _nucleus
from structq.errors import InputError

LOGITS = np.log(np.array([0.1, 0.5, 0.15, 0.25])).astype(np.float32)


def draws(n=4000, logits=LOGITS, **settings):
    sampler = Sampler(Sampling(seed=0, **settings))
    return np.bincount([sampler.choose(logits) for _ in range(n)], minlength=len(logits)) / n


def test_greedy_takes_the_lowest_of_equals():
    assert Sampler(Sampling()).choose(np.array([0.0, 3.0, 3.0], np.float32)) == 1


def test_temperature_one_draws_from_the_softmax():
    np.testing.assert_allclose(draws(temperature=1.0), np.exp(LOGITS), atol=0.03)


def test_low_temperature_sharpens():
    expected = np.exp(LOGITS * 2) / np.exp(LOGITS * 2).sum()
    np.testing.assert_allclose(draws(temperature=0.5), expected, atol=0.03)


def test_top_k_keeps_the_most_probable():
    np.testing.assert_allclose(draws(temperature=1.0, top_k=2), [0, 2 / 3, 0, 1 / 3], atol=0.03)


@pytest.mark.parametrize(
    ("top_p", "kept"), [(0.5, [1]), (0.51, [1, 3]), (0.76, [1, 3, 2]), (1e-9, [1])], ids=str
)
def test_top_p_keeps_the_smallest_set_that_reaches_it(top_p, kept):
    assert set(np.flatnonzero(draws(temperature=1.0, top_p=top_p))) == set(kept)


@pytest.mark.parametrize(
    ("min_p", "kept"), [(0.0, [0, 1, 2, 3]), (0.25, [1, 2, 3]), (0.4, [1, 3]), (1.0, [1])], ids=str
)
def test_min_p_keeps_what_has_that_share_of_the_most_probable(min_p, kept):
    # Probabilities: 0.1, 0.5, 0.15, 0.25.
    found = draws(temperature=1.0, min_p=min_p)
    assert np.flatnonzero(found).tolist() == kept
    expected = np.where(np.isin(range(4), kept), np.exp(LOGITS), 0)
    np.testing.assert_allclose(found, expected / expected.sum(), atol=0.03)


def test_min_p_looks_at_probabilities_after_the_temperature():
    assert np.flatnonzero(draws(temperature=0.5, min_p=0.2)).tolist() == [1, 3]
    assert np.flatnonzero(draws(temperature=4.0, min_p=0.6)).tolist() == [0, 1, 2, 3]


def test_what_a_mask_forbids_is_never_drawn():
    masked = LOGITS.copy()
    masked[[1, 3]] = -np.inf
    assert not draws(logits=masked, temperature=5.0)[[1, 3]].any()


def test_one_seed_gives_one_sequence():
    def sequence(seed):
        sampler = Sampler(Sampling(temperature=1.0, seed=seed))
        return [sampler.choose(LOGITS) for _ in range(50)]

    assert sequence(3) == sequence(3) != sequence(4)


@pytest.mark.parametrize("logits", [[-np.inf, -np.inf], [0.0, np.nan]], ids=["none", "nan"])
def test_logits_that_allow_nothing_are_refused(logits):
    with pytest.raises(ValueError, match="no token can be chosen"):
        Sampler(Sampling()).choose(np.array(logits, np.float32))


@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": -1.0},
        {"temperature": float("nan")},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": 0},
        {"seed": -1},
        {"min_p": -0.1},
        {"min_p": 1.1},
        {"min_p": float("nan")},
        {"repetition_penalty": 0.9},
        {"repetition_penalty": float("inf")},
        {"dry_multiplier": -1.0},
        {"dry_multiplier": float("inf")},
        {"dry_base": 0.5},
        {"dry_base": float("nan")},
        {"dry_allowed_length": 0},
    ],
    ids=str,
)
def test_settings_out_of_range_are_named(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        Sampling(**bad)


def reference(logits, sampling):
    """The tokens that may be drawn, by sorting everything."""
    scaled = (logits.astype(np.float64) - logits.max()) / sampling.temperature
    if sampling.min_p:
        scaled[scaled < np.log(sampling.min_p)] = -np.inf
    order = np.argsort(-scaled, kind="stable")[: sampling.top_k]
    weights = np.exp(scaled[order])
    before = np.cumsum(weights) - weights
    within = before < sampling.top_p * weights.sum() * (1 - 1e-12)
    return {
        int(i) for i, kept, weight in zip(order, within, weights, strict=True) if kept and weight
    }


class Numbers:
    """In place of a generator: numbers that go through the whole range."""

    def __init__(self, n):
        self.left = iter((np.arange(n) + 0.5) / n)

    def random(self):
        return next(self.left)


@settings(deadline=None, max_examples=50)
@given(
    logits=st.lists(
        st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 0.5, 1.0, 1.5]), min_size=1, max_size=200
    ).filter(lambda values: max(values) > -np.inf),
    temperature=st.sampled_from([0.7, 1.0, 3.0]),
    top_p=st.sampled_from([1e-9, 0.1, 0.5, 0.9, 0.99, 1.0]),
    top_k=st.sampled_from([None, 1, 2, 7, 150]),
    min_p=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_exactly_those_tokens_can_be_drawn_that_sorting_keeps(logits, **options):
    found = np.array(logits, np.float32)
    sampler = Sampler(Sampling(seed=0, **options))
    sampler._rng = Numbers(1_000)
    counts = np.bincount([sampler.choose(found) for _ in range(1_000)], minlength=len(found))
    kept = reference(found, sampler._sampling)
    assert set(np.flatnonzero(counts).tolist()) <= kept
    weights = np.exp((found - found.max()) / options["temperature"])
    weights[[i for i in range(len(found)) if i not in kept]] = 0
    np.testing.assert_allclose(counts / 1_000, weights / weights.sum(), atol=2e-3)


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.95, 0.999, 0.999999])
@pytest.mark.parametrize("shape", ["normal", "steep", "flat", "ties"])
def test_a_nucleus_of_a_large_vocabulary_is_that_of_sorting(shape, top_p):
    logits = np.random.default_rng(0).standard_normal(50_000)
    logits = {"normal": logits, "steep": 8 * logits, "flat": 0 * logits, "ties": logits.round(1)}
    weights = np.exp(logits[shape])
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    expected = np.sort(order[before < top_p * weights.sum() * (1 - 1e-12)])
    # The last one may differ where the sum reaches the share but for rounding.
    assert len(np.setxor1d(_nucleus(weights, top_p), expected)) <= 1


def test_answers_to_different_prompts_draw_independent_numbers():
    def number(**content):
        return Sampler(Sampling(temperature=1.0, seed=0), **content)._rng.random()

    numbers = [number(prompt=[1, 2, n]) for n in range(400)]
    numbers += [number(prompt=[1, 2, 3], draw=f"#{n}") for n in range(1, 400)]
    assert len(set(numbers)) == 799
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert ((counts - 79.9) ** 2 / 79.9).sum() < 27.9  # chi squared, 9 degrees, one in a thousand
    assert abs(np.corrcoef(numbers[:-1], numbers[1:])[0, 1]) < 0.13
    assert number(prompt=[1, 2, 3]) == number(prompt=[1, 2, 3])
