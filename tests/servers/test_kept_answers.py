"""DSPy's cache holds answers that can be used, and no others; what it answers is no call."""

import dspy
import pytest

import structq
from tests.servers.fake_server import Reply, completion, serving

GOOD = '{"scores":[2,1]}'
PAIR = {"instruction": "Name a prime.", "responses": ["7", "9"]}
REFUSED = {
    "empty": completion(""),
    "null": completion(None),
    "cut off": completion('{"scores":[2', "length"),
    "fenced": completion(f"```json\n{GOOD}\n```"),
    "filtered": completion("", "content_filter"),
    "refusal": completion(None, refusal="No."),
    "prose": completion("Two and one."),
    "another key": completion('{"ratings":[2,1]}'),
    "off the scale": completion('{"scores":[2,9]}'),
    "reasoning": completion(None, reasoning_content=GOOD),
}


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path, monkeypatch):
    cache = dspy.clients.Cache(True, True, str(tmp_path / "cache"))
    monkeypatch.setattr(dspy, "cache", cache)
    return cache


def scorer_of(server, **settings):
    lm = structq.lm("vllm/m", api_base=server.address, cache=True, num_retries=0)
    return structq.QualityScorer(lm=lm, **settings)


@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_a_refused_answer_is_never_replayed(answer):
    answers = iter([answer, GOOD])
    with serving(lambda body: next(answers)) as server:
        rows = [next(scorer_of(server).process([PAIR]))[0] for _ in range(4)]
        n_requests = len(server.requests)
    assert [row["scores"] for row in rows] == [None, *[[2.0, 1.0]] * 3]
    assert n_requests == 2
    attempts = [row["metadata"]["calls"][0]["attempts"] for row in rows]
    assert attempts == [1, 1, 0, 0]


def test_what_is_asked_again_is_kept_under_its_own_question():
    answers = iter(["no", GOOD, "no", GOOD])
    with serving(lambda body: next(answers)) as server:
        for _ in range(2):
            assert scorer_of(server, max_attempts=2)(**PAIR).scores == [2.0, 1.0]
        assert len(server.requests) == 3  # the refused one again, the second from the cache


def test_tokens_of_a_kept_answer_are_not_counted_twice():
    with serving(lambda body: GOOD) as server:
        first, second = (scorer_of(server)(**PAIR) for _ in range(2))
    assert first.metadata["calls"][0]["usage"] == {"input_tokens": 11, "output_tokens": 5}
    assert second.metadata["calls"][0]["usage"] == {"input_tokens": None, "output_tokens": None}


def test_without_a_cache_every_call_is_made():
    with serving(lambda body: GOOD) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        for _ in range(3):
            structq.QualityScorer(lm=lm)(**PAIR)
        assert len(server.requests) == 3


def test_an_error_is_not_kept():
    answers = iter([Reply("{}", 500), GOOD])
    with serving(lambda body: next(answers)) as server:
        rows = [next(scorer_of(server).process([PAIR]))[0] for _ in range(2)]
    assert [row["scores"] for row in rows] == [None, [2.0, 1.0]]
