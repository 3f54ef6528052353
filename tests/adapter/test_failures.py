"""Refusals of a long prompt, as servers word them: each says both lengths."""

import pytest
from dspy.utils.exceptions import LMInvalidRequestError

from structq.adapter.failures import lm_failure
from structq.errors import PromptTooLongError

WORDS = {
    "structq": "the prompt is too long: 5000 tokens (at most 4096 fit)",
    "openai": "This model's maximum context length is 4096 tokens. However, your messages resulted "
    "in 5000 tokens.",
    "vllm": "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "vllm newer": "Your request has 5000 input tokens, but the model's context is 4096",
    "vllm only": "You passed 5000 tokens, but the model's context length is only 4096 tokens, "
    "and your request has 5000 input tokens",
    "llama.cpp": "request (5000 tokens) exceeds the available context size (4096 tokens)",
    "sglang": "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "tgi": "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
    "anthropic": "prompt is too long: 5000 tokens > 4096 maximum",
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_prompt_that_is_too_long_is_known_by_any_servers_words(words):
    found = lm_failure(LMInvalidRequestError(words, model="m"))
    assert isinstance(found, PromptTooLongError)
    assert (found.n_tokens, found.limit) == (5000, 4096)


@pytest.mark.parametrize(
    "words", ["max_tokens must be at most 4096", "unknown field 'top_k'", "bad schema: 12 tokens"]
)
def test_another_refusal_is_not_taken_for_one(words):
    assert not isinstance(lm_failure(LMInvalidRequestError(words, model="m")), PromptTooLongError)
