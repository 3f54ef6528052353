import asyncio
import copy

import dspy
import pytest
from dspy import lm15

from structq import EvolQuality, EvolveAndScore, InputError, QualityScorer
from tests.scripted import ScriptedEngine, default_script, make_lm, prompt_of


def only(module, rows):
    [found] = module.process(rows)
    return found


def test_process_yields_one_list_in_the_order_of_the_rows(configured, rows):
    found = only(EvolQuality(), rows)
    assert [row["id"] for row in found] == [1, 2, 3, 4]
    assert [row["evolved_response"] for row in found] == [
        row["response"] + " More." for row in rows
    ]


@pytest.mark.parametrize(
    ("module", "columns"),
    [
        (EvolQuality(), {"evolved_response", "mutations"}),
        (EvolQuality(store_evolutions=True), {"evolved_responses", "mutations"}),
        (
            EvolveAndScore(),
            {
                "responses",
                "scores",
                "expected_scores",
                "score_distributions",
                "evolved_response",
                "best_response",
                "mutations",
            },
        ),
    ],
    ids=["evolve", "store", "both"],
)
def test_columns_are_those_of_the_contract(configured, rows, module, columns):
    for row in only(module, rows):
        assert set(row) == {"id", "instruction", "response", "model_name", "metadata"} | columns


def test_scorer_adds_its_columns(configured):
    [row] = only(QualityScorer(), [{"instruction": "Why?", "responses": ["a", "bb"], "x": 1}])
    assert row["scores"] == [1.0, 2.0]
    assert row["x"] == 1
    assert set(row) == {
        "instruction", "responses", "x", "scores", "expected_scores", "score_distributions",
        "model_name", "metadata",
    }  # fmt: skip


def test_input_rows_are_not_changed(configured, rows):
    rows[0]["metadata"] = {"source": "web"}
    before = copy.deepcopy(rows)
    only(EvolveAndScore(), rows)
    assert rows == before


def test_failed_row_keeps_its_columns_and_costs_nobody_else(rows):
    def script(request):
        if "prime" in prompt_of(request):
            return "broken"
        if "Explain" in prompt_of(request):
            return lm15.ContextLengthError("the prompt is too long: 9 tokens (at most 8 fit)")
        return default_script(request)

    rows.append({"id": 5, "instruction": "", "response": "x"})
    found = only(EvolQuality(lm=make_lm(ScriptedEngine(script))), rows)
    errors = [row["metadata"]["error"] for row in found]
    assert [error and error["type"] for error in errors] == [
        None, "OutputError", None, "PromptTooLongError", "InputError",
    ]  # fmt: skip
    assert errors[4]["field"] == "instruction"
    assert found[1]["metadata"]["calls"][0]["raw_output"] == "broken"
    for row, source in zip(found, rows, strict=True):
        assert row | source == row
        failed = row["metadata"]["error"] is not None
        assert (row["evolved_response"] is None) == failed
        assert (row["model_name"] is None) == failed


def test_metadata_of_the_row_is_merged(configured):
    row = {
        "instruction": "Why?",
        "response": "x",
        "metadata": {"source": "web", "calls": [{"n": 1}]},
    }
    [found] = only(EvolQuality(), [row])
    assert found["metadata"]["source"] == "web"
    assert found["metadata"]["calls"][0] == {"n": 1}
    assert len(found["metadata"]["calls"]) == 2


def test_metadata_that_is_no_mapping_is_kept(configured):
    [found] = only(EvolQuality(), [{"instruction": "Why?", "response": "x", "metadata": "web"}])
    assert found["metadata"]["metadata"] == "web"


def test_without_an_lm_the_whole_call_fails():
    with dspy.context(lm=None), pytest.raises(InputError, match="lm: there is none"):
        only(EvolQuality(), [])


def test_a_row_that_is_no_mapping_fails_the_whole_call(configured):
    with pytest.raises(InputError, match="rows: each must be a mapping"):
        only(EvolQuality(), ["text"])


def test_process_works_inside_a_running_loop(configured, rows):
    async def main():
        return only(EvolQuality(), rows)

    assert len(asyncio.run(main())) == 4


def test_context_of_the_caller_reaches_the_rows(rows):
    engine = ScriptedEngine()
    with dspy.context(lm=make_lm(engine)):
        only(EvolQuality(), rows)
    assert len(engine.requests) == 4


def test_rows_do_not_depend_on_concurrency(configured, rows):
    one = only(EvolveAndScore(n_in_flight=1), rows)
    many = only(EvolveAndScore(n_in_flight=8), rows[::-1])
    assert one == many[::-1]


def test_rows_overlap_up_to_the_limit(rows):
    engine = ScriptedEngine(delay_s=lambda request: 0.02)
    only(EvolQuality(lm=make_lm(engine), n_in_flight=3), rows * 3)
    assert engine.most_in_flight == 3


def test_load_warms_the_engine():
    engine = ScriptedEngine()
    warmed = []
    engine.load = lambda: warmed.append(1)
    EvolQuality(lm=make_lm(engine)).load()
    assert warmed == [1]


def test_stream_reads_as_it_goes(configured):
    read = []

    def rows():
        for i in range(1000):
            read.append(i)
            yield {"instruction": f"Q{i}", "response": "x"}

    found = EvolQuality(n_in_flight=2).stream(rows())
    assert next(found)["instruction"] == "Q0"
    assert len(read) < 20
    found.close()
