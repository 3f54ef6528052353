import asyncio
import json

import dspy
import pydantic
import pytest
from dspy.utils.exceptions import AdapterParseError

from structq import EvolveResponse, OutputError, ScoreResponses, StructAdapter
from structq.errors import InputError, SchemaError
from structq.schemas import FORMS, outputs_of
from structq.signatures import ScoreCall, score_signature
from structq.templates import default_criteria
from tests.scripted import ScriptedEngine, extensions_of, make_lm, prompt_of, respond

ROW = {"instruction": "Why?", "response": "Because."}


@pytest.fixture
def ask():
    """Calls a predictor with an engine that answers with this text."""

    def call(signature, answer, finish="stop", adapter=None, predict=None, **inputs):
        engine = ScriptedEngine(lambda request: respond(request, answer, finish))
        with dspy.context(lm=make_lm(engine), adapter=adapter or StructAdapter()):
            return (predict or dspy.Predict(signature))(**inputs), engine

    return call


def test_request_is_one_user_message_under_the_strict_schema(ask):
    found, engine = ask(EvolveResponse, '{"evolved_response":"x"}', **ROW)
    [request] = engine.requests
    assert found.evolved_response == "x"
    assert [message.role for message in request.messages] == ["user"]
    assert request.system is None
    assert request.config.response_format is outputs_of(EvolveResponse).response_format
    assert request.config.extensions is None


def test_system_prompt_is_the_system_of_the_request(ask):
    adapter = StructAdapter(system_prompt="Be kind.")
    _, engine = ask(EvolveResponse, '{"evolved_response":"x"}', adapter=adapter, **ROW)
    assert engine.requests[0].system == "Be kind."


def test_score_predictor_asks_for_exactly_k_scores(ask):
    found, engine = ask(
        ScoreResponses, '{"scores":[1,3]}', instruction="Why?", responses=["a", "b"]
    )
    scores = engine.requests[0].config.response_format["schema"]["properties"]["scores"]
    assert found.scores == [1, 3]
    assert (scores["minItems"], scores["maxItems"], scores["items"]["enum"]) == (2, 2, [1, 2, 3])


@pytest.mark.parametrize(
    "text", ['{"scores":[1]}', '{"scores":[1,2', '{"scores":[1,4]}', "1, 2", ""], ids=repr
)
def test_broken_answer_is_an_output_error_with_the_raw_text(ask, text):
    with pytest.raises(OutputError) as caught:
        ask(ScoreResponses, text, instruction="Why?", responses=["a", "b"])
    assert caught.value.raw == text
    assert caught.value.finish_reason == "stop"


@pytest.mark.parametrize("finish_reason", ["length", "content_filter", "error"])
def test_cut_off_answer_is_refused_even_if_it_parses(ask, finish_reason):
    with pytest.raises(OutputError) as caught:
        ask(EvolveResponse, '{"evolved_response":"x"}', finish_reason, **ROW)
    assert caught.value.finish_reason == finish_reason
    assert caught.value.raw == '{"evolved_response":"x"}'


@pytest.mark.parametrize("blank", ["", "  ", "\n"], ids=repr)
def test_blank_evolution_is_refused(ask, blank):
    with pytest.raises(OutputError, match="blank"):
        ask(EvolveResponse, json.dumps({"evolved_response": blank}), **ROW)


def test_output_error_is_the_parse_error_that_optimizers_look_for(ask):
    predict = dspy.Predict(ScoreResponses)
    with pytest.raises(AdapterParseError) as caught:
        ask(None, "no", predict=predict, instruction="Why?", responses=["a"])
    assert caught.value.signature is predict.signature
    assert caught.value.lm_response == "no"
    assert caught.value.parsed_result is None


def test_async_call_gives_the_same(lm):
    with dspy.context(lm=lm, adapter=StructAdapter()):
        predict = dspy.Predict(EvolveResponse)
        assert asyncio.run(predict.acall(**ROW)).toDict() == predict(**ROW).toDict()


def test_sync_engine_serves_async_callers():
    engine = ScriptedEngine()
    lm = dspy.LM("scripted/lm", engine=engine, cache=False)
    with dspy.context(lm=lm, adapter=StructAdapter()):
        found = asyncio.run(dspy.Predict(EvolveResponse).acall(**ROW))
    assert found.evolved_response == "Because. More."


def test_demos_are_earlier_turns_with_their_own_k(ask):
    predict = dspy.Predict(ScoreResponses)
    predict.demos = [
        {"instruction": "Old?", "responses": ["x", "y", "z"], "scores": [1, 4, 2]},
        {"instruction": "Incomplete?", "responses": ["x"]},
    ]
    _, engine = ask(None, '{"scores":[1]}', predict=predict, instruction="New?", responses=["a"])
    first, second, last = engine.requests[0].messages
    assert [first.role, second.role, last.role] == ["user", "assistant", "user"]
    assert "from 1 (worst) to 4 (best)" in first.text
    assert second.text == '{"scores": [1, 4, 2]}'
    assert "from 1 (worst) to 2 (best)" in last.text


def test_answers_are_shown_to_the_listener_before_they_are_checked():
    seen = []
    engine = ScriptedEngine(lambda request: "broken")
    adapter = StructAdapter(on_answer=seen.append)
    with dspy.context(lm=make_lm(engine), adapter=adapter), pytest.raises(OutputError):
        dspy.Predict(EvolveResponse)(**ROW)
    assert [answer.raw for answer in seen] == ["broken"]
    assert seen[0].model == "scripted/lm"


def test_prediction_holds_the_output_fields_and_nothing_else(measuring_lm):
    with dspy.context(lm=measuring_lm, adapter=StructAdapter()):
        found = dspy.Predict(ScoreResponses)(instruction="Why?", responses=["a", "b"])
    assert list(found.keys()) == ["scores"]


def test_measured_answer_survives_the_cache(tmp_path):
    seen = []
    engine = ScriptedEngine(measures=True)
    adapter = StructAdapter(on_answer=seen.append)
    before = dspy.cache
    dspy.configure_cache(enable_disk_cache=True, disk_cache_dir=tmp_path)
    try:
        lm = make_lm(engine, cache=True)
        with dspy.context(lm=lm, adapter=adapter):
            predict = dspy.Predict(ScoreResponses)
            for _ in range(2):
                predict(instruction="Why?", responses=["a", "bb"])
            dspy.cache.reset_memory_cache()
            predict(instruction="Why?", responses=["a", "bb"])
    finally:
        dspy.cache.disk_cache.close()
        dspy.cache = before
    assert len(engine.requests) == 1
    assert seen[0].measurement is not None
    assert [answer.measurement for answer in seen[1:]] == [seen[0].measurement] * 2


@pytest.mark.parametrize(
    "facts",
    [
        {"labels": [1, 2], "distributions": [[0.5, 0.5]]},
        {"labels": [1, 2, 3], "distributions": [[0.2, 0.3, 0.5]]},
        {"labels": [1, 2, 3], "distributions": [[0.2, 0.3, 0.4]] * 2},
    ],
    ids=["labels", "scores", "sum"],
)
def test_measurement_of_another_shape_is_refused(facts):
    engine = ScriptedEngine(lambda r: respond(r, '{"scores":[1,2]}', data={"structq": facts}))
    with (
        dspy.context(lm=make_lm(engine), adapter=StructAdapter()),
        pytest.raises(OutputError, match="measurement"),
    ):
        dspy.Predict(ScoreResponses)(instruction="Why?", responses=["a", "b"])


def test_several_answers_do_not_share_a_cache_entry():
    engine = ScriptedEngine(lambda r: json.dumps({"evolved_response": str(len(engine.requests))}))
    with dspy.context(lm=make_lm(engine), adapter=StructAdapter()):
        found = dspy.Predict(EvolveResponse, n=3, temperature=1.0)(**ROW)
    assert found.completions.evolved_response == ["1", "2", "3"]


class Person(pydantic.BaseModel):
    name: str
    tags: list[str]


class Extract(dspy.Signature):
    """Find the person."""

    text: str = dspy.InputField()
    hints: dict[str, int] = dspy.InputField()
    person: Person = dspy.OutputField()
    sure: bool = dspy.OutputField()


def test_any_signature_with_pydantic_outputs_works(ask):
    found, engine = ask(
        Extract,
        '{"person":{"name":"Ann","tags":["a"]},"sure":true}',
        text="Ann [text] é",
        hints={"age": 3},
    )
    assert found.person == Person(name="Ann", tags=["a"])
    assert found.sure is True
    prompt = prompt_of(engine.requests[0])
    assert prompt.startswith("Find the person.\n")
    shown = '{"person": {"name": <text>, "tags": [<text>, ...]}, "sure": <true or false>}'
    assert shown in prompt
    assert prompt.endswith('\n\ntext:\nAnn [text] é\n\nhints:\n{"age": 3}')


def test_the_compact_form_has_tags_and_no_spaces(ask):
    found, engine = ask(
        Extract,
        '{"person":{"name":"Ann","tags":["a"]},"sure":true}',
        adapter=StructAdapter(form="compact"),
        text="Ann [text] é",
        hints={"age": 3},
    )
    assert found.sure is True
    prompt = prompt_of(engine.requests[0])
    assert '{"person":{"name":"...","tags":["...",...]},"sure":<true or false>}' in prompt
    assert '[texta]\nAnn [text] é\n[/texta]\n[hintsa]\n{"age": 3}\n[/hintsa]' in prompt


def test_chain_of_thought_over_our_signature_works(ask):
    predict = dspy.ChainOfThought(EvolveResponse)
    found, _ = ask(None, '{"reasoning":"r","evolved_response":"x"}', predict=predict, **ROW)
    assert (found.reasoning, found.evolved_response) == ("r", "x")


@pytest.mark.parametrize(
    ("signature", "error"),
    [
        ("question -> answer: set[int]", SchemaError),
        ("question: dspy.History -> answer", InputError),
    ],
)
def test_what_cannot_be_carried_is_refused_before_the_call(ask, signature, error):
    with pytest.raises(error):
        ask(signature, "{}", question=dspy.History(messages=[]))


def test_missing_input_names_its_field(ask):
    with pytest.raises(InputError) as caught:
        ask(EvolveResponse, "{}", instruction="Why?", response=None)
    assert caught.value.field == "response"


def test_finetune_data_ends_with_the_answer():
    derived = score_signature(ScoreResponses, ScoreCall(1, None))
    row = {"instruction": "Why?", "responses": ["a"]}
    made = StructAdapter().format_finetune_data(derived, [], row, {"scores": [2]})
    assert made["messages"][-1] == {"role": "assistant", "content": '{"scores": [2]}'}


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ("text", "x"),
        ("json", '{"evolved_response": "x"}'),
        ("compact", '{"evolved_response":"x"}'),
    ],
)
def test_finetune_data_has_the_form_of_the_adapter(form, answer):
    adapter = StructAdapter(form=form)
    made = adapter.format_finetune_data(EvolveResponse, [], ROW, {"evolved_response": "x"})
    assert made["messages"][-1] == {"role": "assistant", "content": answer}
    assert adapter.parse(EvolveResponse, answer) == {"evolved_response": "x"}


def test_earlier_replies_are_shown_with_what_was_wrong():
    adapter = StructAdapter(broken=[("nope", "not JSON")])
    *_, reply, correction = adapter.format(EvolveResponse, [], ROW)
    assert reply == {"role": "assistant", "content": "nope"}
    assert "not JSON" in correction["content"]


# Answers that are one text


class Sum(dspy.Signature):
    """Sum it up."""

    text: str = dspy.InputField()
    short_title: str = dspy.OutputField(max_length=40)


def asked_of(engine, signature, adapter=None, **inputs):
    """The prediction, and the one request that it took."""
    with dspy.context(lm=make_lm(engine), adapter=adapter or StructAdapter()):
        found = dspy.Predict(signature)(**inputs)
    [request] = engine.requests
    return found, request


def test_the_form_is_what_the_lm_says():
    for form in FORMS:
        _, request = asked_of(ScriptedEngine(form=form), EvolveResponse, **ROW)
        assert (request.config.response_format is None) == (form == "text")
        assert ("[response]\nBecause.\n[/response]" in prompt_of(request)) == (form == "compact")


@pytest.mark.parametrize("form", [None, "yaml", 3])
def test_an_lm_without_a_known_form_is_asked_for_json(form):
    _, request = asked_of(ScriptedEngine(form=form), EvolveResponse, **ROW)
    assert '{"evolved_response": <text>}' in prompt_of(request)


def test_the_form_of_the_adapter_wins_over_that_of_the_lm():
    adapter = StructAdapter(form="json")
    _, request = asked_of(ScriptedEngine(form="text"), EvolveResponse, adapter, **ROW)
    assert request.config.response_format is outputs_of(EvolveResponse).response_format


def test_one_text_is_asked_for_as_text_and_structq_makes_the_field():
    engine = ScriptedEngine(lambda request: '  A "quoted" \\ title\n', form="text")
    found, request = asked_of(engine, Sum, text="Long.")
    assert found.short_title == 'A "quoted" \\ title'
    assert request.config.response_format is None
    assert request.config.extensions is None
    prompt = prompt_of(request)
    assert "short title" in prompt
    assert "JSON" not in prompt
    assert prompt.endswith("\n\ntext:\nLong.")


def test_the_bounds_of_the_field_are_rules_for_an_lm_that_keeps_them():
    engine = ScriptedEngine(lambda request: "A title", form="text", constrains_text=True)
    _, request = asked_of(engine, Sum, text="Long.")
    assert extensions_of(request)["text"] == {"max_chars": 40}


def test_a_text_beyond_the_bounds_of_its_field_is_an_output_error():
    engine = ScriptedEngine(lambda request: "x" * 41, form="text")
    with pytest.raises(OutputError) as caught:
        asked_of(engine, Sum, text="Long.")
    assert caught.value.raw == "x" * 41


def test_demos_of_a_text_are_the_text():
    engine = ScriptedEngine(lambda request: "New", form="text")
    predict = dspy.Predict(Sum)
    predict.demos = [{"text": "Old.", "short_title": 'An "old" one'}]
    with dspy.context(lm=make_lm(engine), adapter=StructAdapter()):
        predict(text="Long.")
    _, answer, _ = engine.requests[0].messages
    assert answer.text == 'An "old" one'


def test_an_answer_of_more_than_one_text_is_json_in_the_text_form():
    engine = ScriptedEngine(
        lambda request: '{"person": {"name": "Ann", "tags": []}, "sure": true}', form="text"
    )
    found, request = asked_of(engine, Extract, text="Ann", hints={})
    assert found.person == Person(name="Ann", tags=[])
    assert request.config.response_format is outputs_of(Extract).response_format
    assert '"sure": <true or false>' in prompt_of(request)


@pytest.mark.parametrize(("form", "spaced"), [("text", True), ("json", True), ("compact", False)])
def test_local_lms_are_told_how_json_is_spaced(form, spaced):
    engine = ScriptedEngine(form=form, constrains_text=True)
    _, request = asked_of(engine, ScoreResponses, instruction="Why?", responses=["a"])
    assert extensions_of(request) == {"spaced": spaced}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("anchored", [True, False])
def test_rules_name_the_property_that_they_are_for(form, anchored):
    rules = {"literals": ["Because."], "anchored": anchored, "min_words": 3}
    engine = ScriptedEngine(form=form, constrains_text=True)
    _, request = asked_of(engine, EvolveResponse, StructAdapter(rules=rules), **ROW)
    sent = extensions_of(request)["text"]
    assert sent.get("field") == (None if form == "text" else "evolved_response")
    assert sent.get("lead", "") == ("\n\n" if anchored and form != "compact" else "")
    assert rules.items() <= sent.items()


def test_white_space_around_a_text_goes_but_for_that_of_a_literal():
    for literals, text in (([], "x"), (["  x"], "  x\n")):
        engine = ScriptedEngine(lambda request: "  x\n", form="text")
        adapter = StructAdapter(rules={"literals": literals})
        found, _ = asked_of(engine, EvolveResponse, adapter, **ROW)
        assert found.evolved_response == text


@pytest.mark.parametrize("blank", ["", " ", "\n\t"], ids=repr)
def test_a_blank_text_is_refused(blank):
    engine = ScriptedEngine(lambda request: blank, form="text")
    with pytest.raises(OutputError, match=r"empty|blank"):
        asked_of(engine, EvolveResponse, **ROW)


# Examples before scores


def turns_before(form, scorer=ScoreResponses, n_responses=2, **options):
    adapter = StructAdapter(form=form, **options)
    inputs = {"instruction": "Why?", "responses": ["a"] * n_responses}
    return adapter.format(scorer.with_instructions(default_criteria()), [], inputs)[:-1]


def test_judged_examples_stand_before_scores_in_the_text_form():
    first, answer, *_ = turns = turns_before("text")
    assert len(turns) == 4
    assert "Response 2:" in first["content"]
    assert sorted(json.loads(answer["content"])["scores"]) == [1, 3]


@pytest.mark.parametrize("form", ["json", "compact"])
def test_other_forms_have_no_examples(form):
    assert turns_before(form) == []


def test_examples_do_not_stand_where_they_could_contradict():
    assert turns_before("text", n_responses=5) == []
    assert turns_before("text", as_text=True) == []
    template = "{{ instruction }}{{ responses }}"
    assert turns_before("text", score_template=template) == []
    adapter = StructAdapter(form="text")
    inputs = {"instruction": "Why?", "responses": ["a"]}
    own = ScoreResponses.with_instructions("Judge the rhyme.")
    assert len(adapter.format(own, [], inputs)) == 1


def test_demos_of_the_caller_replace_the_examples():
    demo = {"instruction": "Old?", "responses": ["x"], "scores": [2]}
    inputs = {"instruction": "Why?", "responses": ["a"]}
    signature = ScoreResponses.with_instructions(default_criteria())
    messages = StructAdapter(form="text").format(signature, [demo], inputs)
    assert len(messages) == 3
    assert "Old?" in messages[0]["content"]
