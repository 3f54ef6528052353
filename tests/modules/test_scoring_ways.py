"""Ways to score that ask for no score: pairs and likelihood; and shares of drawn answers."""

import asyncio
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import rankdata

from structq import EvolveAndScore, InputError, QualityScorer
from structq.modules.scoring.pairwise import strengths
from structq.modules.scoring.way import ranks
from tests.scripted import ScriptedEngine, extensions_of, make_lm, prompt_of, respond, schema_of

ROW = {"instruction": "Name a prime.", "responses": ["9", "seven", "2 is one"]}


def reader(likely):
    """An LM that reads: the log probability of a text by a function of (instruction, text)."""

    def script(request):
        text = extensions_of(request)["read"]
        found = {"logprob": likely(prompt_of(request), text), "n_tokens": len(text) + 1}
        return respond(request, "", data={"structq": {"read": found, "n_passes": 1}})

    engine = ScriptedEngine(script)
    engine.reads_text = True
    return engine


def chooser(choose):
    """An LM that says which of two is better, by a function of the two."""

    def script(request):
        prompt = prompt_of(request)
        first, second = prompt.split("Response 1:\n")[1].split("\n\nResponse 2:\n")
        assert schema_of(request)["scores"]["items"]["enum"] == [1, 2]
        return json.dumps({"scores": [choose(first, second)]})

    return ScriptedEngine(script)


def test_likelihood_is_what_the_instruction_adds():
    engine = reader(lambda told, text: -float(len(text)) * (1.0 if told else 3.0))
    found = QualityScorer(scoring="likelihood", length_exponent=0, lm=make_lm(engine))(**ROW)
    assert found.metadata["raw_scores"] == [2.0, 10.0, 16.0]
    assert found.scores == [1.0, 2.0, 3.0]
    assert found.expected_scores is found.score_distributions is None
    assert "until they are calibrated" in found.metadata["uncalibrated"]
    assert [prompt_of(r) for r in engine.requests].count("") == 3
    assert len(engine.requests) == len(found.metadata["calls"]) == 6
    halved = QualityScorer(scoring="likelihood", length_exponent=1, lm=make_lm(engine))(**ROW)
    assert halved.metadata["raw_scores"] == pytest.approx([2 / 2, 10 / 6, 16 / 9])


def test_likelihood_awaited_is_the_same():
    lm = make_lm(reader(lambda told, text: -float(len(text) + len(told))))
    scorer = QualityScorer(scoring="likelihood", lm=lm)
    assert asyncio.run(scorer.acall(**ROW)).toDict() == scorer(**ROW).toDict()


def test_an_lm_that_does_not_read_is_refused_by_name():
    with pytest.raises(InputError, match="'scripted/lm' gives no log probability of a prompt"):
        QualityScorer(scoring="likelihood", lm=make_lm(ScriptedEngine()))(**ROW)


def test_one_row_that_cannot_be_read_costs_no_other():
    lm = make_lm(reader(lambda told, text: -1.0))
    rows = [ROW, {**ROW, "responses": ["\ud800"]}, ROW]
    done = next(QualityScorer(scoring="likelihood", lm=lm).process(rows))
    assert [row["metadata"]["error"] is None for row in done] == [True, False, True]
    assert done[0]["scores"] == [2.0, 2.0, 2.0]


def test_a_system_prompt_stands_before_both_readings():
    engine = reader(lambda told, text: -1.0)
    QualityScorer(scoring="likelihood", system_prompt="Be brief.", lm=make_lm(engine))(**ROW)
    assert {request.system for request in engine.requests} == {"Be brief."}


def test_a_preference_for_a_place_cancels():
    for place in (1, 2):
        lm = make_lm(chooser(lambda first, second, place=place: place))
        found = QualityScorer(scoring="pairwise", lm=lm)(**ROW)
        assert found.scores == [2.0, 2.0, 2.0]
        assert found.metadata["raw_scores"] == pytest.approx([0, 0, 0])


def test_pairs_are_ranked():
    engine = chooser(lambda first, second: 1 if len(first) > len(second) else 2)
    found = QualityScorer(scoring="pairwise", lm=make_lm(engine))(**ROW)
    assert found.scores == [1.0, 2.0, 3.0]
    assert len(engine.requests) == 6
    wins = np.array(found.metadata["win_probabilities"])
    assert wins.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]


def test_one_response_alone_cannot_be_compared():
    lm = make_lm(ScriptedEngine())
    with pytest.raises(InputError, match="responses: holds one"):
        QualityScorer(scoring="pairwise", lm=lm)(instruction="Why?", responses=["a"])


@pytest.mark.parametrize("scoring", ["pairwise", "likelihood"])
def test_the_best_of_a_row_follows_the_ranks(scoring):
    def script(request):
        if "read" in extensions_of(request):
            text = extensions_of(request)["read"]
            found = {"logprob": float(len(text)) * bool(prompt_of(request)), "n_tokens": 1}
            return respond(request, "", data={"structq": {"read": found}})
        if "evolved_response" in schema_of(request):
            return json.dumps({"evolved_response": "A longer answer that says more than before."})
        first, second = prompt_of(request).split("Response 1:\n")[1].split("\n\nResponse 2:\n")
        return json.dumps({"scores": [1 if len(first) > len(second) else 2]})

    engine = ScriptedEngine(script)
    engine.reads_text = True
    best = EvolveAndScore(scorer=QualityScorer(scoring=scoring), lm=make_lm(engine))
    found = best(instruction="Why?", response="Because it is.")
    assert found.scores == [1.0, 2.0]
    assert found.best_response == found.evolved_response
    assert found.expected_scores is None


UNUSED = {"scale": (1, 6), "permutations": 2, "samples": 4, "turns": "sum",
          "use_default_structured_output": False,
          "template": "{{ instruction }} {% for r in responses %}{{ r }}{% endfor %}"}  # fmt: skip


@pytest.mark.parametrize("scoring", ["pairwise", "likelihood"])
@pytest.mark.parametrize("name", UNUSED)
def test_a_setting_that_says_nothing_is_refused(scoring, name):
    with pytest.raises(InputError, match=f"{name}: says nothing with {scoring} scoring"):
        QualityScorer(scoring=scoring, **{name: UNUSED[name]})


def test_shares_of_drawn_answers_stand_for_the_distribution():
    said = iter([1, 1, 2, 3])
    engine = ScriptedEngine(lambda request: json.dumps({"scores": [next(said)]}))
    lm = make_lm(engine)
    found = QualityScorer(samples=4, scale=(1, 3), lm=lm)(instruction="Why?", responses=["a"])
    assert found.score_distributions == [{"1": 0.5, "2": 0.25, "3": 0.25}]
    assert found.expected_scores == [1.75]
    assert found.scores == [1.0]
    assert found.metadata["sampled"] == 4
    assert [request.config.temperature for request in engine.requests] == [1.0] * 4


def test_draws_of_a_measuring_lm_are_measured(measuring_lm):
    found = QualityScorer(samples=2, lm=measuring_lm)(**ROW)
    once = QualityScorer(lm=measuring_lm)(**ROW)
    assert found.score_distributions == once.score_distributions
    assert "sampled" not in found.metadata


def test_a_single_draw_is_refused():
    with pytest.raises(InputError, match="samples: one draw"):
        QualityScorer(samples=1)


@settings(deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=7))
def test_ranks_are_those_of_scipy(values):
    assert ranks([float(v) for v in values]) == rankdata(values).tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 5), st.integers(0, 10**6))
def test_strengths_are_the_maximum_of_the_likelihood(k, seed):
    wins = np.random.default_rng(seed).random((k, k)) * (1 - np.eye(k))
    found = np.array(strengths(wins))

    def loss(power):
        gaps = power[:, None] - power[None, :]
        return float(((wins + 0.1 * (1 - np.eye(k))) * np.logaddexp(0, -gaps)).sum())

    best = minimize(loss, np.zeros(k), tol=1e-12).x
    assert found.mean() == pytest.approx(0, abs=1e-9)
    assert loss(found) <= loss(best) + 1e-9
    assert found == pytest.approx(best - best.mean(), abs=1e-3)


def test_strengths_of_equal_records_are_equal():
    counts = Counter(strengths(0.5 * (1 - np.eye(4))))
    assert len(counts) == 1
