"""DSPy's optimizers see the predictors, the traces and the broken answers."""

import json

import dspy
import pytest
from dspy.teleprompt.bootstrap_trace import FailedPrediction, bootstrap_trace_data

from structq import EvolQuality, EvolveAndScore, QualityScorer
from tests.scripted import ScriptedEngine, make_lm, prompt_of

ROWS = [
    dspy.Example(instruction=f"Q{i}", response="x", responses=["x", "y"]).with_inputs(
        "instruction", "response"
    )
    for i in range(3)
]
LISTS = [row.with_inputs("instruction", "responses") for row in ROWS]


def traces(program, rows):
    return bootstrap_trace_data(
        program, rows, metric=lambda *_: 1.0, num_threads=1, capture_failed_parses=True
    )


def test_traces_hold_the_registered_predictors(configured):
    program = EvolveAndScore(num_evolutions=2)
    known = {id(predictor) for predictor in program.predictors()}
    for data in traces(program, ROWS):
        assert len(data["trace"]) == 3
        assert {id(predictor) for predictor, _, _ in data["trace"]} <= known
        for predictor, inputs, outputs in data["trace"]:
            assert set(inputs) == set(predictor.signature.input_fields)
            assert set(outputs.keys()) == set(predictor.signature.output_fields)


@pytest.mark.parametrize(
    ("module", "rows"),
    [(EvolQuality, ROWS), (QualityScorer, LISTS)],
    ids=["evolve", "score"],
)
def test_broken_answers_become_feedback_on_the_format(module, rows):
    program = module(lm=make_lm(ScriptedEngine(lambda request: "broken")))
    for data in traces(program, rows):
        predictor, _, outputs = data["trace"][-1]
        assert isinstance(outputs, FailedPrediction)
        assert outputs.completion_text == "broken"
        assert predictor in program.predictors()


def test_bootstrapped_demos_are_shown_and_saved(configured, engine, tmp_path):
    tuner = dspy.BootstrapFewShot(
        metric=lambda *_: True, max_bootstrapped_demos=2, max_labeled_demos=0
    )
    tuned = tuner.compile(EvolQuality(mutation_templates={"depth": "Deeper."}), trainset=ROWS)
    assert len(tuned.mutations["depth"].demos) == 2
    engine.requests.clear()
    tuned(instruction="New", response="z")
    turns = [message.text for message in engine.requests[0].messages]
    assert len(turns) == 5
    assert json.loads(turns[1]) == {"evolved_response": "x More."}
    assert all(turn.startswith("Deeper.") for turn in turns[0::2])
    tuned.save(tmp_path / "tuned.json")
    loaded = EvolQuality()
    loaded.load(tmp_path / "tuned.json")
    assert len(loaded.mutations["depth"].demos) == 2


def test_gepa_tunes_a_template(configured, engine):
    """GEPA finds the mutation that its metric asks for."""

    def propose(request):
        return '{"new_instruction":"GOOD method."}'

    def script(request):
        good = "GOOD" in prompt_of(request)
        return json.dumps({"evolved_response": "good" if good else "poor"})

    def metric(gold, pred, trace=None, pred_name=None, pred_trace=None):
        score = float(pred.evolved_response == "good")
        return dspy.Prediction(score=score, feedback="Say GOOD.")

    engine.script = script
    tuner = dspy.GEPA(
        metric=metric, max_metric_calls=20, reflection_lm=make_lm(ScriptedEngine(propose)),
        reflection_minibatch_size=2, num_threads=1,
    )  # fmt: skip
    student = EvolQuality(mutation_templates={"depth": "Plain method."})
    tuned = tuner.compile(student, trainset=ROWS, valset=ROWS)
    assert tuned.mutation_templates == {"depth": "GOOD method."}
