"""What headers say of an account, in the forms in which servers say it."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structq.engines.backends.servers.rates import Rate, rates_of

LATER = datetime.now(UTC) + timedelta(hours=10)  # collecting and running tests takes its time


def headers(left, reset):
    return {"x-ratelimit-remaining-requests": left, "x-ratelimit-reset-requests": reset}


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("1s", 1.0), ("6m0s", 360.0), ("20ms", 0.02), ("1h2m3.5s", 3723.5), ("2d", 172_800.0),
        ("500us", 0.0005), ("12", 12.0), ("0.5", 0.5), (" 7s ", 7.0), ("0s", 0.0),
    ],
)  # fmt: skip
def test_times_until_a_rate_is_whole(told, seconds):
    (rate,) = rates_of(headers("3", told))
    assert rate == Rate(name="requests", left=3.0, reset_s=pytest.approx(seconds))


@pytest.mark.parametrize(
    "told",
    [
        LATER.isoformat(), LATER.strftime("%Y-%m-%dT%H:%M:%SZ"), format_datetime(LATER),
        str(int(LATER.timestamp())), str(int(LATER.timestamp() * 1000)),
        LATER.replace(tzinfo=None).isoformat(),
    ],
    ids=["iso", "z", "http", "epoch", "epoch-ms", "no-zone"],
)  # fmt: skip
def test_dates_count_from_now(told):
    (rate,) = rates_of(headers("3", told))
    left = LATER.timestamp() - time.time()
    assert rate.reset_s == pytest.approx(left, abs=2)


@pytest.mark.parametrize(
    ("left", "reset"),
    [
        ("-1", "1s"), ("many", "1s"), ("nan", "1s"), ("inf", "1s"), ("", "1s"), ("3", ""),
        ("3", "soon"), ("3", "-5"), ("3", "1s!"), ("3", "s"), ("3", "1w"), ("3", "nan"),
        ("3", "99999999999999999"), ("3", "3000000"), ("3", "9999d"),
        ("3", "Mon, 99 Foo 99999 99:99:99 GMT"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_not_heard(left, reset):
    assert rates_of(headers(left, reset)) == []


def test_a_date_that_is_past_is_now():
    (rate,) = rates_of(headers("0", "2020-01-01T00:00:00Z"))
    assert rate.reset_s == 0.0


@pytest.mark.parametrize(
    ("names", "rate"),
    [
        ("X-RateLimit-Remaining-Requests X-RateLimit-Reset-Requests", "requests"),
        ("x-ratelimit-remaining-tokens x-ratelimit-reset-tokens", "tokens"),
        ("x-ratelimit-remaining-tokens-minute x-ratelimit-reset-tokens-minute", "tokens-minute"),
        ("anthropic-ratelimit-requests-remaining anthropic-ratelimit-requests-reset", "requests"),
        ("anthropic-ratelimit-input-tokens-remaining anthropic-ratelimit-input-tokens-reset",
         "input-tokens"),
        ("llm_provider-x-ratelimit-remaining-tokens llm_provider-x-ratelimit-reset-tokens",
         "tokens"),
        ("x-ratelimit-remaining x-ratelimit-reset", "requests"),
        ("RateLimit-Remaining RateLimit-Reset", "requests"),
        ("x-rate-limit-remaining x-rate-limit-reset", "requests"),
    ],
)  # fmt: skip
def test_names_of_rates(names, rate):
    left, reset = names.split()
    (found,) = rates_of({"content-type": "text/plain", left: "9", reset: "2s"})
    assert (found.name, found.left, found.reset_s) == (rate, 9.0, 2.0)
    assert found.of_tokens == ("token" in rate)


def test_several_rates_are_told_apart_and_half_a_rate_is_none():
    told = {
        **headers("5", "1s"),
        "x-ratelimit-remaining-tokens": "900",
        "x-ratelimit-reset-tokens": "6m0s",
        "x-ratelimit-limit-images": "5",
        "x-ratelimit-remaining-images": "5",
    }
    assert {rate.name: rate.left for rate in rates_of(told)} == {"requests": 5, "tokens": 900}


@given(st.dictionaries(st.sampled_from([*headers("", ""), "ratelimit", "x"]), st.text(max_size=20)))
def test_no_value_is_a_fault(told):
    for rate in rates_of(told):
        assert rate.left >= 0
        assert 0 <= rate.reset_s <= 31 * 86400
