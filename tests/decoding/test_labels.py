from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from structq.decoding import LabelTrie, Measurement, token_paths
from structq.errors import InputError, LMError
from tests.decoding.walks import TOKENIZERS, grammars

RANGES = [(1, 6), (0, 9), (1, 10), (1, 100)]
Logits = Callable[[tuple[int, ...]], NDArray[np.float32]]


def _synthetic(n_vocab: int, seed: int, spread: float) -> Logits:
    """A language model that is a function of its last tokens, and nothing else."""

    def logits(prefix: tuple[int, ...]) -> NDArray[np.float32]:
        rng = np.random.default_rng([seed, len(prefix), *prefix])
        return (spread * rng.normal(size=n_vocab)).astype(np.float32)

    return logits


def _enumerate(name: str, low: int, high: int, logits: Logits) -> tuple[list[float], float]:
    """Label probabilities by walking every string of tokens that begins a label, in plain Python.

    It goes over the whole vocabulary at every prefix and recognises labels by their bytes.
    """
    vocabulary = grammars(name).vocabulary
    texts = [f",{value}" for value in range(low, high + 1)]
    whole = [tuple(vocabulary.tokenize(text)) for text in texts]
    n_forced = 1 if all(path[0] == whole[0][0] and len(path) > 1 for path in whole) else 0
    canonical = {path[n_forced:] for path in whole}
    mass = {text[n_forced:].encode(): 0.0 for text in texts}

    def softmax(prefix: tuple[int, ...]) -> list[float]:
        numbers = [float(one) for one in logits(prefix)]
        top = max(numbers)
        weights = [math.exp(one - top) for one in numbers]
        total = math.fsum(weights)
        return [weight / total for weight in weights]

    def visit(prefix: tuple[int, ...], text: bytes, weight: float) -> None:
        longer = any(path[: len(prefix)] == prefix and path != prefix for path in canonical)
        if not longer:
            mass[text] += weight
            return
        for token, chance in enumerate(softmax(prefix)):
            grown = (*prefix, token)
            if any(path[: len(grown)] == grown for path in canonical):
                visit(grown, text + vocabulary.tokens[token], weight * chance)
            elif prefix in canonical and vocabulary.tokens[token][:1] == b",":
                mass[text] += weight * chance

    visit((), b"", 1.0)
    total = math.fsum(mass.values())
    return [one / total for one in mass.values()], total


def _measured(name: str, low: int, high: int, logits: Logits) -> Measurement:
    vocabulary = grammars(name).vocabulary
    labels = [str(value) for value in range(low, high + 1)]
    _, paths = token_paths(vocabulary.tokenize, ",", labels)
    trie = LabelTrie(paths, closing=vocabulary.starting_with(b","))
    return trie.measure({node: logits(node) for node in trie.nodes})


@pytest.mark.parametrize(("low", "high"), RANGES)
@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("spread", [0.5, 4.0, 30.0])
def test_distributions_match_enumeration(name: str, low: int, high: int, spread: float) -> None:
    for seed in range(1 if high > 10 else 3):  # the many labels take long
        logits = _synthetic(grammars(name).vocabulary.n_vocab, seed, spread)
        expected, mass = _enumerate(name, low, high, logits)
        found = _measured(name, low, high, logits)
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-9, rtol=1e-6)
        assert found.mass == pytest.approx(mass, rel=1e-6)
        values = np.arange(low, high + 1)
        assert abs(found.probabilities @ values - np.dot(expected, values)) < 1e-6


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_digits_make_the_trees_that_they_should(low: int, high: int) -> None:
    def n_nodes(name: str) -> int:
        tokenize = grammars(name).vocabulary.tokenize
        labels = [str(value) for value in range(low, high + 1)]
        _, paths = token_paths(tokenize, ",", labels)
        closing = grammars(name).vocabulary.starting_with(b",")
        return len(LabelTrie(paths, closing=closing).nodes)

    assert n_nodes("single-digits") == {6: 1, 9: 1, 10: 2, 100: 11}[high]
    assert n_nodes("merged-digits") < {6: 2, 9: 2, 10: 2, 100: 11}[high]


def test_a_label_that_begins_another_needs_the_model_to_stop() -> None:
    one, zero, comma = 0, 1, 2
    trie = LabelTrie([(one,), (one, zero)], closing=comma)
    found = trie.measure({(): np.log([0.5, 0.3, 0.2]), (one,): np.log([0.2, 0.6, 0.2])})
    np.testing.assert_allclose(found.probabilities, [0.25, 0.75])
    assert found.mass == pytest.approx(0.5 * 0.8)


def test_the_raw_mass_says_how_much_fell_on_labels() -> None:
    found = LabelTrie([(0,), (1,)]).measure({(): np.log([0.01, 0.03, 0.96])})
    np.testing.assert_allclose(found.probabilities, [0.25, 0.75])
    assert found.mass == pytest.approx(0.04)


@given(
    st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4),
    st.floats(-1e5, 1e5),
)
@settings(max_examples=80, deadline=None)
def test_distributions_are_stable_and_sum_to_one(numbers: list[float], shift: float) -> None:
    trie = LabelTrie([(0,), (1,), (2,)])
    plain = trie.measure({(): np.array(numbers)})
    assert abs(plain.probabilities.sum() - 1) < 1e-12
    assert 0 <= plain.mass <= 1
    moved = trie.measure({(): np.array(numbers) + shift})
    np.testing.assert_allclose(plain.probabilities, moved.probabilities, atol=1e-9)


def test_labels_far_below_the_rest_keep_their_proportions() -> None:
    logits = np.array([-2000.0, -2000.0 + math.log(3), 500.0])
    found = LabelTrie([(0,), (1,)]).measure({(): logits})
    np.testing.assert_allclose(found.probabilities, [0.25, 0.75])
    assert found.mass == 0


@pytest.mark.parametrize("bad", [-np.inf, np.nan])
def test_logits_without_any_label_are_an_error(bad: float) -> None:
    with pytest.raises(LMError, match="no label any probability"):
        LabelTrie([(0,), (1,)]).measure({(): np.array([bad, bad, 1.0])})


@pytest.mark.parametrize(
    ("paths", "closing", "message"),
    [
        ([], None, "at least one token"),
        ([()], None, "at least one token"),
        ([(1,), (1,)], None, "the same tokens"),
        ([(1,), (1, 2)], None, "closing tokens are needed"),
        ([(1,), (1, 2)], [2, 3], "goes on with a label"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(
    paths: Any, closing: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        LabelTrie(paths, closing=closing)


def test_nodes_come_root_first() -> None:
    trie = LabelTrie([(5,), (5, 6), (5, 6, 7), (2, 1)], closing=9)
    assert trie.nodes == ((), (2,), (5,), (5, 6))


@pytest.mark.parametrize("name", TOKENIZERS)
def test_paths_and_forced_tokens_are_canonical(name: str) -> None:
    vocabulary = grammars(name).vocabulary
    before, labels = '{"score":', ['"evolved"', '"plant"', '"evolved plant"']
    forced, paths = token_paths(vocabulary.tokenize, before, labels)
    for label, path in zip(labels, paths, strict=True):
        assert path
        assert [*forced, *path] == vocabulary.tokenize(before + label)
