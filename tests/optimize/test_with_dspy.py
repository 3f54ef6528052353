"""DSPy's optimizers compile an EvolQuality with QualityGain as it is, before and after ours."""

import json
import warnings

import dspy
import pytest

from structq import EvolQuality, QualityGain, QualityScorer
from tests.optimize.searches import TEMPLATES, make_rows, tune, tuning_script
from tests.scripted import ScriptedEngine, make_lm, prompt_of, schema_of

ROWS = [dspy.Example(**row).with_inputs("instruction", "response") for row in make_rows(4)]


def propose(request):
    """Whatever an optimizer asks its LM for, in the form that it asks for."""
    if request.config.response_format is None or "properties" not in json.dumps(
        request.config.response_format
    ):
        wanted = [name for name in NAMES if f"[[ ## {name} ## ]]" in prompt_of(request)]
        said = [f"[[ ## {name} ## ]]\nGOOD method." for name in wanted]
        return "\n\n".join([*said, "[[ ## completed ## ]]"]) if said else "```\nGOOD method.\n```"
    return json.dumps(dict.fromkeys(schema_of(request), "GOOD method."))


NAMES = (
    "proposed_instruction", "proposed_prefix_for_output_field", "observations", "summary",
    "program_description", "module_description",
)  # fmt: skip


def answer(request):
    fields = (request.config.response_format or {}).get("schema", {}).get("properties", {})
    if {"evolved_response", "scores"} & fields.keys():
        return tuning_script(request)
    return propose(request)


@pytest.fixture
def lm():
    lm = make_lm(ScriptedEngine(answer))
    with dspy.context(lm=lm):
        yield lm


def gepa(lm, metric):
    return dspy.GEPA(
        metric=metric, max_metric_calls=24, reflection_lm=lm, reflection_minibatch_size=2,
        num_threads=1,
    )  # fmt: skip


def copro(lm, metric):
    return dspy.COPRO(prompt_model=lm, metric=metric, breadth=2, depth=1)


def mipro(lm, metric):
    return dspy.MIPROv2(
        metric=metric, prompt_model=lm, task_model=lm, auto=None, num_candidates=2,
        max_bootstrapped_demos=0, max_labeled_demos=0, num_threads=1,
    )  # fmt: skip


def compile_with(make, lm, student):
    metric = QualityGain(QualityScorer(), shifted=True)
    options = {"trainset": ROWS}
    if make is copro:
        options["eval_kwargs"] = {"num_threads": 1, "display_progress": False}
    if make is gepa:
        options["valset"] = ROWS
    if make is mipro:
        options |= {"valset": ROWS, "num_trials": 3, "minibatch": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, such as optuna's of its experiments
        return make(lm, metric).compile(student, **options)


@pytest.mark.parametrize("make", [gepa, copro, mipro], ids=["GEPA", "COPRO", "MIPROv2"])
def test_dspys_optimizers_compile_with_quality_gain(make, lm):
    student = EvolQuality(mutation_templates={"depth": "Plain method."})
    tuned = compile_with(make, lm, student)
    assert isinstance(tuned, EvolQuality)
    assert tuned.mutation_templates == {"depth": "GOOD method."}
    assert student.mutation_templates == {"depth": "Plain method."}


def test_gepa_goes_on_from_a_tuned_program(lm):
    tuned, _ = tune()
    again = compile_with(gepa, lm, tuned)
    assert isinstance(again, EvolQuality)
    assert again.mutation_templates.keys() == TEMPLATES.keys()
    assert again.mutation_weights == tuned.mutation_weights
