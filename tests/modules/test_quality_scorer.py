import asyncio
import json

import pytest

from structq import InputError, OutputError, QualityScorer
from structq.templates import default_criteria
from tests.scripted import ScriptedEngine, body_of, make_lm, prompt_of, respond, schema_of

ASK = {"instruction": "Why?", "responses": ["a", "bbb", "cc"]}


def labels_of(request):
    return schema_of(request)["scores"]["items"]["enum"]


def test_scores_keep_response_order(configured):
    found = QualityScorer()(**ASK)
    assert found.scores == [1.0, 3.0, 2.0]
    assert all(isinstance(score, float) for score in found.scores)
    assert found.model_name == "scripted/lm"


def test_without_measurement_there_is_no_expectation(configured):
    found = QualityScorer()(**ASK)
    assert found.expected_scores is None
    assert found.score_distributions is None


def test_measured_distributions_give_the_expectation(measuring_lm):
    found = QualityScorer(lm=measuring_lm)(**ASK)
    for row, mean in zip(found.score_distributions, found.expected_scores, strict=True):
        assert list(row) == ["1", "2", "3", "4"]
        assert sum(row.values()) == pytest.approx(1)
        assert mean == pytest.approx(sum(int(label) * p for label, p in row.items()))
    [call] = found.metadata["calls"]
    assert call["n_passes"] == 3
    assert call["label_mass"] == [0.9] * 3


def test_expectation_never_leaves_the_scale():
    nearly = [1 - 2e-7, 1e-7, 0.0]
    facts = {"labels": [1, 2, 3], "distributions": [nearly, nearly[::-1]], "label_mass": [1, 1]}
    engine = ScriptedEngine(
        lambda r: respond(r, '{"scores":[1,3]}', data={"structq": facts}), measures=True
    )
    found = QualityScorer(lm=make_lm(engine))(instruction="Why?", responses=["a", "b"])
    assert 1 <= found.expected_scores[0] < found.expected_scores[1] <= 3


@pytest.mark.parametrize(
    ("scale", "labels"),
    [
        (None, [1, 2, 3, 4]),
        ((1, 6), [1, 2, 3, 4, 5, 6]),
        ([0, 2], [0, 1, 2]),
        ({5: "great", 1: "bad"}, [1, 5]),
    ],
    ids=str,
)
def test_schema_has_the_labels_of_the_scale(configured, engine, scale, labels):
    QualityScorer(scale=scale)(**ASK)
    assert labels_of(engine.requests[0]) == labels


def test_rubric_stands_in_the_prompt(configured, engine):
    QualityScorer(scale={1: "bad", 5: "great"}, criteria="Judge.")(**ASK)
    assert "Judge.\n1: bad\n5: great" in prompt_of(engine.requests[0])


def test_tuned_criteria_are_asked(configured, engine):
    scorer = QualityScorer()
    scorer.score.signature = scorer.score.signature.with_instructions("Facts only.")
    scorer(**ASK)
    prompt = prompt_of(engine.requests[0])
    assert "Facts only." in prompt
    assert default_criteria() not in prompt


def test_permutations_put_scores_back_and_average():
    # Scores the first place highest, whatever stands there.
    engine = ScriptedEngine(lambda r: '{"scores":[3,1]}')
    found = QualityScorer(permutations=2, lm=make_lm(engine))(
        instruction="Why?", responses=["a", "b"]
    )
    assert found.scores == [2.0, 2.0]
    assert len(found.metadata["calls"]) == 2
    assert body_of(prompt_of(engine.requests[1]), "1") == "b"


def test_permutations_average_the_distributions(measuring_lm):
    once = QualityScorer(lm=measuring_lm)(**ASK)
    often = QualityScorer(lm=measuring_lm, permutations=3)(**ASK)
    assert often.expected_scores == pytest.approx(once.expected_scores)


def test_more_permutations_than_orders_are_not_asked(configured, engine):
    QualityScorer(permutations=9)(instruction="Why?", responses=["only"])
    assert len(engine.requests) == 1


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("[1] Score: 2\n[2] Score: 4\n[3] Score: 1", [2.0, 4.0, 1.0]),
        ("[3] Score: 1\n[1] Score: 2", [2.0, None, 1.0]),
        ("Sure!\n\n[2] Score: 4\nDone.", [None, 4.0, None]),
        ("[1] Score: 9\n[2] Score: 2.5\n[9] Score: 1", [None, None, None]),
        ("[1] Score: 1\n[1] Score: 2\n[2] Score: 3\n[2] Score: 3", [None, 3.0, None]),
        ("[1] Score: 2\r\n[2] Score: 4\r\n[3] Score: 1\r\n", [2.0, 4.0, 1.0]),
        ("**[1]** Score: 3\n- [2] **Score:** 4\n> `[3] Score: 1`", [3.0, 4.0, 1.0]),
        ("［１］ Score：３\n[2] score = 4/4, good\n2. [3] Score: 1.0", [3.0, 4.0, 1.0]),
        ("1. Score: 3\n2. Score: 4\n3: Score: 1", [None, None, None]),
        ("[1] Score: 1 - 2\n[2] Score: 3 or 4\n[3] Score: -1", [None, None, None]),
        ("[1] Score: 2 of 'a\u2028[2] Score: 4'\u2029[3] Score: 1", [2.0, None, None]),
        ("1\n2\n3", [None, None, None]),
        ("", [None, None, None]),
    ],
    ids=[
        "all",
        "order",
        "prose",
        "off scale",
        "twice",
        "CRLF",
        "bold",
        "wide",
        "numbered",
        "range",
        "quoted",
        "bare",
        "empty",
    ],
)
def test_text_form_is_read_by_index(text, scores):
    engine = ScriptedEngine(lambda r: text)
    scorer = QualityScorer(use_default_structured_output=False, lm=make_lm(engine))
    assert scorer(**ASK).scores == scores
    assert engine.requests[0].config.response_format is None
    assert "[3] Score: s3" in prompt_of(engine.requests[0])


def test_a_missing_score_has_its_reason_and_is_asked_for_again():
    answers = iter(["**[1]** Score: 9\n[2] Score: 1", "[1] Score: 3\n[2] Score: 4\n[3] Score: 1"])
    engine = ScriptedEngine(lambda r: next(answers))
    options = {"use_default_structured_output": False, "lm": make_lm(engine)}
    found = QualityScorer(max_attempts=2, **options)(**ASK)
    assert found.scores == [3.0, 4.0, 1.0]
    told = prompt_of(engine.requests[1])
    assert "response 1: the score 9 is off the scale (1 to 4); response 3: the answer has" in told
    assert "unscored" not in found.metadata
    answers = iter(["[2] Score: 1\n[1] Score: 2\n[1] Score: 3"])
    found = QualityScorer(**options)(**ASK)
    assert found.scores == [None, 1.0, None]
    assert found.metadata["unscored"] == [
        {"response": 0, "reason": "the answer has lines that differ: 2 and 3"},
        {"response": 2, "reason": "the answer has no line such as '[3] Score: 1'"},
    ]


def test_row_may_bring_its_system_prompt(configured, engine):
    scorer = QualityScorer(system_prompt="ours")
    scorer(**ASK, system_prompt="theirs")
    scorer(**ASK)
    assert [request.system for request in engine.requests] == ["theirs", "ours"]


def test_template_replaces_the_prompt(configured, engine):
    template = "{{ instruction }}{% for r in responses %}\n[{{ loop.index }}]\n{{ r }}\n"
    template += "[/{{ loop.index }}]{% endfor %}\n[instruction]\n[/instruction]"
    scorer = QualityScorer(template=template)
    scorer(**ASK)
    assert prompt_of(engine.requests[0]).startswith("Why?\n[1]\na\n[/1]\n[2]")
    assert scorer._template == template


def test_packaged_template_is_seen_under_its_old_name():
    assert "{{ form }}" in QualityScorer()._template


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"instruction": "", "responses": ["a"]}, "instruction"),
        ({"instruction": "x", "responses": []}, "responses"),
        ({"instruction": "x", "responses": None}, "responses"),
        ({"instruction": "x", "responses": "text"}, "responses"),
        ({"instruction": "x", "responses": ["a", None]}, "responses"),
        ({"instruction": "x", "responses": ["a", "\udfff"]}, "responses"),
        ({"instruction": "x", "responses": ["a"], "system_prompt": 3}, "system_prompt"),
    ],
    ids=str,
)
def test_wrong_input_names_its_field_and_costs_no_call(configured, engine, values, field):
    with pytest.raises(InputError) as caught:
        QualityScorer()(**values)
    assert caught.value.field == field
    assert engine.requests == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"scale": (3, 3)}, "scale: low 3 is not below high 3"),
        ({"scale": (5, 1)}, "low 5 is not below high 1"),
        ({"scale": (1, 2, 3)}, "found (1, 2, 3)"),
        ({"scale": (1.0, 2)}, "found (1.0, 2)"),
        ({"scale": (False, True)}, "found (False, True)"),
        ({"scale": "1-6"}, "found '1-6'"),
        ({"scale": (0, 1000)}, "too wide"),
        ({"scale": {1: "only"}}, "found 1"),
        ({"scale": {}}, "found 0"),
        ({"scale": {1: "a", "x": "b"}}, "found 'x'"),
        ({"scale": {1: "a", 2: " "}}, "level 2 has no description"),
        ({"scale": {1: "a", 2: 3}}, "scale[2]: must be text"),
        ({"permutations": 0}, "permutations"),
        ({"criteria": " "}, "criteria: is blank"),
        ({"template": "no fields"}, "lacks the field"),
        ({"use_default_structured_output": "no"}, "use_default_structured_output"),
    ],
    ids=str,
)
def test_wrong_setting_fails_at_construction_and_is_named(options, named):
    with pytest.raises(InputError) as caught:
        QualityScorer(**options)
    assert named in str(caught.value)


@pytest.mark.parametrize("scale", [None, (1, 6), {1: "bad", 5: "great"}], ids=str)
def test_saved_and_loaded_is_the_same_module(tmp_path, scale):
    scorer = QualityScorer(scale=scale, permutations=3, criteria="Facts.", system_prompt="S")
    scorer.save(tmp_path / "scorer.json")
    loaded = QualityScorer()
    loaded.load(tmp_path / "scorer.json")
    assert loaded.settings == scorer.settings
    assert loaded.scale == scale
    assert loaded.score.signature.instructions == "Facts."


def test_saved_setting_of_another_version_is_named(tmp_path):
    QualityScorer().save(tmp_path / "scorer.json")
    state = json.loads((tmp_path / "scorer.json").read_text())
    state["settings"]["novel"] = 1
    (tmp_path / "scorer.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match="unknown setting 'novel'"):
        QualityScorer().load(tmp_path / "scorer.json")


def test_error_names_the_registered_signature():
    scorer = QualityScorer(lm=make_lm(ScriptedEngine(lambda r: "no")))
    with pytest.raises(OutputError) as caught:
        scorer(**ASK)
    assert caught.value.signature is scorer.score.signature


def test_async_and_sync_agree(configured):
    scorer = QualityScorer(permutations=2)
    assert asyncio.run(scorer.acall(**ASK)).toDict() == scorer(**ASK).toDict()


def independent(**options):
    return QualityScorer(scoring="independent", scale=(1, 6), **options)


def test_independent_scoring_shows_each_response_alone_and_keeps_the_order(configured):
    def by_length(request):
        return json.dumps({"scores": [len(body_of(prompt_of(request), "1"))]})

    engine = ScriptedEngine(by_length, delay_s=lambda r: 0.05 if "\na\n" in prompt_of(r) else 0)
    found = independent(lm=make_lm(engine))(**ASK)
    assert found.scores == [1.0, 3.0, 2.0]
    assert [call["raw_output"] for call in found.metadata["calls"]] == [
        '{"scores": [1]}',
        '{"scores": [3]}',
        '{"scores": [2]}',
    ]
    assert all("[2]" not in prompt_of(request) for request in engine.requests)


def test_independent_questions_are_in_flight_together():
    engine = ScriptedEngine(delay_s=lambda r: 0.2)
    independent(lm=make_lm(engine))(**ASK)
    assert engine.most_in_flight == 3


def test_async_independent_scoring_agrees_with_sync(measuring_lm):
    scorer = independent(lm=measuring_lm)
    found = asyncio.run(scorer.acall(**ASK))
    assert found.toDict() == scorer(**ASK).toDict()
    assert [list(row) for row in found.score_distributions] == [list("123456")] * 3


def test_an_independent_score_does_not_depend_on_the_other_responses(measuring_lm):
    scorer = independent(lm=measuring_lm)
    alone = scorer(instruction="Why?", responses=["bbb"])
    assert scorer(**ASK).expected_scores[1] == alone.expected_scores[0]


def test_a_failed_independent_question_fails_the_row_and_keeps_the_records():
    def script(request):
        return "no" if "bbb" in prompt_of(request) else '{"scores":[1]}'

    with pytest.raises(OutputError) as caught:
        independent(lm=make_lm(ScriptedEngine(script)))(**ASK)
    assert [call["raw_output"] for call in caught.value.calls][:2] == ['{"scores":[1]}', "no"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"scoring": "alone"}, "scoring"),
        ({"scoring": "independent"}, "scale"),
        ({"scoring": "independent", "scale": (1, 6), "permutations": 2}, "permutations"),
    ],
    ids=["unknown", "list-wise", "permutations"],
)
def test_scoring_that_makes_no_sense_is_refused(options, field):
    with pytest.raises(InputError) as caught:
        QualityScorer(**options)
    assert caught.value.field == field


def test_scoring_is_saved_with_the_program():
    loaded = QualityScorer()
    loaded.load_state(independent().dump_state())
    assert loaded.scoring == "independent"
