"""`structq.lm` for servers: the wire, the names, the addresses, one sentence for each mistake."""

import copy
import math
import pickle
import urllib.request

import dspy
import pytest

import structq
from structq.engines.backends.servers import SERVERS, ServerLM
from structq.errors import InputError, LMError
from tests.servers.fake_server import completion, serving

PAIR = {"instruction": "Name a prime.", "responses": ["7", "9"]}


def entry(token, alternatives=()):
    tops = [
        {"token": t, "logprob": math.log(p), "bytes": list(t.encode())} for t, p in alternatives
    ]
    return {"token": token, "logprob": -0.1, "bytes": list(token.encode()), "top_logprobs": tops}


def logprobs(first, second):
    return [
        *(entry(part) for part in ('{"', "scores", '":[')),
        entry("2", first.items()),
        entry(","),
        entry("1", second.items()),
        entry("]}"),
    ]


SHOWN = logprobs({"1": 0.2, "2": 0.5, "3": 0.2}, {"1": 0.8, "2": 0.1, "3": 0.05})
HIDDEN = logprobs({"1": 0.2, "2": 0.5, "3": 0.2}, {"1": 0.8, "2": 0.1, "x": 0.05})


def scoring(given):
    return lambda body: completion('{"scores":[2,1]}', logprobs=given)


@pytest.mark.parametrize("kind", SERVERS)
def test_every_kind_of_server_is_sent_a_strict_schema(kind):
    with serving(lambda body: '{"scores":[2,1]}') as server:
        lm = structq.lm(f"{kind}/org/m", api_base=server.address, cache=False)
        found = structq.QualityScorer(lm=lm)(**PAIR)
    assert found.scores == [2.0, 1.0]
    (body,) = server.requests
    assert body["model"] == "org/m"
    assert body["temperature"] == 0
    wanted = body["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["strict"] is True
    scores = wanted["json_schema"]["schema"]["properties"]["scores"]
    assert scores["items"]["enum"] == [1, 2, 3]
    assert scores["minItems"] == scores["maxItems"] == 2
    assert body.get("top_logprobs") == (SERVERS[kind].top_logprobs or None)


def test_nothing_is_looked_up_anywhere_else(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a request to somewhere else")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with serving(lambda body: '{"scores":[2,1]}') as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        assert lm.supports_response_schema
        assert {"response_format", "logprobs"} <= lm.supported_params
        assert structq.QualityScorer(lm=lm)(**PAIR).scores == [2.0, 1.0]


def test_scores_have_the_distribution_that_the_server_shows():
    with serving(scoring(SHOWN)) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        found = structq.QualityScorer(lm=lm)(**PAIR)
    assert found.score_distributions[0] == pytest.approx({"1": 2 / 9, "2": 5 / 9, "3": 2 / 9})
    assert found.expected_scores == pytest.approx([2.0, (0.8 + 0.2 + 0.15) / 0.95])
    assert found.metadata["calls"][0]["label_mass"] == pytest.approx([0.9, 0.95])
    assert "unmeasured" not in found.metadata["calls"][0]


def test_the_distribution_survives_the_cache(tmp_path):
    with serving(scoring(SHOWN)) as server:
        scorer = structq.QualityScorer(lm=structq.lm("vllm/m", api_base=server.address))
        first, second = scorer(**PAIR), scorer(**PAIR)
    assert len(server.requests) == 1
    assert first.expected_scores == second.expected_scores
    assert second.expected_scores is not None


def test_a_label_that_is_not_shown_leaves_none_and_says_why():
    with serving(scoring(HIDDEN)) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        found = structq.QualityScorer(lm=lm)(**PAIR)
    assert found.scores == [2.0, 1.0]
    assert found.expected_scores is None
    assert found.score_distributions is None
    (call,) = found.metadata["calls"]
    assert call["unmeasured"].startswith("score 2: the label 3 is not among the 3 most likely")
    assert call["label_mass"] == pytest.approx([0.9, 0.9])


@pytest.mark.parametrize("each", [0.9, 0.5, 0.35])
def test_probabilities_that_sum_to_more_than_one_are_no_distribution(each):
    given = logprobs(dict.fromkeys("123", each), {"1": 0.8, "2": 0.1, "3": 0.05})
    with serving(scoring(given)) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        found = structq.QualityScorer(lm=lm)(**PAIR)
    assert found.scores == [2.0, 1.0]
    assert found.expected_scores is None
    (call,) = found.metadata["calls"]
    assert call["unmeasured"] == (
        f"score 1: the probabilities of one token sum to {3 * each:.3g} (at most 1 is possible)"
    )


def test_one_order_without_a_distribution_leaves_none_for_the_mean_of_all():
    given = iter([SHOWN, HIDDEN])
    with serving(lambda body: scoring(next(given))(body)) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        found = structq.QualityScorer(lm=lm, permutations=2)(**PAIR)
    assert found.scores == [1.5, 1.5]
    assert found.expected_scores is None


def test_a_server_without_logprobs_says_so():
    with serving(lambda body: '{"scores":[2,1]}') as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        found = structq.QualityScorer(lm=lm)(**PAIR)
    assert found.expected_scores is None
    assert found.metadata["calls"][0]["unmeasured"] == "the server returned no logprobs"


def test_logprobs_are_asked_for_scores_alone_and_only_where_wanted():
    with serving(lambda body: '{"evolved_response":"Better."}') as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        structq.EvolQuality(lm=lm, num_evolutions=1)(instruction="Why?", response="So.")
        assert "logprobs" not in server.requests[0]
    with serving(lambda body: '{"scores":[2,1]}') as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False, top_logprobs=0)
        found = structq.QualityScorer(lm=lm)(**PAIR)
        assert "logprobs" not in server.requests[0]
    assert "unmeasured" not in found.metadata["calls"][0]


def test_logprobs_of_any_lm_are_read_where_it_is_told_to_ask_for_them(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "true")  # DSPy's look-up, for other LMs
    with serving(scoring(SHOWN)) as server:
        options = {"api_base": server.address, "api_key": "k", "cache": False}
        lm = structq.lm("openai/gpt-4o-mini", logprobs=True, top_logprobs=3, **options)
        found = structq.QualityScorer(lm=lm)(**PAIR)
    assert server.requests[0]["top_logprobs"] == 3
    assert found.expected_scores[0] == pytest.approx(2.0)


def test_an_option_logprobs_does_not_hide_the_alternatives():
    with serving(scoring(SHOWN)) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False, logprobs=True)
        assert structq.QualityScorer(lm=lm)(**PAIR).expected_scores is not None
    assert server.requests[0]["top_logprobs"] == 20


def test_two_addresses_never_share_an_answer_in_the_cache():
    answers = []
    for text in ('{"scores":[2,1]}', '{"scores":[1,3]}'):
        with serving(lambda body, text=text: text) as server:
            lm = structq.lm("llamacpp-server/default", api_base=server.address)
            answers.append(structq.QualityScorer(lm=lm)(**PAIR).scores)
    assert answers == [[2.0, 1.0], [1.0, 3.0]]


def test_the_key_is_sent_and_never_saved():
    with serving(lambda body: '{"scores":[2,1]}', key="secret") as server:
        lm = structq.lm("vllm/m", api_base=server.address, api_key="secret", cache=False)
        lm.load()
        scorer = structq.QualityScorer(lm=lm)
        assert scorer(**PAIR).scores == [2.0, 1.0]
        assert "secret" not in str(lm.dump_state())
        assert "secret" not in str(lm)


def test_a_saved_program_finds_its_server_again(tmp_path):
    with serving(lambda body: '{"scores":[2,1]}') as server:
        scorer = structq.QualityScorer()
        scorer.set_lm(
            structq.lm(
                "sglang/m", api_base=server.address, max_tokens=9, cache=False, top_logprobs=4
            )
        )
        scorer.save(tmp_path / "scorer.json")
        loaded = structq.QualityScorer()
        loaded.load(tmp_path / "scorer.json", allow_unsafe_lm_state=True)
        assert loaded(**PAIR).scores == [2.0, 1.0]
    lm = loaded.score.lm
    assert isinstance(lm, ServerLM)
    assert (lm.spec, lm.address, lm.top_logprobs) == ("sglang/m", server.address, 4)
    assert (lm.model, lm.kwargs["max_tokens"]) == (scorer.score.lm.model, 9)


def test_copies_keep_what_makes_them_servers():
    lm = structq.lm("vllm/m", api_base="http://127.0.0.1:1").copy(temperature=0.5)
    assert (lm.top_logprobs, lm.kwargs["temperature"]) == (20, 0.5)
    assert lm.supports_response_schema


@pytest.mark.parametrize(
    "clone", [copy.deepcopy, lambda lm: pickle.loads(pickle.dumps(lm))], ids=["deepcopy", "pickle"]
)
def test_clones_reach_the_same_server(clone):
    with serving(lambda body: '{"scores":[2,1]}') as server:
        lm = clone(structq.lm("vllm/m", api_base=server.address, cache=False))
        assert structq.QualityScorer(lm=lm)(**PAIR).scores == [2.0, 1.0]
    assert server.requests[0]["top_logprobs"] == 20


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://10.0.0.7:8000", "http://10.0.0.7:8000/v1"),
        ("http://10.0.0.7:8000/", "http://10.0.0.7:8000/v1"),
        ("https://host/api/v1/", "https://host/api/v1"),
        ("http://host:1/v1/chat/completions", "http://host:1/v1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
        (None, "http://127.0.0.1:8000/v1"),
    ],
)
def test_addresses_may_be_given_as_people_write_them(given, address):
    assert structq.lm("vllm/m", api_base=given).address == address


@pytest.mark.parametrize(
    "address",
    ["", "localhost:8000", "ftp://host", "http://", "http://host:x/v1", "http://h/v1?a=b", 7],
)
def test_a_wrong_address_is_named(address):
    with pytest.raises(InputError, match=r"^api_base: ") as found:
        structq.lm("vllm/m", api_base=address)
    assert found.value.field == "api_base"


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(InputError, match="api_key") as found:
        structq.lm("vllm/m", api_base="http://me:hunter2@host/v1")
    assert "hunter2" not in str(found.value)


@pytest.mark.parametrize(
    ("spec", "options", "said"),
    [
        ("vllm/", {}, "not an LM of a server"),
        ("openai-server/m", {}, "api_base"),
        ("vllm/m", {"top_logprobs": -1}, "top_logprobs"),
        ("vllm/m", {"num_retries": -1}, "num_retries"),
        ("openai/", {}, "no model id"),
    ],
)
def test_a_wrong_spec_or_option_is_one_sentence(spec, options, said):
    with pytest.raises(InputError, match=said) as found:
        structq.lm(spec, **options)
    assert "\n" not in str(found.value)


def test_a_server_that_is_not_there_shows_before_the_first_row():
    lm = structq.lm("vllm/m", api_base="http://127.0.0.1:9", num_retries=0)
    with pytest.raises(LMError, match=r"http://127\.0\.0\.1:9/v1 does not answer: .*refused"):
        structq.QualityScorer(lm=lm).load()
    with pytest.raises(LMError, match=r"refused.*127\.0\.0\.1.*api_base") as found:
        structq.QualityScorer(lm=lm)(**PAIR)
    assert "\n" not in str(found.value)


def test_a_wrong_key_shows_before_the_first_row():
    with serving(lambda body: "", key="right") as server:
        lm = structq.lm("vllm/m", api_base=server.address, api_key="wrong", num_retries=0)
        with pytest.raises(LMError, match="refuses the key"):
            lm.load()
        with pytest.raises(LMError, match=r"Incorrect API key.*api_key") as found:
            structq.QualityScorer(lm=lm)(**PAIR)
    assert "\n" not in str(found.value)


def test_a_model_that_is_not_served_shows_before_the_first_row():
    with serving(lambda body: "", models=("a", "b:latest")) as server:
        structq.lm("ollama/b", api_base=server.address).load()
        structq.lm("llamacpp-server/any", api_base=server.address).load()
        with pytest.raises(InputError, match=r"no model 'm' \(it has 'a', 'b:latest'\)"):
            structq.lm("vllm/m", api_base=server.address).load()


def test_other_model_strings_are_plain_dspy():
    lm = structq.lm("openai/gpt-4o-mini", api_key="k", temperature=0.3)
    assert type(lm) is dspy.LM
    assert (lm.model, lm.kwargs["temperature"]) == ("openai/gpt-4o-mini", 0.3)


def test_one_sync_and_many_async_calls_share_one_lm():
    with serving(lambda body: '{"scores":[2,1]}') as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False)
        found = next(structq.QualityScorer(lm=lm, n_in_flight=16).process([PAIR] * 48))
    assert all(row["scores"] == [2.0, 1.0] for row in found)
    assert len(server.requests) == 48
