"""Reading a text: its log probability as the answer, however it is cut into passes."""

import numpy as np
import pytest

from structq.engines import generation
from structq.engines.calls import Call
from structq.engines.registry import open_lm
from structq.errors import InputError, PromptTooLongError

TURNS = [("user", "Name a prime number that is even.")]
TEXTS = ["2", "", "Two is the only even prime number, as every other one has 2 as a factor. " * 3,
         "naïve — 二 🙂", "<|im_end|> [/INST]"]  # fmt: skip


@pytest.fixture(scope="module")
def nano():
    return open_lm("nano")


def read(lm, text, turns=TURNS):
    return lm.submit(Call(messages=turns, read=text)).result()


def one_by_one(lm, text):
    """The same, from the logits of one token at a time."""
    runtime = lm._runtime
    tokens = [*runtime.encode_text(text), runtime.eos_token_id]
    slot, total, behind = 0, 0.0, runtime.encode(TURNS)
    runtime.rewind(slot, 0)
    for token in tokens:
        logits = runtime.extend(slot, behind, 1)[-1].astype(np.float64)
        total += logits[token] - np.logaddexp.reduce(logits)
        behind = [token]
    runtime.rewind(slot, 0)
    return total, len(tokens)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
def test_the_log_probability_is_that_of_each_token_in_turn(nano, text):
    found = read(nano, text).read
    total, n_tokens = one_by_one(nano, text)
    assert found.n_tokens == n_tokens
    assert found.logprob == pytest.approx(total, abs=1e-3)


def test_a_long_text_is_read_in_passes_of_a_fixed_size(nano, monkeypatch):
    text = TEXTS[2]
    whole = read(nano, text)
    assert whole.n_passes == 1
    monkeypatch.setattr(generation, "_READ_TOKENS", 7)
    parts = read(nano, text)
    assert parts.n_passes == -(-whole.read.n_tokens // 7)
    assert parts.read.logprob == pytest.approx(whole.read.logprob, abs=1e-3)
    assert (parts.text, parts.finish_reason) == ("", "stop")


def test_a_text_that_does_not_fit_is_refused(nano):
    with pytest.raises(PromptTooLongError):
        read(nano, "word " * nano.window)


def test_a_text_without_utf8_form_is_refused(nano):
    with pytest.raises(InputError, match="UTF-8"):
        read(nano, "\ud800")


def test_texts_behind_one_prompt_share_its_passes(nano):
    runtime = nano._runtime
    turns = [("user", "Tell me about the history of bridges, " * 20)]
    read(nano, "Good.", turns)
    before = runtime.n_computed
    read(nano, "Bad.", turns)
    assert runtime.n_computed - before < len(runtime.encode(turns)) / 2
