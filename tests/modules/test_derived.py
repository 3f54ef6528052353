"""Derived columns follow the scores beside them, or go."""

import json

import pytest

from structq import EvolQuality, EvolveAndScore, QualityScorer
from structq.modules.derived import finest_scores
from tests.scripted import ScriptedEngine, default_script, make_lm, schema_of

ROW = {"id": 7, "instruction": "Why?", "response": "Because."}


def scripted(*scores):
    """Evolves as usual, and gives these scores."""

    def script(request):
        fields = schema_of(request)
        return json.dumps({"scores": scores}) if "scores" in fields else default_script(request)

    return make_lm(ScriptedEngine(script))


def only(module, row):
    [[done]] = module.process([row])
    return done


@pytest.fixture
def compared():
    """What a run wrote; the last of three responses is the best."""
    return only(EvolveAndScore(num_evolutions=2, lm=scripted(1, 2, 3)), ROW)


@pytest.mark.parametrize(
    ("scores", "best"), [((3, 1, 2), 0), ((1, 3, 2), 1), ((1, 1, 2), 2), ((2, 2, 2), 0)]
)
def test_the_best_response_follows_new_scores(compared, scores, best):
    done = only(QualityScorer(lm=scripted(*scores)), compared)
    assert done["scores"] == list(map(float, scores))
    assert done["best_response"] == done["responses"][best]
    assert done["mutations"] == compared["mutations"]


def test_the_best_response_follows_expected_scores(compared, measuring_lm):
    done = only(QualityScorer(lm=measuring_lm), {**compared, "responses": ["aaa", "b", "cc"]})
    assert done["best_response"] == "aaa"
    assert max(done["expected_scores"]) == done["expected_scores"][0]


def test_where_scoring_fails_nothing_is_the_best(compared):
    done = only(QualityScorer(lm=make_lm(ScriptedEngine(lambda request: "broken"))), compared)
    assert done["metadata"]["error"] is not None
    assert done["scores"] is done["best_response"] is None


def test_scores_alone_bring_no_best_response():
    row = {"instruction": "Why?", "responses": ["a", "b"]}
    assert "best_response" not in only(QualityScorer(lm=scripted(1, 2)), row)


def test_a_new_evolution_leaves_no_old_scores_behind(compared):
    done = only(EvolQuality(lm=scripted()), compared)
    assert done.keys() == {*ROW, "evolved_response", "mutations", "model_name", "metadata"}
    assert len(done["metadata"]["calls"]) == 4


def test_a_new_comparison_leaves_no_old_evolutions_behind():
    row = only(EvolQuality(num_evolutions=3, store_evolutions=True, lm=scripted()), ROW)
    done = only(EvolveAndScore(lm=scripted(1, 2)), row)
    assert "evolved_responses" not in done
    assert done["responses"] == ["Because.", "Because. More."]


def test_columns_of_the_users_own_pass_through():
    row = {**ROW, "responses": ["a", "b"], "scores": [1, 2], "mutations": "mine"}
    done = only(EvolQuality(lm=scripted()), row)
    assert (done["responses"], done["scores"]) == (["a", "b"], [1, 2])
    scored = only(QualityScorer(lm=scripted(2, 1)), row)
    assert only(EvolQuality(lm=scripted()), scored)["scores"] == [2, 1]


def test_a_row_that_is_short_is_so_no_more_after_a_good_run():
    answers = iter([json.dumps({"evolved_response": "Because. One."}), "broken"])
    lm = make_lm(ScriptedEngine(lambda request: next(answers)))
    row = only(EvolQuality(num_evolutions=2, lm=lm), ROW)
    assert row["metadata"]["short"]["type"] == "OutputError"
    assert "short" not in only(EvolQuality(lm=scripted()), row)["metadata"]


def test_what_was_evolved_before_a_failed_step_is_scored():
    answers = iter(
        [
            json.dumps({"evolved_response": "Because. One."}),
            "broken",
            json.dumps({"scores": [1, 2]}),
        ]
    )
    lm = make_lm(ScriptedEngine(lambda request: next(answers)))
    done = only(EvolveAndScore(num_evolutions=2, lm=lm), ROW)
    assert done["responses"] == ["Because.", "Because. One."]
    assert done["best_response"] == "Because. One."
    assert done["metadata"]["error"] is None
    assert done["metadata"]["short"]["type"] == "OutputError"


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        ("[1] Score: 2\n[2] Score: 3", []),
        ("[1] Score: 2", [(1, "the answer has no line such as '[2] Score: 1'")]),
        ("[2] Score: 9\n[1] Score: 1", [(1, "the score 9 is off the scale (1 to 3)")]),
        ("[1] Score: 1\n[1] Score: 2\n[2] Score: 2", [(0, "lines that differ: 1 and 2")]),
        ("no", [(0, "no line such as '[1]"), (1, "no line such as '[2]")]),
    ],
    ids=["all", "one missing", "off the scale", "two that differ", "none"],
)
def test_every_missing_score_has_its_reason(answer, reasons):
    scorer = QualityScorer(
        use_default_structured_output=False, lm=make_lm(ScriptedEngine(lambda request: answer))
    )
    row = {"instruction": "Why?", "responses": ["a", "b"]}
    done = only(scorer, {**row, "metadata": {"unscored": "old", "calls": []}})
    told = done["metadata"].get("unscored", [])
    assert [one["response"] for one in told] == [i for i, _ in reasons]
    assert all(reason in one["reason"] for one, (_, reason) in zip(told, reasons, strict=True))
    assert [i for i, score in enumerate(done["scores"]) if score is None] == [i for i, _ in reasons]


@pytest.mark.parametrize(
    ("module", "options"),
    [(QualityScorer, {}), (EvolveAndScore, {"num_evolutions": 2})],
    ids=["score", "evolve and score"],
)
def test_nothing_of_an_earlier_way_to_score_outlives_another_one(compared, module, options):
    facts = {
        "raw_scores": [9.0, 1.0, 0.0], "uncalibrated": "ranks", "log_probability_gains": [9, 1, 0],
        "n_tokens": [1, 1, 1], "log_probabilities": [-1, -1, -1], "win_probabilities": [[0.0]],
        "sampled": 8, "uncalibrated_scores": [1.0, 1.0, 1.0], "turn_scores": [[1.0]],
        "turn_expected_scores": [[1.0]], "unscored": [{"response": 0, "reason": "cut"}],
    }  # fmt: skip
    stale = {**compared, "metadata": {**compared["metadata"], **facts}}
    done = only(module(lm=scripted(1, 2, 3), **options), stale)
    assert done["scores"] == [1, 2, 3]
    assert not set(facts) & set(done["metadata"])
    assert done["best_response"] == done["responses"][-1]


def test_facts_of_somebody_else_stay():
    facts = {"n_tokens": 120, "sampled": "by hand", "source": "a book"}
    row = {"instruction": "Why?", "responses": ["Air.", "Light.", "Dust."], "metadata": facts}
    done = only(QualityScorer(lm=scripted(1, 2, 3)), row)
    assert facts.items() <= done["metadata"].items()


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"scores": [1, 2]}, [1, 2]),
        ({"scores": [1, 2], "expected_scores": [1.5, 1.2]}, [1.5, 1.2]),
        ({"scores": [2, 1], "metadata": {"raw_scores": [0.1, -3.0]}}, [0.1, -3.0]),
        ({"scores": [1], "expected_scores": None, "metadata": None}, [1]),
        ({"scores": "12", "metadata": {"raw_scores": 7}}, []),
        ({"scores": 3, "metadata": []}, []),
        ({}, []),
    ],
    ids=["scores", "means", "raw values", "nothing finer", "no lists", "a number", "nothing"],
)
def test_the_finest_scores_are_a_list_or_nothing(row, found):
    assert finest_scores(row) == found
