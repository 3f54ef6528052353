"""Settings are declared once: constructors, attributes, files and docs agree with the models."""

import inspect
import json
import subprocess
import sys

import pytest

from structq import EvolQuality, InputError, QualityScorer, TemplateError
from structq.modules.settings import (
    EvolOptions,
    EvolSettings,
    ScorerOptions,
    ScorerSettings,
)

PAIRS = [(EvolQuality, EvolSettings, EvolOptions), (QualityScorer, ScorerSettings, ScorerOptions)]
OF_MODULES = {"self", "lm", "n_in_flight"}


@pytest.mark.parametrize(("module", "settings", "options"), PAIRS)
def test_the_constructor_takes_what_the_model_declares(module, settings, options):
    taken = inspect.signature(module.__init__).parameters
    assert taken.keys() - OF_MODULES == options.model_fields.keys()
    for name, field in options.model_fields.items():
        assert taken[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert taken[name].default == field.default, name
    assert settings.model_fields.keys() < options.model_fields.keys()


@pytest.mark.parametrize(("module", "settings", "options"), PAIRS)
def test_every_setting_is_described_in_the_docs_of_its_module(module, settings, options):
    for name, field in options.model_fields.items():
        assert f"\n    {name}: {field.description}" in module.__doc__
    for name, field in settings.model_fields.items():
        assert getattr(module, name).__doc__ == field.description


def test_settings_are_attributes_that_are_checked():
    evolve = EvolQuality()
    evolve.num_evolutions = 3
    assert evolve.num_evolutions == 3
    with pytest.raises(InputError, match="num_evolutions: must be an integer of at least 1"):
        evolve.num_evolutions = 0
    assert evolve.num_evolutions == 3


def test_settings_that_belong_together_change_together():
    evolve = EvolQuality(max_added_words=30)
    with pytest.raises(InputError, match="min_added_words: must be at most max_added_words"):
        evolve.min_added_words = 50
    evolve.change(min_added_words=50, max_added_words=60)
    assert (evolve.min_added_words, evolve.max_added_words) == (50, 60)


def test_texts_that_are_tuned_can_be_set_and_are_checked():
    evolve, scorer = EvolQuality(), QualityScorer()
    evolve.mutation_templates = {"only": "Rewrite it."}
    assert list(evolve.mutations) == ["only"]
    with pytest.raises(TemplateError, match="mutation_templates"):
        evolve.mutation_templates = {}
    scorer.criteria = "Judge by brevity."
    assert scorer.score.signature.instructions == scorer.criteria == "Judge by brevity."
    with pytest.raises(InputError, match="criteria: is blank"):
        scorer.criteria = " "


EVOL_FAULTS = [
    ({"num_evolutions": 1001}, "num_evolutions: must be an integer of at most 1000, found 1001"),
    ({"max_attempts": 101}, "max_attempts: must be an integer of at most 100, found 101"),
    ({"max_attempts": "2"}, "max_attempts: must be an integer of at least 1, found '2'"),
    ({"seed": 2**64}, "holds an integer of more than 64 bits"),
    ({"seed": -1}, "seed: must be an integer of at least 0, found -1"),
    ({"mutation_weights": {"details": float("inf")}}, "must be a number of at least 0, found inf"),
    ({"mutation_weights": {"details": 1e308}}, "must be a number of at least 0, found 1e[+]308"),
    ({"mutation_weights": [1]}, "mutation_weights: must map names to numbers"),
    ({"max_growth": 1}, "max_growth: must be a number above 1, or None, found 1"),
    ({"max_growth": float("inf")}, "max_growth: must be a number above 1, or None, found inf"),
    ({"min_added_words": 0}, "min_added_words: must be an integer of at least 1, or None, found 0"),
    ({"max_added_words": 10**7}, "max_added_words: must be an integer of at most 1000000"),
    ({"store_evolutions": 1}, "store_evolutions: must be True or False, found 1"),
    ({"check_answers": "no"}, "check_answers: must be True or False, found 'no'"),
    ({"preserve": "some"}, "preserve: must be one of 'none', 'blocks', 'all', found 'some'"),
    ({"form": "xml"}, "form: must be one of 'text', 'json', 'compact', or None, found 'xml'"),
    ({"system_prompt": 3}, "system_prompt: must be text"),
    ({"what": 1}, "unknown setting 'what' [(]there are .*seed"),
]
SCORER_FAULTS = [
    ({"permutations": 1001}, "permutations: must be an integer of at most 1000, found 1001"),
    ({"scale": [0, 10**12]}, "scale: 0 to 1000000000000 is too wide"),
    ({"scale": [10**12, 10**12 + 1]}, "scale: labels have at most 9 digits"),
    ({"scale": {"1": "a", str(10**12): "b"}}, "scale: labels have at most 9 digits"),
    (
        {"scoring": "alone"},
        "scoring: must be one of 'joint', 'independent', 'pairwise', 'likelihood', found 'alone'",
    ),
    ({"template": "{{ nothing }}"}, "template"),
]


@pytest.mark.parametrize(("state", "told"), EVOL_FAULTS, ids=lambda one: str(one)[:40])
def test_a_file_cannot_set_what_a_constructor_cannot(state, told):
    evolve = EvolQuality(num_evolutions=2)
    saved = evolve.dump_state()
    saved["settings"] |= state
    with pytest.raises(InputError, match=told) as caught:
        evolve.load_state(saved)
    assert caught.value.field in (next(iter(state)), "program")
    assert evolve.num_evolutions == 2


@pytest.mark.parametrize(("state", "told"), SCORER_FAULTS, ids=lambda one: str(one)[:40])
def test_a_file_of_a_scorer_is_checked_too(state, told):
    scorer = QualityScorer()
    saved = json.loads(json.dumps(scorer.dump_state()))
    saved["settings"] |= state
    with pytest.raises(InputError, match=told):
        scorer.load_state(saved)


def test_a_state_is_json_and_comes_back():
    evolve = EvolQuality(mutation_weights={"details": 2}, max_growth=None, seed=2**64 - 1)
    other = EvolQuality()
    other.load_state(json.loads(json.dumps(evolve.dump_state())))
    assert other.settings == evolve.settings


def test_the_models_do_not_load_dspy():
    code = "import sys, structq.modules.settings, structq.runs.settings; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert not {"dspy", "litellm", "numpy", "jinja2"} & set(told.stdout.split())
