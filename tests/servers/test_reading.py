"""Likelihood scoring on servers: what vLLM says of a prompt, and refusals by name."""

import math

import pytest

import structq
from structq.errors import InputError, LMError
from tests.servers.fake_server import completion, serving

ROW = {"instruction": "Name a prime.", "responses": ["7 é", "nine"]}


def words(text):
    """Tokens of a text: each word with the space before it."""
    return [(" " if i else "") + part for i, part in enumerate(text.split(" "))]


def prompt_logprobs(body, price):
    """As vLLM gives them: nothing for the first token, one entry for each later one."""
    told = [(f"<{turn['role']}>", -9.0) for turn in body["messages"]]
    text = body["messages"][-1]["content"]
    told += [(piece, price(body, piece)) for piece in words(text)]
    entries = [{"17": {"logprob": lp, "rank": 1, "decoded_token": piece}} for piece, lp in told]
    return [None, *entries]


def reading(price):
    return lambda body: {**completion(""), "prompt_logprobs": prompt_logprobs(body, price)}


def test_a_text_is_the_tokens_at_the_end_of_the_prompt():
    def price(body, piece):
        return -1.0 if body["messages"][-2]["content"] else -3.0

    with serving(reading(price)) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        found = structq.QualityScorer(scoring="likelihood", length_exponent=0, lm=lm)(**ROW)
    assert found.scores == [2.0, 1.0]
    assert found.metadata["raw_scores"] == [4.0, 2.0]
    assert found.metadata["n_tokens"] == [2, 1]
    assert found.metadata["log_probabilities"] == [-2.0, -1.0]
    for body in server.requests:
        assert body["prompt_logprobs"] == 0
        assert body["continue_final_message"] is True
        assert body["add_generation_prompt"] is False
        assert body["max_tokens"] == 1
        assert body["messages"][-1]["role"] == "assistant"
    # Each response is read twice, in whatever order the requests arrive.
    read = [body["messages"][-1]["content"] for body in server.requests]
    assert sorted(read) == ["7 é", "7 é", "nine", "nine"]


BROKEN = {
    "none": None,
    "text": "no",
    "an entry that is none": [None, {}],
    "another text": [None, {"1": {"logprob": -1.0, "decoded_token": "other text here"}}],
    "no number": [None, {"1": {"logprob": None, "decoded_token": "7 é"}}],
    "no token": [None, {"1": {"logprob": -1.0}}],
    "a list": [None, [1, 2]],
}


@pytest.mark.parametrize("given", BROKEN.values(), ids=BROKEN)
def test_what_is_no_log_probability_of_the_text_is_an_error(given):
    with serving(lambda body: {**completion(""), "prompt_logprobs": given}) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False, num_retries=0)
        with pytest.raises(LMError, match=r"prompt|found"):
            structq.QualityScorer(scoring="likelihood", lm=lm)(**ROW)


@pytest.mark.parametrize("kind", ["openai-server", "ollama", "sglang", "llamacpp-server"])
def test_a_server_that_cannot_is_refused_by_name_and_not_asked(kind):
    with serving(lambda body: completion("")) as server:
        lm = structq.lm(f"{kind}/m", api_base=server.address, cache=False)
        with pytest.raises(InputError, match=f"{kind}.*gives no log probability of a prompt"):
            structq.QualityScorer(scoring="likelihood", lm=lm)(**ROW)
    assert not server.requests


def test_the_log_probability_of_an_empty_text_is_zero():
    with serving(reading(lambda body, piece: math.log(0.5))) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        scorer = structq.QualityScorer(scoring="likelihood", lm=lm)
        found = scorer(instruction="Say nothing.", responses=["", "a b"])
    assert found.metadata["n_tokens"] == [0, 2]
    assert found.metadata["raw_scores"] == [0.0, 0.0]
