"""What DSPy does around a call: left out where nobody would notice it, done where somebody does."""

import asyncio

import dspy
import pytest
from dspy.utils.callback import BaseCallback
from dspy.utils.usage_tracker import track_usage

import structq
from tests.servers.fake_server import Reply, serving

ROW = {"instruction": "Why?", "responses": ["a", "b"]}


@pytest.fixture
def lm():
    with serving(lambda body: '{"scores":[1,2]}') as server:
        yield structq.lm("vllm/m", api_base=server.address, cache=False, num_retries=0)


@pytest.fixture
def layers(monkeypatch):
    """Which of DSPy's layers were gone through."""
    seen = []
    for kind in (dspy.Predict, dspy.BaseLM):
        inner = kind.__dict__["aforward" if kind is dspy.Predict else "acall"]

        async def through(self, *arguments, _inner=inner, _name=kind.__name__, **options):
            seen.append(_name)
            return await _inner(self, *arguments, **options)

        monkeypatch.setattr(kind, inner.__name__, through)
    return seen


def scored(lm, **options):
    (row,) = next(structq.QualityScorer(lm=lm, **options).process([ROW]))
    assert row["metadata"]["error"] is None
    return row


def test_rows_go_straight_to_the_engine(lm, layers):
    assert scored(lm)["scores"] == [1.0, 2.0]
    assert layers == []


def test_callbacks_hear_the_predictor_and_the_lm(lm):
    heard = []

    class Ear(BaseCallback):
        def on_module_start(self, call_id, instance, inputs):
            heard.append(type(instance).__name__)

        def on_lm_end(self, call_id, outputs, exception=None):
            heard.append("lm")

    with dspy.context(callbacks=[Ear()]):
        scored(lm)
    assert heard == ["QualityScorer", "Predictor", "lm"]


@pytest.mark.parametrize("place", ["lm", "predictor"])
def test_callbacks_of_one_part_alone_are_heard(lm, place):
    heard = []

    class Ear(BaseCallback):
        def on_module_start(self, call_id, instance, inputs):
            heard.append("predictor")

        def on_lm_start(self, call_id, instance, inputs):
            heard.append("lm")

    scorer = structq.QualityScorer(lm=lm)
    (lm if place == "lm" else scorer.score).callbacks = [Ear()]
    next(scorer.process([ROW]))
    assert heard == [place]


def test_usage_is_tracked_where_somebody_asks(lm):
    with track_usage() as usage:
        scored(lm)
    assert usage.get_total_tokens()[lm.model]["prompt_tokens"] > 0


def test_a_call_has_its_history_and_its_trace(lm):
    scorer = structq.QualityScorer(lm=lm)
    with dspy.context(trace=[]):
        asyncio.run(scorer.acall(**ROW))
        assert len(dspy.settings.trace) == 1
    assert len(lm.history) == 1


def test_an_lm_that_somebody_has_changed_is_asked_as_it_is(lm, layers):
    asked = []
    inner = lm.acall

    async def acall(*arguments, **options):
        asked.append(arguments)
        return await inner(*arguments, **options)

    lm.acall = acall
    scored(lm)
    assert len(asked) == 1
    assert layers == ["BaseLM"]


def test_answers_are_kept_where_the_lm_has_a_cache(lm):
    lm.cache = True
    row = {**ROW, "instruction": "Why is this one new?"}
    scorer = structq.QualityScorer(lm=lm)
    first, again = (next(scorer.process([row]))[0] for _ in range(2))
    assert again["scores"] == first["scores"]
    attempts = [one["metadata"]["calls"][0]["attempts"] for one in (first, again)]
    assert attempts == [1, 0]


@pytest.mark.parametrize(
    ("status", "told"), [(401, "LMAuthError"), (404, "LMUnsupportedModelError"), (400, "no")]
)
def test_faults_of_the_server_are_told_as_ever(status, told):
    with serving(lambda body: Reply('{"error":"no"}', status)) as server:
        lm = structq.lm("vllm/m", api_base=server.address, cache=False, num_retries=0)
        (row,) = next(structq.QualityScorer(lm=lm).process([ROW]))
    assert row["metadata"]["error"]["type"] == "LMError"
    assert told in row["metadata"]["error"]["message"]
