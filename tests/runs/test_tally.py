import pytest

from structq.errors import RowError
from structq.runs import Finished, Tally


def finished(error=None, calls=(), **values):
    return Finished(
        number=0, line=1, values=values, calls=list(calls), error=error, cause=error and "x"
    )


def tally_of(*rows, compares=False):
    tally = Tally(compares=compares)
    for row in rows:
        tally.add(row)
    return tally


def test_rows_calls_and_tokens_add_up():
    call = {"attempts": 2, "usage": {"input_tokens": 10, "output_tokens": 3}}
    silent = {"attempts": 1, "usage": {"input_tokens": None, "output_tokens": None}}
    error = RowError(path="f", line=1, field=None, reason="x")
    tally = tally_of(finished(calls=[call, call]), finished(error, calls=[silent]))
    assert (tally.n_rows, tally.n_failed, tally.n_lm_calls) == (2, 1, 5)
    assert (tally.input_tokens, tally.output_tokens) == (20, 6)


def test_before_and_after_compare_the_same_rows():
    tally = tally_of(
        finished(scores=[1, 3], expected_scores=[1.5, 2.5]),
        finished(scores=[2, 2], expected_scores=[2.0, 1.0]),
        finished(scores=[None, 3], expected_scores=None),
        compares=True,
    )
    assert (tally.before.value, tally.after.value) == (1.75, 2.25)
    assert (tally.n_improved, tally.share_improved) == (1, 0.5)
    assert tally.scores.n == 5


def test_scores_alone_have_no_before_and_after():
    tally = tally_of(finished(scores=[1, 3], expected_scores=None))
    assert tally.scores.value == 2
    assert tally.before.value is tally.share_improved is None


@pytest.mark.parametrize("row", [finished(), finished(scores=None), finished(scores=[None])])
def test_unscored_rows_count_no_score(row):
    assert tally_of(row).scores.value is None


def test_what_compares_within_rows_has_shares_and_no_means():
    facts = {"raw_scores": [-0.5, 0.5], "uncalibrated": "ranks"}
    pairs = tally_of(finished(scores=[1, 2], expected_scores=None, metadata=facts), compares=True)
    assert (pairs.share_improved, pairs.scores.value, pairs.before.value) == (1, None, None)
    facts["log_probability_gains"] = [-5.0, 5.0]
    read = tally_of(finished(scores=[1, 2], expected_scores=None, metadata=facts), compares=True)
    assert (read.before.value, read.after.value, read.share_improved) == (-0.5, 0.5, 1)
