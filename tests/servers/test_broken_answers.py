"""Broken answers over real HTTP: each is its row's own typed error, and no score ever moves."""

import json

import pytest

import structq
from tests.servers.fake_server import Reply, completion, serving

MARK = "BROKEN"
GOOD = '{"scores":[2,1]}'


def broken(text, finish_reason="stop"):
    return completion(text, finish_reason)


CASES = {
    "prose": (broken("Sure! The scores are 2 and 1."), "OutputError", "not JSON"),
    "fence": (broken(f"```json\n{GOOD}\n```"), "OutputError", "not JSON"),
    "prose around": (broken(f"Here: {GOOD}"), "OutputError", "not JSON"),
    "two objects": (broken(GOOD + GOOD), "OutputError", "not JSON"),
    "cut off": (broken('{"scores":[2,1', "length"), "OutputError", "cut off"),
    "cut off but whole": (broken(GOOD, "length"), "OutputError", "cut off"),
    "too few": (broken('{"scores":[2]}'), "OutputError", "at least 2"),
    "too many": (broken('{"scores":[2,1,1]}'), "OutputError", "at most 2"),
    "out of range": (broken('{"scores":[2,9]}'), "OutputError", "found 9"),
    "zero": (broken('{"scores":[0,1]}'), "OutputError", "found 0"),
    "float": (broken('{"scores":[2.0,1]}'), "OutputError", "found 2.0"),
    "text": (broken('{"scores":["2","1"]}'), "OutputError", "must be one of"),
    "null score": (broken('{"scores":[null,1]}'), "OutputError", "found None"),
    "nan": (broken('{"scores":[NaN,1]}'), "OutputError", "NaN"),
    "another key": (broken('{"ratings":[2,1]}'), "OutputError", "scores"),
    "key twice": (broken('{"scores":[1,1],"scores":[2,1]}'), "OutputError", "twice"),
    "blank": (broken("  \n"), "OutputError", "empty"),
    "null content": (broken(None), "OutputError", "empty"),
    "refusal": (completion(None, refusal="I cannot do that."), "OutputError", "refused"),
    "filter": (broken("", "content_filter"), "OutputError", "content filter"),
    "no choices": ({"id": "x", "model": "m", "choices": []}, "OutputError", "empty"),
    "empty object": ({}, "OutputError", "empty"),
    "bad JSON body": (Reply('{"choices": [', 200), "LMError", "not JSON"),
    "HTML": (Reply("<html>Welcome</html>", kind="text/html"), "LMError", "not JSON"),
    "HTML 502": (Reply("<html>Bad gateway</html>", 502, "text/html"), "LMError", "Bad gateway"),
    "bytes": (Reply(b"\xff\xfe\x00", 200), "LMError", "not JSON"),
    "refused schema": (Reply('{"error":{"message":"bad schema"}}', 400), "LMError", "bad schema"),
    "too long": (
        Reply(
            '{"error":{"message":"request (99 tokens) exceeds the available context size (64)"}}',
            400,
        ),
        "PromptTooLongError",
        "99 tokens",
    ),
}


def rows():
    names = ["first", "second", MARK, "fourth", "fifth"]
    return [{"instruction": f"{name}?", "responses": ["long answer", "short"]} for name in names]


def is_broken(body):
    return MARK in body["messages"][0]["content"]


def make_scorer(server, **settings):
    lm = structq.lm("vllm/m", api_base=server.address, cache=False, num_retries=0)
    return structq.QualityScorer(lm=lm, n_in_flight=5, **settings)


@pytest.mark.parametrize(("reply", "kind", "said"), CASES.values(), ids=CASES)
def test_a_broken_answer_costs_its_own_row_alone(reply, kind, said):
    with serving(lambda body: reply if is_broken(body) else GOOD) as server:
        found = next(make_scorer(server, max_attempts=3).process(rows()))
        n_broken = sum(map(is_broken, server.requests))
    assert [row["scores"] for row in found] == [[2.0, 1.0]] * 2 + [None] + [[2.0, 1.0]] * 2
    metadata = found[2]["metadata"]
    assert metadata["error"]["type"] == kind
    assert said in metadata["error"]["message"]
    assert "\n" not in metadata["error"]["message"]
    (call,) = metadata["calls"]
    assert call["attempts"] == n_broken == (3 if kind == "OutputError" else 1)
    assert len(server.requests) == 4 + n_broken


def test_the_next_attempt_is_told_what_was_wrong():
    def script(body):
        return GOOD if len(body["messages"]) > 1 else "The scores are 2 and 1."

    with serving(script) as server:
        found = make_scorer(server, max_attempts=3)(**rows()[0])
    assert found.scores == [2.0, 1.0]
    assert found.metadata["calls"][0]["attempts"] == 2
    _, second = server.requests
    asked, replied, corrected = second["messages"]
    assert asked == server.requests[0]["messages"][0]
    assert replied == {"role": "assistant", "content": "The scores are 2 and 1."}
    assert "not JSON" in corrected["content"]


def test_a_server_error_after_a_broken_answer_counts_as_the_attempt_that_it_was():
    replies = iter(["no JSON", Reply("{}", 500)])
    with serving(lambda body: next(replies)) as server:
        (row,) = next(make_scorer(server, max_attempts=3).process(rows()[:1]))
    assert row["metadata"]["error"]["type"] == "LMError"
    assert row["metadata"]["calls"][0]["attempts"] == 2
    assert row["metadata"]["calls"][0]["raw_output"] == "no JSON"


def test_server_errors_are_asked_again_as_often_as_the_lm_says_and_no_more():
    with serving(lambda body: Reply("{}", 503)) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False, num_retries=1)
        (row,) = next(structq.QualityScorer(lm=lm, max_attempts=3).process(rows()[:1]))
    assert row["scores"] is None
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "text",
    [
        '{"evolved_response":"   "}',
        '{"evolved_response":7}',
        "Better text.",
        '{"evolved_response":',
    ],
    ids=["blank", "number", "prose", "cut off"],
)
def test_a_broken_evolution_is_no_evolution(text):
    with serving(lambda body: text) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        evolve = structq.EvolQuality(lm=lm, num_evolutions=2, max_attempts=2)
        (row,) = next(evolve.process([{"instruction": "Why?", "response": "So."}]))
    assert row["evolved_response"] is None
    assert row["metadata"]["error"]["type"] == "OutputError"
    assert len(server.requests) == 2
    sent = json.dumps(server.requests[0]["response_format"])
    assert "evolved_response" in sent
    assert "logprobs" not in server.requests[0]
