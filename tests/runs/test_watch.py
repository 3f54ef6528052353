from dataclasses import replace

import pytest

from structq.errors import InputError, RowError
from structq.runs import Finished
from structq.runs.watch import FailureLimit, FailureWatch


def row(cause=None):
    error = RowError(path="f", line=3, field=None, reason=cause) if cause else None
    return Finished(number=0, line=3, values={}, calls=[], error=error, cause=cause)


def end_of(rows, **limit):
    """The number of the row at which the watch ended the run, and why."""
    watch = FailureWatch(limit=FailureLimit(**limit))
    for n, each in enumerate(rows, start=1):
        if reason := watch.add(replace(each, number=n - 1)):
            return n, reason
    return None


def test_a_fault_that_every_row_has_ends_the_run_and_is_told_once():
    n, reason = end_of([row("no column")] * 1000)
    assert n == 20
    assert reason == "each of the first 20 rows failed for one cause: f:3: no column"


@pytest.mark.parametrize(
    "rows",
    [
        [row("a")] * 19 + [row()] * 100 + [row("a")] * 500,
        [row("a"), row("b")] * 100,
        [row()] + [row("a")] * 500,
        [row("a")] * 19,
        [],
    ],
    ids=["one good", "two causes", "good first", "few rows", "none"],
)
def test_failures_that_differ_or_come_later_end_no_run_by_themselves(rows):
    assert end_of(rows) is None


def test_a_rate_of_failure_counts_from_a_minimum_on():
    rows = [row(), row("a"), row("b")] * 40
    n, reason = end_of(rows, share=0.2)
    assert n == 50
    assert reason.startswith("33 of 50 rows failed (at most 20% may): 17 of them for a")
    assert end_of([row()] * 40 + [row("a")] * 10, share=0.2) is None
    assert end_of([row()] * 40 + [row("a")] * 11, share=0.2)[0] == 51


def test_a_number_of_failures_counts_from_the_first_row_on():
    assert end_of([row(), row("a")] * 10, count=3) == (
        8,
        "4 rows failed (at most 3 may): 4 of them for a",
    )
    assert end_of([row("a"), row()], count=0)[0] == 1


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("20%", FailureLimit(share=0.2)),
        ("0.5 %", FailureLimit(share=0.005)),
        ("0", FailureLimit(count=0)),
        ("100", FailureLimit(count=100)),
    ],
)
def test_a_limit_is_a_share_or_a_number(text, limit):
    assert FailureLimit.parse(text) == limit


@pytest.mark.parametrize("text", ["", "many", "-1", "120%", "20 %%", "0.2"])
def test_what_is_neither_is_refused(text):
    with pytest.raises(InputError, match="must be a share such as 20%"):
        FailureLimit.parse(text)


def test_bad_rows_that_are_refused_at_once_do_not_end_a_run_whose_first_row_is_on_its_way():
    late = [row("a")] * 100
    watch = FailureWatch()
    assert not any(watch.add(replace(each, number=n)) for n, each in enumerate(late, start=1))
    assert watch.add(replace(row(), number=0)) is None
