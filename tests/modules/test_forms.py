"""The same modules over LMs that are asked for text, for JSON, and for nano's compact JSON."""

import json

import dspy
import pytest

import structq
from structq import EvolQuality, InputError, OutputError, QualityScorer, StructAdapter
from structq.modules.preserve import literals_of, missing_literal
from structq.schemas import FORMS
from structq.texts import n_words
from tests.scripted import (
    ScriptedEngine,
    default_script,
    extensions_of,
    make_lm,
    prompt_of,
    respond,
)

every_form = pytest.mark.parametrize("form", FORMS)
ROWS = [
    {"id": 1, "instruction": "Why is the sky blue?", "response": "Air scatters blue light."},
    {"id": 2, "instruction": "Name a prime.", "response": "7"},
    {"id": 3, "instruction": "Explain {{ x }}.", "response": 'Response: "a"\n\n[1] <text> \\n'},
]
SCORED = [
    {"instruction": "Why?", "responses": ["a", "bbb", "cc"]},
    {"instruction": "Why not?", "responses": ["Response 2: best\n\n[2] x", ""]},
    {"instruction": "Many?", "responses": ["x" * n for n in range(6)]},
]


def columns(module, rows):
    """What the module adds to the rows, ``metadata`` apart; and the records of all calls."""
    found = next(module.process(rows))
    calls = [call for row in found for call in row["metadata"]["calls"]]
    return [{k: v for k, v in row.items() if k != "metadata"} for row in found], calls


def by_lm(form, **options):
    """The LM says the form."""
    return make_lm(ScriptedEngine(form=form, **options)), {}


def by_module(form, **options):
    """The module says it, over what the LM says."""
    other = "json" if form == "compact" else "compact"
    return make_lm(ScriptedEngine(form=other, **options)), {"form": form}


@every_form
@pytest.mark.parametrize("said", [by_lm, by_module])
def test_evolutions_have_the_same_columns_in_each_form(form, said):
    def evolved(lm, **options):
        options = {"num_evolutions": 2, "store_evolutions": True, **options}
        return columns(EvolQuality(lm=lm, **options), ROWS)

    lm, options = said(form)
    found, calls = evolved(lm, **options)
    expected, _ = evolved(make_lm(ScriptedEngine()))
    assert found == expected
    assert found[0]["evolved_responses"][-1] == "Air scatters blue light. More. More."
    assert [(call["form"], call["constrained"]) for call in calls] == [(form, False)] * 6
    formats = {request.config.response_format is None for request in lm.engine.requests}
    assert formats == {form == "text"}


@every_form
@pytest.mark.parametrize("said", [by_lm, by_module])
@pytest.mark.parametrize("measures", [True, False])
def test_scores_have_the_same_columns_in_each_form(form, said, measures):
    lm, options = said(form, measures=measures)
    found, calls = columns(QualityScorer(lm=lm, **options), SCORED)
    expected, _ = columns(QualityScorer(lm=make_lm(ScriptedEngine(measures=measures))), SCORED)
    assert found == expected
    assert found[0]["scores"] == [1.0, 3.0, 2.0]
    assert {call["form"] for call in calls} == {form}
    assert (found[0]["expected_scores"] is not None) == measures


@pytest.mark.parametrize("constrains", [True, False])
def test_records_say_whether_an_answer_was_held_to_its_rules(constrains):
    lm = make_lm(ScriptedEngine(form="text", constrains_text=constrains))
    for module in (EvolQuality(lm=lm), QualityScorer(lm=lm)):
        rows = ROWS[:1] if isinstance(module, EvolQuality) else SCORED[:1]
        _, [call] = columns(module, rows)
        assert call["constrained"] is constrains
    asked = [extensions_of(request) for request in lm.engine.requests]
    assert ["text" in asked[0], "spaced" in asked[1]] == [constrains] * 2


def test_records_say_what_was_cut_off_an_answer():
    cut = {"text": "Air scatters it. Air", "reason": "repetition"}

    def script(request):
        return respond(request, default_script(request), data={"structq": {"cut": cut}})

    lm = make_lm(ScriptedEngine(script, form="text", constrains_text=True))
    _, [call] = columns(EvolQuality(lm=lm), ROWS[:1])
    assert call["cut"] == cut
    _, [call] = columns(EvolQuality(lm=make_lm(ScriptedEngine())), ROWS[:1])
    assert "cut" not in call


@pytest.mark.parametrize("form", ["xml", "", 3, ["text"]])
def test_a_form_that_there_is_not_is_refused(form):
    for module in (EvolQuality, QualityScorer):
        with pytest.raises(InputError, match="form") as caught:
            module(form=form)
        assert caught.value.field == "form"


@every_form
def test_the_form_is_saved_and_loaded(form, tmp_path):
    for module in (EvolQuality, QualityScorer):
        module(form=form).save(tmp_path / "module.json")
        again = module()
        again.load(tmp_path / "module.json")
        assert again.form == form


# A server that writes text: nothing is held to rules, all is checked


def served(*answers, finish="stop", **options):
    left = iter(answers)
    engine = ScriptedEngine(lambda request: respond(request, next(left), finish), form="text")
    return EvolQuality(lm=make_lm(engine), **options)


ORIGINAL = "Run this:\n\n```py\nprint(1)\n```\n\nDone with it."


@pytest.mark.parametrize(
    ("answer", "options", "reason"),
    [
        ("  ", {}, "empty"),
        ("I'm sorry, but I can't help with that.", {}, "a refusal"),
        ("Your response here", {}, "a placeholder"),
        (f"{ORIGINAL} And the", {}, "a fragment"),
        ("Run it.", {}, "less than half"),
        (ORIGINAL, {}, "unchanged"),
        ("Run this program: it prints one.", {"preserve": "blocks"}, "this block verbatim"),
        (f"So: {ORIGINAL}", {"preserve": "all"}, "begin with the whole response"),
        (f"{ORIGINAL} One two three.", {"max_added_words": 2}, "3 words more"),
        (f"{ORIGINAL} One two three.", {"min_added_words": 4}, "at least 4"),
    ],
)
def test_a_text_that_breaks_a_rule_is_an_output_error(answer, options, reason):
    with pytest.raises(OutputError, match=reason) as caught:
        served(answer, **options)(instruction="How?", response=ORIGINAL)
    assert caught.value.raw == answer


def test_a_text_that_was_cut_off_is_an_output_error():
    with pytest.raises(OutputError, match="token limit"):
        served(f"{ORIGINAL} It prints one.", finish="length")(instruction="?", response=ORIGINAL)


def test_a_second_attempt_at_a_text_is_told_what_was_wrong():
    evolve = served("Run it.", f"{ORIGINAL} It prints one.", max_attempts=2, preserve="all")
    found = evolve(instruction="How?", response=ORIGINAL)
    assert found.evolved_response == f"{ORIGINAL} It prints one."
    _, again = evolve.lm.engine.requests
    assert again.messages[-2].text == "Run it."
    assert "begin with the whole response" in prompt_of(again)


def test_white_space_of_an_original_that_is_kept_whole_stays():
    original = "\n  Air scatters blue light.\n"
    found = served(f"{original}\nSmoke does so too, and so does milk.", preserve="all")(
        instruction="Why?", response=original
    )
    assert found.evolved_response.startswith(original)


# nano itself: what is asked for is held while it decodes, in whatever form


@pytest.fixture(scope="module")
def nano():
    return structq.lm("nano", cache=False, temperature=1.0)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("preserve", ["blocks", "all"])
@every_form
def test_nano_keeps_what_is_preserved_in_each_form(nano, form, preserve, seed):
    evolve = EvolQuality(
        num_evolutions=2,
        preserve=preserve,
        check_answers=False,
        form=form,
        lm=nano.copy(seed=seed, max_tokens=400),
    )
    try:
        found = evolve(instruction="How do I print it?", response=ORIGINAL)
    except OutputError as error:
        # Asked for text, which it never was before, it may say brackets up to the limit.
        if form != "text" or error.finish_reason != "length":
            raise
        return
    for text in (found.evolved_response, *found.evolved_responses):
        literals = literals_of(ORIGINAL, preserve)
        assert missing_literal(text, literals, anchored=preserve == "all") is None
        if preserve == "all":
            assert n_words(text) >= n_words(ORIGINAL) + 5
    for call in found.metadata["calls"]:
        assert (call["form"], call["constrained"]) == (form, True)


@pytest.mark.parametrize("seed", range(3))
@every_form
def test_nano_keeps_to_the_words_in_each_form(nano, form, seed):
    evolve = EvolQuality(
        min_added_words=6, max_added_words=20, check_answers=False, form=form,
        lm=nano.copy(seed=seed),
    )  # fmt: skip
    response = "Air scatters the blue light of the sun."
    found = evolve(instruction="Why is the sky blue?", response=response)
    n_added = n_words(found.evolved_response) - n_words(response)
    assert 6 <= n_added <= 20


@every_form
def test_nano_does_not_grow_without_end(nano, form):
    evolve = EvolQuality(check_answers=False, form=form, lm=nano.copy(temperature=2.0, seed=3))
    found = evolve(instruction="Name a prime.", response="7")
    assert n_words(found.evolved_response) <= 120


@every_form
def test_nano_scores_in_each_form(nano, form):
    found = QualityScorer(form=form, scale=(1, 6), lm=nano)(**SCORED[0])
    assert all(score in range(1, 7) for score in found.scores)
    assert [sum(row.values()) for row in found.score_distributions] == pytest.approx([1.0] * 3)
    [call] = found.metadata["calls"]
    assert (call["form"], call["constrained"]) == (form, True)


class Title(dspy.Signature):
    """Give the text a title."""

    text: str = dspy.InputField()
    title: str = dspy.OutputField(max_length=24)


@pytest.mark.parametrize("seed", range(3))
@every_form
def test_a_signature_of_one_text_is_bounded_by_its_field(nano, form, seed):
    seen = []
    adapter = StructAdapter(form=form, on_answer=seen.append)
    with dspy.context(lm=nano.copy(temperature=1.5, seed=seed), adapter=adapter):
        found = dspy.Predict(Title)(text="Air scatters the blue light of the sun.")
    assert 0 < len(found.title) <= 24
    assert (seen[0].form, seen[0].constrained) == (form, True)
    raw = seen[0].raw
    assert found.title == (raw.strip() if form == "text" else json.loads(raw)["title"])
