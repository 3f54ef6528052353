"""Prices come from the table as it is, and nothing is made up."""

import pytest

from structq.runs import prices
from structq.runs.prices import dollars


def test_a_price_is_that_of_the_tokens():
    once = dollars("openai/gpt-4o-mini", input_tokens=1_000_000, output_tokens=0)
    written = dollars("openai/gpt-4o-mini", input_tokens=0, output_tokens=1_000_000)
    both = dollars("openai/gpt-4o-mini", input_tokens=2_000_000, output_tokens=1_000_000)
    assert 0 < once < written
    assert both == pytest.approx(2 * once + written)


@pytest.mark.parametrize("model", ["structq/nano-ac02da85080b", "openai/no-such-model", ""])
def test_what_has_no_price_costs_nobody_knows_what(model):
    assert dollars(model, input_tokens=1, output_tokens=1) is None


@pytest.mark.slow
def test_where_the_file_is_not_the_package_says_the_same(monkeypatch):
    monkeypatch.setattr(prices, "_TABLE", "no such file")
    asked = prices._prices.__wrapped__()
    for model in ("gpt-4o-mini", "claude-sonnet-4-5"):
        for kind in ("input_cost_per_token", "output_cost_per_token"):
            assert asked[model][kind] == prices._prices()[model][kind] > 0
