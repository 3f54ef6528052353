"""Models of Outlines that show no logits, scripted; and the real wrapper over a scripted client."""

import asyncio
import copy
import json
import pickle
from types import SimpleNamespace

import dspy
import pytest
from dspy.lm15 import Message, Request
from outlines import exceptions
from outlines.inputs import Chat
from outlines.models import OpenAI
from outlines.models.base import AsyncModel, Model, ModelTypeAdapter
from outlines.types import JsonSchema

import structq
from structq.errors import InputError, LMError

SCORED = '{"scores": [1, 3]}'


class Adapter(ModelTypeAdapter):
    def __init__(self, kinds=(str, Chat)):
        self.kinds = kinds

    def format_input(self, model_input):
        if not isinstance(model_input, self.kinds):
            raise TypeError(f"The input type {type(model_input)} is not available.")
        return model_input

    def format_output_type(self, output_type=None):
        return output_type


class Scripted:
    """Says the answers one after the other and keeps what it was asked."""

    model_name = "tiny"

    def __init__(self, *answers, kinds=(str, Chat)):
        self.answers, self.asked = list(answers), []
        self.type_adapter = Adapter(kinds)

    def say(self, model_input, output_type, settings):
        self.asked.append((model_input, output_type, settings))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Sync(Scripted, Model):
    def generate(self, model_input, output_type=None, **settings):
        return self.say(model_input, output_type, settings)

    def generate_batch(self, model_input, output_type=None, **settings):
        raise NotImplementedError

    def generate_stream(self, model_input, output_type=None, **settings):
        raise NotImplementedError


class Async(Scripted, AsyncModel):
    loops = None

    async def generate(self, model_input, output_type=None, **settings):
        self.loops = {*(self.loops or ()), asyncio.get_running_loop()}
        return self.say(model_input, output_type, settings)

    async def generate_batch(self, model_input, output_type=None, **settings):
        raise NotImplementedError

    async def generate_stream(self, model_input, output_type=None, **settings):
        raise NotImplementedError


BOTH = pytest.mark.parametrize("kind", [Sync, Async])


def score(model, max_attempts=1, **options):
    scorer = structq.QualityScorer(lm=structq.lm(model, **options), max_attempts=max_attempts)
    return scorer(instruction="Name a prime.", responses=["8", "7"])


@BOTH
def test_the_schema_goes_through_outlines_as_its_output_type(kind):
    model = kind(SCORED)
    out = score(model)
    assert out.scores == [1.0, 3.0]
    ((prompt, output_type, settings),) = model.asked
    assert isinstance(output_type, JsonSchema)
    assert json.loads(output_type.schema)["properties"]["scores"]["maxItems"] == 2
    assert isinstance(prompt, Chat)
    assert "Name a prime." in prompt.messages[-1]["content"]
    assert settings == {}


@BOTH
def test_there_are_no_distributions_and_the_metadata_say_that_nothing_constrained(kind):
    out = score(kind(SCORED))
    assert out.score_distributions is None
    assert out.expected_scores is None
    assert out.metadata["calls"][0]["constrained"] is False


@BOTH
def test_an_answer_that_breaks_the_schema_is_asked_for_again(kind):
    model = kind('{"scores": [1, 9]}', SCORED)
    assert score(model, max_attempts=2).scores == [1.0, 3.0]
    assert len(model.asked) == 2


@BOTH
def test_coroutines_are_answered(kind):
    model = kind(SCORED, SCORED, SCORED)
    scorer = structq.QualityScorer(lm=structq.lm(model))
    rows = {"instruction": "Name a prime.", "responses": ["8", "7"]}

    async def together():
        return await asyncio.gather(*(scorer.acall(**rows) for _ in range(3)))

    assert [out.scores for out in asyncio.run(together())] == [[1.0, 3.0]] * 3


def test_an_asynchronous_model_lives_in_one_loop_whoever_asks():
    model = Async("a", "b", "c")
    lm = structq.lm(model)
    assert [lm("x"), lm("y")] == [["a"], ["b"]]
    assert asyncio.run(lm.acall("z")) == ["c"]
    assert len(model.loops) == 1


def test_free_text_has_no_output_type():
    model = Sync("hello")
    assert structq.lm(model)("hi") == ["hello"]
    assert model.asked[0][1] is None


def test_a_model_of_texts_alone_gets_the_turns_as_one():
    model = Sync("ok", kinds=(str,))
    lm = structq.lm(model)
    lm(Request(model=lm.model, system="Be brief.", messages=(Message.user("Go."),)))
    assert model.asked[0][0] == "Be brief.\n\nGo."


def test_settings_go_to_the_client_as_they_are():
    model = Sync("ok")
    structq.lm(model, settings={"num_predict": 9})("x")
    assert model.asked[0][2] == {"num_predict": 9}


def test_an_option_whose_name_is_not_known_is_refused_and_the_way_out_named():
    with pytest.raises(Exception, match=r"how Sync is told max_tokens is not known.*settings="):
        structq.lm(Sync("ok"), max_tokens=5)("x")


class Client:
    """What Outlines' OpenAI wrapper calls."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []
        self.chat = SimpleNamespace(completions=self)

    def create(self, **request):
        self.asked.append(request)
        message = SimpleNamespace(content=self.answers.pop(0), refusal=None)
        return SimpleNamespace(choices=[SimpleNamespace(message=message)])


def test_outlines_own_wrapper_of_openai_says_the_schema_in_openais_words():
    client = Client(SCORED)
    out = score(OpenAI(client, "gpt-x"), temperature=0.2, max_tokens=30)
    assert out.scores == [1.0, 3.0]
    assert out.model_name == "structq/outlines-OpenAI-gpt-x"
    (asked,) = client.asked
    assert asked["response_format"]["json_schema"]["strict"] is True
    assert (asked["temperature"], asked["max_tokens"], asked["model"]) == (0.2, 30, "gpt-x")


@pytest.mark.parametrize(
    ("error", "n_asked"),
    [
        (exceptions.RateLimitError(provider="x"), 2),
        (exceptions.BadRequestError(provider="x"), 1),
        (RuntimeError("broken"), 1),
    ],
    ids=["limit", "request", "other"],
)
def test_only_what_may_pass_is_asked_again(error, n_asked, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    model = Sync(error, SCORED)
    if n_asked == 2:
        assert score(model).scores == [1.0, 3.0]
    else:
        with pytest.raises(LMError, match=type(error).__name__):
            score(model)
    assert len(model.asked) == n_asked


def test_an_answer_that_is_no_text_is_an_error():
    with pytest.raises(Exception, match="Sync answered with list"):
        structq.lm(Sync(["a", "b"]), num_retries=0)("x")


def test_such_an_lm_cannot_be_saved_and_says_so(tmp_path):
    lm = structq.lm(Sync("ok"))
    program = dspy.Predict("question -> answer")
    program.lm = lm
    with pytest.raises(InputError, match="cannot be saved: found Sync"):
        program.save(tmp_path / "program.json")
    with pytest.raises(InputError, match="cannot be saved"):
        pickle.dumps(lm)
    assert copy.deepcopy(program).lm.engine is lm.engine


@pytest.mark.parametrize(
    "option", [{"backend": "xgrammar"}, {"repetition_penalty": 1.2}], ids=["backend", "penalty"]
)
def test_options_of_steerable_models_are_refused(option):
    (name,) = option
    with pytest.raises(InputError, match=f"{name} is not for a model that shows no logits"):
        structq.lm(Sync("ok"), **option)


def test_an_lm_of_structqs_own_is_an_outlines_model_like_another():
    nano = structq.lm("nano")
    again = structq.lm(nano.engine.lm, max_tokens=9)
    assert again.engine.lm is nano.engine.lm
    assert again.model == nano.model
    assert again.dump_state()["engine"] == nano.dump_state()["engine"]
