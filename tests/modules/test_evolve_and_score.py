import asyncio

import dspy
import pytest

from structq import EvolQuality, EvolveAndScore, InputError, OutputError, QualityScorer
from structq.modules.derived import best_of
from tests.scripted import ScriptedEngine, default_script, make_lm, schema_of

ROW = {"instruction": "Why?", "response": "Because."}


def test_original_and_evolutions_are_scored_in_one_list(configured, engine):
    found = EvolveAndScore(num_evolutions=2)(**ROW)
    assert found.responses == ["Because.", "Because. More.", "Because. More. More."]
    assert found.scores == [1.0, 2.0, 3.0]
    assert found.best_response == found.evolved_response == "Because. More. More."
    assert len(found.mutations) == 2
    assert len(engine.requests) == 3
    assert [call["mutation"] for call in found.metadata["calls"]] == [*found.mutations, None]


def test_expectation_ranks_where_it_is_measured():
    def script(request):
        answer = default_script(request)
        if "scores" in schema_of(request):
            answer.provider_data["structq"]["distributions"] = [[0.0, 0.0, 1.0], [0.9, 0.1, 0.0]]
        return answer

    lm = make_lm(ScriptedEngine(script, measures=True))
    found = EvolveAndScore(lm=lm)(**ROW)
    assert found.scores == [1.0, 2.0]
    assert found.expected_scores == pytest.approx([3.0, 1.1])
    assert found.best_response == "Because."


@pytest.mark.parametrize(
    ("scores", "best"),
    [([1.0, 1.0], 0), ([1.0, 2.0, 2.0], 1), ([None, 1.0], 1), ([None, None], 0), ([1.0, None], 0)],
    ids=str,
)
def test_best_is_the_first_of_the_highest(scores, best):
    assert best_of(scores) == best


def test_own_modules_are_used(configured):
    evolve = EvolQuality(num_evolutions=1, store_evolutions=True, include_original_response=True)
    program = EvolveAndScore(evolve, QualityScorer(scale=(1, 9)))
    assert program(**ROW).responses == ["Because.", "Because. More."]


def test_parts_may_have_lms_of_their_own():
    judge = ScriptedEngine(lambda request: '{"scores":[2,1]}')
    writer = ScriptedEngine(lambda request: '{"evolved_response":"x"}')
    program = EvolveAndScore(EvolQuality(lm=make_lm(writer)), QualityScorer(lm=make_lm(judge)))
    [[row]] = program.process([ROW])
    assert row["responses"] == ["Because.", "x"]
    assert (len(writer.requests), len(judge.requests)) == (1, 1)


def test_evolve_and_its_settings_are_not_given_together():
    with pytest.raises(InputError, match="num_evolutions: belongs to evolve"):
        EvolveAndScore(EvolQuality(), num_evolutions=2)


def test_async_and_sync_agree(configured):
    program = EvolveAndScore(num_evolutions=2)
    assert asyncio.run(program.acall(**ROW)).toDict() == program(**ROW).toDict()


def test_error_of_the_scorer_keeps_the_calls_of_the_evolution():
    def script(request):
        return "no" if "scores" in schema_of(request) else default_script(request)

    with pytest.raises(OutputError) as caught:
        EvolveAndScore(num_evolutions=2, lm=make_lm(ScriptedEngine(script)))(**ROW)
    assert [call["raw_output"] for call in caught.value.calls][2:] == ["no"]


def test_saved_and_loaded_is_the_same_program(tmp_path):
    evolve = EvolQuality(num_evolutions=3, mutation_templates={"depth": "Deeper."}, seed=7)
    program = EvolveAndScore(evolve, QualityScorer(scale=(1, 6)))
    program.save(tmp_path / "program.json")
    loaded = EvolveAndScore()
    loaded.load(tmp_path / "program.json")
    assert loaded.evolve.mutation_templates == {"depth": "Deeper."}
    assert loaded.evolve.settings == evolve.settings
    assert loaded.scorer.scale == (1, 6)


def test_works_inside_a_program_of_the_caller_under_any_adapter(configured):
    class Program(dspy.Module):
        def __init__(self):
            super().__init__()
            self.inner = EvolveAndScore()
            self.other = dspy.Predict("question -> answer")

        def forward(self, instruction, response):
            return self.inner(instruction=instruction, response=response)

    for adapter in (dspy.ChatAdapter(), dspy.JSONAdapter(), None):
        with dspy.context(adapter=adapter):
            assert Program()(**ROW).best_response == "Because. More."
            assert dspy.settings.adapter is adapter


def test_callers_cannot_be_told_apart_by_threads(configured):
    examples = [dspy.Example(**ROW).with_inputs("instruction", "response")] * 6
    found = EvolveAndScore().batch(examples, num_threads=3, disable_progress_bar=True, timeout=0)
    assert [prediction.best_response for prediction in found] == ["Because. More."] * 6
