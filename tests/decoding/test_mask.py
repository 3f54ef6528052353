from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structq.decoding.grammar import TokenMask


@given(
    n_vocab=st.integers(1, 2000),
    share=st.sampled_from([0.0, 0.001, 0.02, 0.5, 1.0]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=80, deadline=None)
def test_every_way_to_read_a_mask_names_the_same_tokens(
    n_vocab: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    mask = TokenMask(n_vocab)
    bits = rng.random(32 * len(mask.words)) < share
    mask.words[:] = np.packbits(bits, bitorder="little").view("<u4")
    expected = bits[:n_vocab]
    assert mask.spread().tolist() == expected.tolist()
    assert mask.tokens().tolist() == np.flatnonzero(expected).tolist()
    logits = rng.normal(size=n_vocab).astype(np.float32)
    wanted = np.where(expected, logits, -np.inf)
    mask.apply(logits)
    assert logits.tolist() == wanted.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_logits_of_any_float_type_are_masked(dtype: type) -> None:
    mask = TokenMask(5)
    mask.words[0] = 0b10010
    logits = np.arange(5).astype(dtype)
    mask.apply(logits)
    assert logits.tolist() == [-np.inf, 1, -np.inf, -np.inf, 4]
