import asyncio
import json
import random
from collections import Counter

import dspy
import numpy as np
import pytest

from structq import EvolQuality, InputError, LMError, OutputError, TemplateError
from tests.scripted import ScriptedEngine, make_lm, prompt_of, respond

ROW = {"instruction": "Why?", "response": "Because."}
WHOLE = "{{ instruction }} / {{ response }}"


def test_defaults_are_those_of_the_contract():
    evolve = EvolQuality()
    assert (evolve.num_evolutions, evolve.seed, evolve.system_prompt) == (1, 42, None)
    assert (evolve.store_evolutions, evolve.include_original_response) == (False, False)
    assert len(evolve.mutation_templates) == 5


def test_each_step_evolves_the_last_response(configured):
    found = EvolQuality(num_evolutions=3)(**ROW)
    assert found.evolved_response == "Because. More. More. More."
    assert found.evolved_responses == [
        "Because. More.",
        "Because. More. More.",
        "Because. More. More. More.",
    ]
    assert len(found.mutations) == 3
    assert found.model_name == "scripted/lm"


def test_original_comes_first_if_included(configured):
    evolve = EvolQuality(store_evolutions=True, include_original_response=True)
    assert evolve(**ROW).evolved_responses == ["Because.", "Because. More."]


def test_original_without_stored_evolutions_is_warned_of():
    with pytest.warns(UserWarning, match="no effect"):
        EvolQuality(include_original_response=True)


def test_template_in_use_is_the_one_that_is_recorded(configured, engine):
    evolve = EvolQuality(num_evolutions=4)
    found = evolve(**ROW)
    for name, request in zip(found.mutations, engine.requests, strict=True):
        assert prompt_of(request).startswith(evolve.mutation_templates[name])
    assert [call["mutation"] for call in found.metadata["calls"]] == found.mutations


def test_metadata_says_what_each_call_was(configured):
    [call] = EvolQuality()(**ROW).metadata["calls"]
    assert call["raw_output"] == '{"evolved_response": "Because. More."}'
    assert call["usage"]["output_tokens"] == len(call["raw_output"])
    assert (call["attempts"], call["finish_reason"], call["n_passes"]) == (1, "stop", None)


def test_async_and_sync_agree(configured):
    evolve = EvolQuality(num_evolutions=3)
    assert asyncio.run(evolve.acall(**ROW)).toDict() == evolve(**ROW).toDict()


def test_draw_depends_on_seed_content_and_step_alone(configured):
    rows = [{"instruction": f"Q{i}", "response": "A"} for i in range(40)]
    evolve = EvolQuality(num_evolutions=2)
    drawn = {row["instruction"]: evolve(**row).mutations for row in rows}
    random.Random(0).shuffle(rows)
    templates = dict(reversed(evolve.mutation_templates.items()))
    again = EvolQuality(num_evolutions=3, mutation_templates=templates)
    for row in rows:
        assert again(**row).mutations[:2] == drawn[row["instruction"]]
    assert len({tuple(names) for names in drawn.values()}) > 10


def test_seed_of_the_call_replaces_that_of_the_module(configured):
    evolve = EvolQuality(num_evolutions=20)
    with_seed = evolve(**ROW, seed=7).mutations
    assert with_seed == EvolQuality(num_evolutions=20, seed=7)(**ROW).mutations
    assert with_seed != evolve(**ROW).mutations


def test_draw_is_even_and_leaves_the_global_stream_alone(configured):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    evolve = EvolQuality(num_evolutions=500)
    counts = Counter(evolve._draw("Why?", "Because.", None, None))
    assert min(counts.values()) > 70
    assert (np.random.get_state()[1] == before).all()


def test_weights_shape_the_draw(configured):
    templates = {"details": "A.", "depth": "B.", "never": "C."}
    weights = {"details": 3, "depth": 1}
    evolve = EvolQuality(num_evolutions=50, mutation_templates=templates, mutation_weights=weights)
    counts = Counter(evolve(**ROW).mutations)
    assert counts["never"] == 0
    assert counts["details"] > counts["depth"] > 0


def test_mutation_can_be_chosen(configured):
    assert EvolQuality(num_evolutions=2)(**ROW, mutation="details").mutations == ["details"] * 2
    with pytest.raises(InputError, match="no 'depth'"):
        EvolQuality()(**ROW, mutation="depth")


def test_system_prompt_reaches_the_lm(configured, engine):
    EvolQuality(system_prompt="Be brief.")(**ROW)
    assert engine.requests[0].system == "Be brief."


def test_empty_response_can_be_evolved(configured):
    assert EvolQuality()(instruction="Why?", response="").evolved_response == " More."


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"instruction": "", "response": "x"}, "instruction"),
        ({"instruction": " \n", "response": "x"}, "instruction"),
        ({"instruction": None, "response": "x"}, "instruction"),
        ({"instruction": 3, "response": "x"}, "instruction"),
        ({"instruction": "x", "response": None}, "response"),
        ({"instruction": "x", "response": ["y"]}, "response"),
        ({"instruction": "x", "response": "\ud800"}, "response"),
        ({"instruction": "x", "response": "y", "seed": -1}, "seed"),
        ({"instruction": "x", "response": "y", "seed": True}, "seed"),
    ],
    ids=str,
)
def test_wrong_input_names_its_field_and_costs_no_call(configured, engine, values, field):
    with pytest.raises(InputError) as caught:
        EvolQuality()(**values)
    assert caught.value.field == field
    assert engine.requests == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_evolutions": 0}, "num_evolutions: must be an integer of at least 1, found 0"),
        ({"num_evolutions": -1}, "found -1"),
        ({"num_evolutions": True}, "found True"),
        ({"num_evolutions": 1.0}, "found 1.0"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"n_in_flight": 0}, "n_in_flight"),
        ({"seed": -1}, "seed"),
        ({"store_evolutions": 1}, "store_evolutions"),
        ({"system_prompt": 3}, "system_prompt"),
        ({"lm": 3}, "lm: must be a dspy.LM or a spec, found 3"),
        ({"mutation_templates": {}}, "mutation_templates: must name at least one"),
        ({"mutation_templates": ["x"]}, "mutation_templates"),
        ({"mutation_templates": {"a'b": "x"}}, "is no name"),
        ({"mutation_templates": {"a": ""}}, "mutation_templates['a']: is empty"),
        ({"mutation_templates": {"a": "{{ response }}"}}, "lacks the field {{ instruction }}"),
        ({"mutation_weights": {"nope": 1}}, "no mutation 'nope'"),
        ({"mutation_weights": {"details": -1}}, "found -1"),
        ({"mutation_weights": {"details": 0}}, "at least one must be above 0"),
        ({"mutation_weights": {"details": float("nan")}}, "found nan"),
    ],
    ids=str,
)
def test_wrong_setting_fails_at_construction_and_is_named(options, named):
    with pytest.raises(InputError) as caught:
        EvolQuality(**options)
    assert named in str(caught.value)


def test_setting_is_checked_when_it_is_changed():
    evolve = EvolQuality()
    evolve.num_evolutions = 3
    with pytest.raises(InputError, match="num_evolutions"):
        evolve.num_evolutions = 0
    assert evolve.num_evolutions == 3


def test_error_carries_the_calls_until_then():
    with pytest.raises(OutputError) as caught:
        EvolQuality(num_evolutions=2, lm=make_lm(ScriptedEngine(lambda request: "broken")))(**ROW)
    assert [call["raw_output"] for call in caught.value.calls] == ["broken"]


LATER = {
    "cut off": lambda request: respond(request, '{"evolved_response":"tw', "length"),
    "broken": lambda request: "broken",
    "no answer": lambda request: LMError("no answer"),
    "the original": lambda request: json.dumps({"evolved_response": ROW["response"]}),
}


@pytest.mark.parametrize("step", [2, 3])
@pytest.mark.parametrize("later", LATER.values(), ids=LATER.keys())
def test_what_was_evolved_before_a_failed_step_is_kept(later, step):
    good = iter(["Because. One.", "Because. One. Two."][: step - 1])

    def script(request):
        evolved = next(good, None)
        return later(request) if evolved is None else json.dumps({"evolved_response": evolved})

    evolve = EvolQuality(num_evolutions=3, lm=make_lm(ScriptedEngine(script)))
    found = evolve(**ROW)
    assert found.evolved_responses == ["Because. One.", "Because. One. Two."][: step - 1]
    assert len(found.mutations) == step - 1
    assert len(found.metadata["calls"]) == step
    assert found.metadata["error"] is None
    assert found.metadata["short"]["type"] in ("OutputError", "LMError")
    assert found.metadata["short"]["message"]


def test_an_error_that_every_row_has_is_no_short_row():
    fatal = LMError("401")
    fatal.fatal = True
    answers = iter([json.dumps({"evolved_response": "Because. One."}), fatal])
    engine = ScriptedEngine(lambda request: next(answers))
    with pytest.raises(LMError):
        EvolQuality(num_evolutions=2, lm=make_lm(engine))(**ROW)


def test_second_attempt_shows_what_was_wrong():
    answers = iter(["broken", '{"evolved_response":"good"}'])
    engine = ScriptedEngine(lambda request: next(answers))
    found = EvolQuality(max_attempts=3, lm=make_lm(engine))(**ROW)
    assert found.evolved_response == "good"
    assert found.metadata["calls"][0]["attempts"] == 2
    assert found.metadata["calls"][0]["usage"]["output_tokens"] == len("broken") + 27
    assert [message.role for message in engine.requests[1].messages] == [
        "user",
        "assistant",
        "user",
    ]
    assert "not JSON" in prompt_of(engine.requests[1])


def test_failure_of_the_lm_is_not_asked_again():
    engine = ScriptedEngine(lambda request: ValueError("down"))
    with pytest.raises(LMError):
        EvolQuality(max_attempts=3, lm=make_lm(engine))(**ROW)
    assert len(engine.requests) == 1


def test_own_lm_comes_before_the_configured_one(configured, engine):
    own = ScriptedEngine(lambda request: '{"evolved_response":"own"}')
    assert EvolQuality(lm=make_lm(own))(**ROW).evolved_response == "own"
    assert engine.requests == []


def test_lm_of_a_predictor_comes_first(configured):
    own = ScriptedEngine(lambda request: '{"evolved_response":"own"}')
    evolve = EvolQuality()
    evolve.set_lm(make_lm(own))
    assert evolve(**ROW).evolved_response == "own"


def test_spec_is_resolved_at_the_first_call(monkeypatch, lm):
    import sys
    import types

    asked = []
    fake = types.SimpleNamespace(lm=lambda spec: asked.append(spec) or lm)
    monkeypatch.setitem(sys.modules, "structq.engines", fake)
    evolve = EvolQuality(lm="nano")
    assert asked == []
    evolve(**ROW)
    evolve(**ROW)
    assert asked == ["nano"]


def test_saved_and_loaded_is_the_same_module(configured, tmp_path):
    templates = {"depth": "Deeper.", "whole": WHOLE}
    evolve = EvolQuality(
        num_evolutions=4,
        mutation_templates=templates,
        store_evolutions=True,
        seed=7,
        mutation_weights={"depth": 2.0, "whole": 1.0},
        system_prompt="S",
    )
    predict = evolve.mutations["depth"]
    predict.signature = predict.signature.with_instructions("Tuned {{ x }}.")
    evolve.save(tmp_path / "evolve.json")
    loaded = EvolQuality()
    loaded.load(tmp_path / "evolve.json")
    assert loaded.mutation_templates == {"depth": "Tuned {{ x }}.", "whole": WHOLE}
    assert loaded.settings == evolve.settings
    assert loaded._draw("Why?", "Because.", None, None) == evolve._draw(
        "Why?", "Because.", None, None
    )


def test_load_of_a_broken_file_changes_nothing(tmp_path):
    evolve = EvolQuality(mutation_templates={"depth": "Deeper."})
    evolve.mutations["depth"].signature = evolve.mutations["depth"].signature.with_instructions(
        "{{ response }} alone"
    )
    evolve.save(tmp_path / "evolve.json")
    loaded = EvolQuality()
    before = loaded.mutation_templates
    with pytest.raises(TemplateError, match="'depth'"):
        loaded.load(tmp_path / "evolve.json")
    assert loaded.mutation_templates == before


def test_settings_travel_inside_a_larger_program(tmp_path):
    class Program(dspy.Module):
        def __init__(self, **options):
            super().__init__()
            self.evolve = EvolQuality(**options)

    Program(num_evolutions=5).save(tmp_path / "program.json")
    loaded = Program()
    loaded.load(tmp_path / "program.json")
    assert loaded.evolve.num_evolutions == 5


def test_deep_copy_is_independent(configured):
    evolve = EvolQuality(lm=configured)
    copy = evolve.deepcopy()
    copy.num_evolutions = 3
    copy.mutations["details"].signature = copy.mutations["details"].signature.with_instructions("X")
    assert evolve.num_evolutions == 1
    assert evolve.mutation_templates["details"] != "X"


def test_optimizers_find_one_predictor_for_each_mutation():
    names = [name for name, _ in EvolQuality().named_predictors()]
    assert names == [f"mutations['{name}']" for name in EvolQuality().mutations]


def test_answer_that_was_cut_off_is_refused():
    engine = ScriptedEngine(lambda r: respond(r, '{"evolved_response":"cut', "length"))
    with pytest.raises(OutputError, match="cut off"):
        EvolQuality(lm=make_lm(engine))(**ROW)
