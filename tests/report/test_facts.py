"""What one row says in numbers."""

import pytest

from structq.report.facts import facts_of_row, responses_of
from tests.report.made import row

OUTCOMES = {
    "improved": (["a", "bb"], [1.0, 2.0], "improved", 1.0, 1),
    "worse": (["a", "bb"], [2.0, 1.5], "worse", -0.5, 1),
    "same": (["aaa", "bb"], [2.0, 2.0], "same", 0.0, -1),
    "best of two counts": (["a", "bbbb", "ccc"], [2.0, 3.0, 1.0], "improved", 1.0, 3),
    "first of equal ones": (["a", "bbbb", "cc"], [2.0, 3.0, 3.0], "improved", 1.0, 3),
    "all worse": (["a", "bbbb", "cc"], [2.0, 1.0, 1.5], "worse", -0.5, 1),
    "one evolution unscored": (["a", "bbbb", "cc"], [2.0, None, 2.5], "improved", 0.5, 1),
    "original unscored": (["a", "bb"], [None, 2.0], "unscored", None, 1),
    "nothing scored": (["a", "bb"], None, "unscored", None, 1),
    "only the original scored": (["a", "bb"], [1.0, None], "unscored", None, 1),
}


@pytest.mark.parametrize(
    ("texts", "scores", "outcome", "gain", "added"), OUTCOMES.values(), ids=OUTCOMES
)
def test_a_row_is_what_its_best_evolution_is(texts, scores, outcome, gain, added):
    names = ["details"] * (len(texts) - 1)
    facts = facts_of_row(0, row(0, texts, scores, names))
    assert (facts.outcome, facts.gain, facts.added) == (outcome, gain, added)


def test_the_last_evolution_may_be_worse_where_the_row_improved():
    facts = facts_of_row(0, row(0, ["a", "b", "c"], [2.0, 3.0, 1.0], ["details", "relevance"]))
    assert (facts.outcome, facts.last) == ("improved", -1.0)
    assert [(step.mutation, step.gain) for step in facts.steps] == [
        ("details", 1.0),
        ("relevance", -2.0),
    ]


ODDS = {
    "sure": ([{"1": 1.0, "2": 0.0}, {"1": 0.0, "2": 1.0}], [1.0, 2.0], 1.0, False),
    "even": ([{"1": 0.5, "2": 0.5}, {"1": 0.4, "2": 0.6}], [1.5, 1.6], 0.55, True),
    "three to one": ([{"1": 0.5, "2": 0.5}, {"1": 0.0, "2": 1.0}], [1.5, 2.0], 0.75, False),
    "sure the other way": ([{"1": 0.0, "2": 1.0}, {"1": 0.9, "2": 0.1}], [2.0, 1.1], 0.05, False),
    "not measured, tie": (None, [2.0, 2.0], None, True),
    "not measured": (None, [2.0, 2.5], None, False),
    "names": ([{"bad": 1.0, "good": 0.0}, {"bad": 0.0, "good": 1.0}], [1.0, 2.0], None, False),
}


@pytest.mark.parametrize(("spread", "scores", "odds", "undecided"), ODDS.values(), ids=ODDS)
def test_the_judges_own_distributions_say_how_sure_it_is(spread, scores, odds, undecided):
    facts = facts_of_row(0, row(0, ["a", "b"], scores, ["details"], spread=spread))
    assert facts.odds == (None if odds is None else pytest.approx(odds))
    assert facts.undecided is undecided


def test_a_failed_row_has_its_cause_and_its_cost():
    facts = facts_of_row(3, row(3, ["a", "b"], [1.0, 2.0], ["details"], error="cut off after 12"))
    assert (facts.outcome, facts.cause) == ("failed", "OutputError: cut off after …")
    assert (facts.n_calls, facts.tokens_in, facts.tokens_out) == (2, 26, 10)
    assert facts.gain is None


FOREIGN = {
    "nothing": {},
    "an error of somebody else": {"metadata": {"error": "boom"}},
    "metadata that is text": {"metadata": "x", "response": "a"},
    "no responses": {"instruction": "x", "responses": None, "scores": [1.0]},
    "fewer scores": {"responses": ["a", "b"], "scores": [1.0]},
    "numbers as responses": {"responses": [1, 2], "scores": [1.0, 2.0]},
    "calls that are none": {"metadata": {"calls": "x"}},
}


@pytest.mark.parametrize("values", FOREIGN.values(), ids=FOREIGN)
def test_rows_of_others_are_rows_without_a_score(values):
    facts = facts_of_row(0, values)
    assert (facts.outcome, facts.before, facts.after) == ("unscored", None, None)


def test_rows_that_were_only_scored_compare_nothing_with_an_original():
    values = {"instruction": "q", "responses": ["aa", "b"], "scores": [1.0, 2.0], "metadata": {}}
    facts = facts_of_row(0, values)
    assert (facts.outcome, facts.after, list(facts.scores)) == ("scored", 2.0, [1.0, 2.0])
    assert (facts.longest_first, facts.last_first) == (False, True)


ANSWERS = {
    "json": (
        "json",
        ['{"evolved_response": "b"}', '{"evolved_response": "c"}'],
        {},
        ["a", "b", "c"],
    ),
    "text": ("text", ["b", "c"], {}, ["a", "b", "c"]),
    "cut": ("text", ["b", "c"], {"cut": "length"}, ["a", "c"]),
    "no json": ("json", ["b", "c"], {}, ["a", "c"]),
    "changed afterwards": ("text", ["b", "c "], {}, ["a", "c"]),
}


@pytest.mark.parametrize(("form", "raw", "more", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_steps_that_were_not_stored_are_read_from_the_answers(form, raw, more, expected):
    calls = [{"mutation": "details", "raw_output": text, "form": form, **more} for text in raw]
    values = {"response": "a", "evolved_response": "c", "mutations": ["details", "details"],
              "metadata": {"calls": calls, "error": None}}  # fmt: skip
    assert responses_of(values) == expected
    assert responses_of({**values, "scores": [1.0, 2.0]}) == ["a", "c"]


@pytest.mark.parametrize(
    "columns",
    [
        {"evolved_response": "bb", "mutations": ["details"]},
        {"evolved_responses": ["bb"], "mutations": ["details"]},
        {"evolved_responses": ["a", "bb"], "mutations": ["details"]},
    ],
    ids=["last", "all", "with the original"],
)
def test_what_was_only_evolved_has_its_added_length(columns):
    facts = facts_of_row(0, {"instruction": "q", "response": "a", **columns})
    assert (facts.added, facts.outcome) == (1, "unscored")
