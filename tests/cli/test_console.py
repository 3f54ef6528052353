import pytest

from structq.cli.console import summary_lines
from structq.runs import Finished, Tally


def names(*, compares=False, **values):
    tally = Tally(compares=compares)
    tally.add(Finished(number=0, line=1, values=values, calls=[], error=None, cause=None))
    return [name for name, _ in summary_lines(tally)]


def test_the_summary_has_only_lines_that_make_sense():
    run = names(compares=True, scores=[1, 2], expected_scores=[1.0, 2.0])
    assert {"mean score, original", "mean score, best kept", "rows improved"} <= set(run)
    assert "mean score" not in run
    assert {"responses scored", "mean score"} <= set(names(scores=[1, 2]))
    assert not any("score" in name for name in names(evolved_response="b"))


@pytest.mark.parametrize(
    ("compares", "rows", "told"), [(True, 11, True), (True, 0, False), (False, 11, False)]
)
def test_improvement_in_both_orders_stands_below_that_in_one(compares, rows, told):
    tally = Tally(compares=compares)
    tally.judge_check = {"rows": rows, "last_wins": 2, "sentence": "s"}
    found = dict(summary_lines(tally))
    assert found["judge check"] == "s"
    expected = "2 of 11 rows" if told else None
    assert found.get("better in both orders") == expected


def test_the_summary_says_when_the_judge_wrote_what_it_judges():
    values = {"scores": [1, 2]}
    row = Finished(number=0, line=1, values=values, calls=[], error=None, cause=None)
    for itself in (True, False):
        tally = Tally(compares=True, judged_by_writer=itself)
        tally.add(row)
        (name,) = [name for name, _ in summary_lines(tally) if name.startswith("rows improved")]
        assert ("judged by the LM itself" in name) is itself
