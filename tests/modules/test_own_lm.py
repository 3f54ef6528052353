"""Rows go to the LM that their user chose, whatever program stands around the module."""

import json
import pickle

import cloudpickle
import dspy
import pytest

import structq
from structq import EvolQuality, EvolveAndScore, InputError, QualityScorer
from tests.scripted import ScriptedEngine, make_lm, schema_of

ROW = {"instruction": "Why is the sky blue?", "response": "The air."}
ASK = {"instruction": "Why is the sky blue?", "responses": ["The air.", "It scatters blue light."]}
EXAMPLES = [dspy.Example(**ROW).with_inputs("instruction", "response") for _ in range(2)]


def naming(name):
    """An LM of this name, and its engine."""
    engine = ScriptedEngine()
    lm = make_lm(engine)
    lm.model = f"scripted/{name}"
    return lm, engine


@pytest.fixture
def mine():
    return naming("mine")


@pytest.fixture
def configured_other():
    """Another LM that DSPy is configured with; it must see nothing."""
    lm, engine = naming("other")
    with dspy.context(lm=lm):
        yield engine


def call(program, inputs):
    return program(**inputs)


def best_of(program, inputs):
    return dspy.BestOfN(module=program, N=2, reward_fn=lambda args, pred: 0.0, threshold=1)(
        **inputs
    )


def in_parallel(program, inputs):
    example = dspy.Example(**inputs).with_inputs(*inputs)
    return dspy.Parallel(num_threads=2, disable_progress_bar=True)([(program, example)] * 2)[0]


def evaluated(program, inputs):
    example = dspy.Example(**inputs).with_inputs(*inputs)
    seen = []
    evaluate = dspy.Evaluate(devset=[example], metric=lambda e, p: seen.append(p) or 1.0)
    evaluate(program)
    return seen[0]


def compiled(program, inputs):
    example = dspy.Example(**inputs).with_inputs(*inputs)
    optimizer = dspy.BootstrapFewShot(metric=lambda e, p, trace=None: True)
    return optimizer.compile(program, trainset=[example])(**inputs)


def compiled_outside(program, inputs):
    class Outer(dspy.Module):
        def __init__(self):
            super().__init__()
            self.inner = program

        def forward(self, **inputs):
            return self.inner(**inputs)

    return dspy.BestOfN(module=Outer(), N=2, reward_fn=lambda a, p: 0.0, threshold=1)(**inputs)


WAYS = {
    "a call": call,
    "a deep copy": lambda program, inputs: program.deepcopy()(**inputs),
    "a reset copy": lambda program, inputs: program.reset_copy()(**inputs),
    "BestOfN": best_of,
    "BestOfN around an outer program": compiled_outside,
    "BestOfN of a copy of a copy": lambda p, inputs: best_of(p.deepcopy().reset_copy(), inputs),
    "Parallel": in_parallel,
    "Evaluate": evaluated,
    "BootstrapFewShot": compiled,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(
    ("make", "inputs"),
    [(EvolQuality, ROW), (QualityScorer, ASK), (EvolveAndScore, ROW)],
    ids=["EvolQuality", "QualityScorer", "EvolveAndScore"],
)
def test_rows_go_to_the_lm_that_was_chosen(way, make, inputs, mine, configured_other):
    lm, engine = mine
    program = make(lm=lm)
    found = way(program, inputs)
    assert found.model_name == "scripted/mine"
    assert engine.requests
    assert not configured_other.requests
    assert program.get_lm() is lm


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_without_an_lm_of_its_own_the_configured_one_answers(way):
    lm, _ = naming("configured")
    with dspy.context(lm=lm):
        program = EvolQuality()
        assert way(program, ROW).model_name == "scripted/configured"
        assert program.get_lm() is lm


@pytest.mark.parametrize("make", [EvolQuality, QualityScorer, EvolveAndScore])
def test_no_lm_at_all_is_said(make):
    with dspy.context(lm=None), pytest.raises(InputError, match="there is none"):
        dspy.BestOfN(module=make(), N=2, reward_fn=lambda a, p: 0.0, threshold=1)(**ROW)


@pytest.mark.parametrize("make", [EvolQuality, QualityScorer, EvolveAndScore])
def test_a_later_set_lm_is_respected(make, mine, configured_other):
    other, _ = naming("later")
    program = make(lm=mine[0])
    program.set_lm(other)
    inputs = ASK if make is QualityScorer else ROW
    assert best_of(program, inputs).model_name == "scripted/later"
    assert program.get_lm() is other
    assert not mine[1].requests
    assert not configured_other.requests


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_writer_and_judge_stay_apart(way, configured_other):
    (writer, wrote), (judge, judged) = naming("writer"), naming("judge")
    program = EvolveAndScore(EvolQuality(lm=writer), QualityScorer(lm=judge))
    if way is compiled_outside:
        pytest.skip("dspy refuses an outer program of two LMs by name")
    way(program, ROW)
    assert all("evolved_response" in schema_of(request) for request in wrote.requests)
    assert all("scores" in schema_of(request) for request in judged.requests)
    assert wrote.requests
    assert judged.requests
    assert not configured_other.requests
    assert (program.get_lm(), program.scorer.get_lm()) == (writer, judge)


def test_a_judge_on_the_same_engine_keeps_its_options(configured_other):
    lm, engine = naming("both")
    cold = lm.copy(temperature=0.0)
    best_of(EvolveAndScore(EvolQuality(lm=lm), QualityScorer(lm=cold)), ROW)
    asked = {("scores" in schema_of(r), r.config.temperature) for r in engine.requests}
    assert asked == {(False, 1.0), (True, 0.0)}


def test_a_shared_part_is_not_changed_by_who_uses_it():
    (first, _), (second, _) = naming("first"), naming("second")
    evolve = EvolQuality()
    programs = [EvolveAndScore(evolve, lm=lm) for lm in (first, second)]
    assert [program(**ROW).model_name for program in programs] == [
        "scripted/first",
        "scripted/second",
    ]
    assert evolve.lm is None


def test_a_frozen_part_asks_the_lm_of_the_whole(mine, configured_other):
    evolve = EvolQuality()
    evolve._compiled = True
    assert EvolveAndScore(evolve, lm=mine[0])(**ROW).model_name == "scripted/mine"
    assert not configured_other.requests


def test_an_optimizer_of_dspy_leaves_the_lm(mine, configured_other):
    program = EvolQuality(lm=mine[0])
    reflection = make_lm(ScriptedEngine(lambda r: "```\nMake the response clearer.\n```"))
    optimizer = dspy.GEPA(
        metric=lambda *args, **kwargs: dspy.Prediction(score=0.5, feedback="Longer."),
        max_metric_calls=8, reflection_lm=reflection,
    )  # fmt: skip
    tuned = optimizer.compile(program, trainset=EXAMPLES, valset=EXAMPLES)
    assert tuned.get_lm() is mine[0]
    assert not configured_other.requests


@pytest.mark.parametrize("make", [EvolQuality, QualityScorer, EvolveAndScore])
def test_a_saved_program_knows_its_lm_and_loads_without_it(make, mine, tmp_path):
    make(lm="nano").save(tmp_path / "program.json")
    saved = json.loads((tmp_path / "program.json").read_text())
    assert {part["lm"] for part in saved.values() if "signature" in part} == {"nano"}
    loaded = make(lm=mine[0])
    loaded.load(tmp_path / "program.json")
    assert loaded.get_lm() is mine[0]


def test_a_trusted_file_brings_its_lm(tmp_path):
    EvolQuality(lm=structq.lm("nano", temperature=0.5)).save(tmp_path / "program.json")
    loaded = EvolQuality()
    loaded.load(tmp_path / "program.json", allow_unsafe_lm_state=True)
    assert loaded.get_lm().model == structq.lm("nano").model
    assert loaded.get_lm().kwargs["temperature"] == 0.5


FOREIGN = {
    "a hosted model": {"model": "openai/gpt-4o-mini"},
    "an address": {"model": "openai/m", "api_base": "http://127.0.0.1:9/v1"},
    "a class": {"model": "x/y", "_dspy_lm_class": "os:system"},
    "an engine": {"model": "x/y", "engine": {"class": "os:system", "state": {}}},
    "text": "openai/gpt-4o-mini",
    "a key": {"model": "openai/m", "api_key": "sk"},
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
@pytest.mark.parametrize("own", [True, False], ids=["own lm", "configured lm"])
def test_a_file_chooses_no_lm(foreign, own, mine, tmp_path, caplog):
    path = tmp_path / "program.json"
    EvolQuality().save(path)
    state = json.loads(path.read_text())
    state["mutations['details']"]["lm"] = foreign
    path.write_text(json.dumps(state))
    program = EvolQuality(lm=mine[0]) if own else EvolQuality()
    program.load(path)
    with dspy.context(lm=mine[0]):
        assert program(**ROW, mutation="details").model_name == "scripted/mine"
        assert program.get_lm() is mine[0]
    assert ("not taken over" in caplog.text) == isinstance(foreign, dict)


@pytest.mark.parametrize("named", [str, structq.lm], ids=["by name", "opened"])
@pytest.mark.parametrize("make", [EvolQuality, QualityScorer, EvolveAndScore])
def test_a_module_is_pickled_after_a_call(make, named):
    program, inputs = make(lm=named("nano")), ASK if make is QualityScorer else ROW
    before = program(**inputs)
    assert pickle.loads(cloudpickle.dumps(program))(**inputs).toDict() == before.toDict()


@pytest.mark.parametrize("named", [str, structq.lm], ids=["by name", "opened"])
def test_a_whole_program_is_saved_after_a_call(named, tmp_path):
    program = EvolQuality(lm=named("nano"))
    before = program(**ROW).evolved_response
    program.save(tmp_path / "program", save_program=True)
    again = dspy.load(str(tmp_path / "program"), allow_pickle=True)
    assert again(**ROW).evolved_response == before
