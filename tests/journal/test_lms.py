from types import SimpleNamespace

import pytest

from structq.journal import describe_lm


def lm(**options):
    return SimpleNamespace(model="m", kwargs=options)


@pytest.mark.parametrize(
    "option",
    ["temperature", "max_tokens", "seed", "top_k", "extra_body", "reasoning_effort", "stop"],
)
def test_an_option_that_answers_depend_on_is_told(option):
    assert describe_lm(lm(**{option: 1})) != describe_lm(lm(**{option: 2}))


@pytest.mark.parametrize(
    "option",
    [
        "api_key", "api_base", "base_url", "headers", "extra_headers", "azure_ad_token",
        "aws_secret", "password", "num_retries", "timeout", "cache",
    ],
)  # fmt: skip
def test_addresses_secrets_and_patience_are_not(option):
    assert describe_lm(lm(**{option: "one"})) == describe_lm(lm()) == {"model": "m"}


def test_what_an_engine_or_a_connection_adds_is_told():
    engine = SimpleNamespace(penalties={"dry_multiplier": 0.8})
    made = SimpleNamespace(model="m", kwargs={}, engine=engine, connection={"num_ctx": 8192})
    assert describe_lm(made) == {"model": "m", "dry_multiplier": 0.8, "num_ctx": 8192}
