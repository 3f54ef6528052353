import asyncio
import json

import dspy
import numpy as np
import pytest
from dspy import lm15
from dspy.experimental import Choice, Noul, Score
from dspy.lm15 import Config, Message, Request
from dspy.utils.exceptions import LMUnsupportedFeatureError

from structq import InputError, JudgmentClient, OutputError, lm
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.judgments import read_judgments
from structq.engines.local import LocalLM
from structq.engines.pair import AsyncLocalEngine, LocalEngine
from tests.scripted import ScriptedEngine, make_lm

ASKED = {
    "ok": lm15.yes_no("Is it right?"),
    "tone": lm15.choice("What tone?", {"warm": "kind", "warmer": None, "cold": "curt"}),
    "level": lm15.score("How good?", ["bad", "fair", "good"]),
}


@pytest.fixture(scope="module")
def engine(tiny_folder):
    engine = LocalEngine(LocalLM(OnnxRuntime(tiny_folder, n_threads=1)))
    yield engine
    engine.close()


def ask(probabilities, wire=None, **config):
    wire = lm15.judgments(**ASKED) if wire is None else wire
    config = Config(response_format=wire, probabilities=probabilities, **config)
    return Request(model="structq/tiny", messages=(Message.user("Judge."),), config=config)


def closed(**properties):
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "json_schema", "name": "x", "strict": True, "schema": schema}


@pytest.mark.parametrize("policy", ["if_available", "required"])
def test_judgments_are_measured(engine, policy):
    found = engine.complete(ask(policy))
    assert found.method == "candidate_sequence_likelihood"
    assert {name: list(keys) for name, keys in found.probabilities.items()} == {
        "ok": ["true", "false"],
        "tone": ["warm", "warmer", "cold"],
        "level": ["0", "1", "2"],
    }
    for name, row in found.probabilities.items():
        assert sum(row.values()) == pytest.approx(1)
        best = max(row, key=row.get)
        assert json.dumps(found.data[name]).strip('"') == best
    assert 0 <= found.expected("level") <= 2


def test_a_distribution_is_that_of_a_measured_enum(engine):
    judged = engine.complete(ask("required", closed(level=ASKED["level"]))).probabilities["level"]
    wire = closed(level={"enum": [0, 1, 2]})
    plain = engine.complete(ask(None, wire, extensions={"structq": {"measure": True}}))
    data = plain.provider_data["structq"]["distributions"]
    np.testing.assert_array_equal(list(judged.values()), data[0])


def test_sync_and_async_judge_alike(engine):
    again = asyncio.run(AsyncLocalEngine(engine.lm).complete(ask("required")))
    assert again.message == engine.complete(ask("required")).message


@pytest.mark.parametrize("policy", [None, "off"])
def test_without_the_wish_the_answer_is_text(engine, policy):
    wire = closed(ok={"type": "boolean"})
    found = engine.complete(ask(policy, wire))
    assert found.probabilities is None
    assert isinstance(json.loads(found.text)["ok"], bool)


IMPURE = [
    closed(ok={"type": "boolean"}, why={"type": "string", "maxLength": 3}),
    closed(level={"type": "integer", "enum": [1, 2]}),
    closed(level={"enum": [0, "1"]}),
    closed(tone={"enum": ["only"]}),
    closed(),
]


@pytest.mark.parametrize("wire", IMPURE, ids=["text", "from 1", "mixed", "one", "nothing"])
def test_required_of_anything_else_is_refused(engine, wire):
    with pytest.raises(lm15.UnsupportedFeatureError, match="not all judgments") as caught:
        engine.complete(ask("required", wire))
    assert caught.value.feature == "config.probabilities"


def test_if_available_answers_anything_else_as_text(engine):
    found = engine.complete(ask("if_available", IMPURE[0]))
    assert found.probabilities is None
    assert set(json.loads(found.text)) == {"ok", "why"}


def test_required_without_a_schema_is_refused(engine):
    config = Config(probabilities="required")
    request = Request(model="structq/tiny", messages=(Message.user("x"),), config=config)
    with pytest.raises(lm15.UnsupportedFeatureError, match="not all judgments"):
        engine.complete(request)


def test_judgments_are_not_streamed(engine):
    with pytest.raises(lm15.UnsupportedFeatureError, match="not streamed"):
        list(engine.stream(ask("required")))


@pytest.mark.parametrize(
    "part",
    [True, {"enum": ["a", "a"]}, {"enum": ["a", ""]}, {"enum": [False, True]},
     {"type": "string", "enum": [0, 1]}, {"anyOf": [{"const": "a"}, {"type": "null"}]},
     {"type": "boolean", "enum": [True]}, {"enum": [1, 0]}],
    ids=str,
)  # fmt: skip
def test_what_is_no_judgment(part):
    assert read_judgments({"properties": {"x": part}}) is None


class Judge(dspy.Signature):
    """Judge the text."""

    text: str = dspy.InputField()
    quality: Score["bad", "fair", "good"] = dspy.OutputField(desc="How good it is")  # noqa: F821
    tone: Choice[("warm", "kind"), ("cold", "curt")] = dspy.OutputField(desc="Its tone")  # noqa: F821
    right: Noul = dspy.OutputField(desc="Whether it is right")


@pytest.fixture
def client(tiny_folder):
    return JudgmentClient(lm(f"onnx:{tiny_folder}"))


def test_scores_decode_measured_distributions(client):
    found = dspy.Predict(Judge)(text="A whale is a mammal.", lm=client)
    again = asyncio.run(dspy.Predict(Judge).acall(text="A whale is a mammal.", lm=client))
    row = found.quality.probabilities
    assert sum(row.values()) == pytest.approx(1)
    assert float(found.quality) == pytest.approx(sum(level * p for level, p in row.items()))
    assert found.quality.confidence == max(row.values())
    assert found.tone.value in ("warm", "cold")
    assert found.right.probability == again.right.probability
    assert client.history[-1]["model"] == client.model


def test_the_prompt_shows_questions_levels_and_inputs():
    engine = ScriptedEngine(lambda request: "{}")
    client = JudgmentClient(make_lm(engine))
    with pytest.raises(OutputError, match="no probabilities of quality, tone, right"):
        dspy.Predict(Judge)(text="A whale is [text] a fish.", lm=client)
    [request] = engine.requests
    prompt = request.messages[-1].text
    assert "Judge the text.\nquality: How good it is\n0: bad\n1: fair\n2: good\n" in prompt
    shown = '{"quality": <0, 1 or 2>, "tone": <"warm" or "cold">, "right": <true or false>}'
    assert shown in prompt
    assert prompt.endswith("\ntext:\nA whale is [text] a fish.")
    assert request.config.probabilities == "required"


def test_an_lm_of_the_compact_form_sees_tags_and_no_spaces():
    engine = ScriptedEngine(lambda request: "{}", form="compact")
    with pytest.raises(OutputError):
        dspy.Predict(Judge)(text="A whale is [text] a fish.", lm=JudgmentClient(make_lm(engine)))
    prompt = engine.requests[0].messages[-1].text
    assert '{"quality":0|1|2,"tone":"warm"|"cold","right":<true or false>}' in prompt
    assert "[texta]\nA whale is [text] a fish.\n[/texta]" in prompt


def test_a_client_is_not_saved_by_mistake(client, tmp_path):
    program = dspy.Predict(Judge)
    program.lm = client
    with pytest.raises(InputError, match="pass lm=client on the call"):
        program.save(tmp_path / "program.json")


def test_dspy_users_see_the_refusal_as_its_own_error(client):
    request = Request(
        model=client.model, messages=(Message.user("x"),), config=ask("required", IMPURE[0]).config
    )
    with pytest.raises(LMUnsupportedFeatureError, match="not all judgments"):
        client.lm(request)


class Quality(dspy.Signature):
    """Judge the text."""

    text: str = dspy.InputField()
    quality: Score["bad", "fair", "good"] = dspy.OutputField(desc="How good it is")  # noqa: F821


def test_reanchor_fits_cuts_on_measured_scores(tiny_folder):
    client = JudgmentClient(lm(f"onnx:{tiny_folder}", cache=True))
    texts = [f"Text {i}: {'fine ' * (i % 5)}" for i in range(16)]
    judge = dspy.Predict(Quality)
    judge.lm = client
    means = {text: float(judge(text=text).quality) for text in texts}
    middle = float(np.median(list(means.values())))
    rows = [
        dspy.Example(text=text, level=mean > middle).with_inputs("text")
        for text, mean in means.items()
    ]

    def right(example, prediction, trace=None):
        return float((prediction.quality.level == 2) == example.level)

    anchor = dspy.experimental.ReAnchor(right, num_threads=1)
    fitted = anchor.compile(judge, trainset=rows)
    before = [right(row, judge(**row.inputs())) for row in rows]
    after = [right(row, fitted(**row.inputs())) for row in rows]
    assert sum(after) > sum(before)
    assert anchor.report["train_score"] > anchor.report["train_score_before"]
