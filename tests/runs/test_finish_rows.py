import pytest

from structq.data import Row
from structq.errors import RowError
from structq.runs import finish_rows
from structq.runs.rows import _MAX_WAITING


class Upper:
    """A task that reads some rows ahead, as real ones do."""

    output_columns = ("loud",)

    def __init__(self, ahead=3):
        self.ahead = ahead
        self.closed = 0

    def stream(self, rows):
        waiting = []
        try:
            for row in rows:
                waiting.append(row)
                if len(waiting) > self.ahead:
                    yield self.finish(waiting.pop(0))
            yield from map(self.finish, waiting)
        finally:
            self.closed += 1

    def finish(self, row):
        error = None
        if row["text"] == "fail":
            error = {"type": "LMError", "message": "text: no answer", "field": row.get("field")}
        calls = [*row.get("metadata", {}).get("calls", []), {"attempts": 1}]
        loud = None if error else row["text"].upper()
        return {**row, "loud": loud, "metadata": {"calls": calls, "error": error}}


def good(line, **extra):
    return Row(line=line, values={"text": "a", **extra})


def bad(line, **values):
    error = RowError(path="f", line=line, field="text", reason="null")
    return Row(line=line, values=values, error=error)


@pytest.mark.parametrize("ahead", [0, 1, 3, 100])
@pytest.mark.parametrize("pattern", ["", "g", "b", "gbg", "bbgbb", "ggbbggbgbbbg"])
def test_every_row_comes_out_in_order(pattern, ahead):
    rows = [good(i) if kind == "g" else bad(i) for i, kind in enumerate(pattern, start=1)]
    finished = list(finish_rows(rows, Upper(ahead), path="f"))
    assert [row.line for row in finished] == [row.line for row in rows]
    assert ["b" if row.error else "g" for row in finished] == list(pattern)


def test_a_bad_row_keeps_its_columns_and_has_null_outputs():
    (row,) = finish_rows([bad(4, id=7, loud="old")], Upper(), path="f")
    assert row.values["id"] == 7
    assert row.values["loud"] is None
    assert row.values["metadata"] == {
        "calls": [],
        "error": {"type": "RowError", "message": "f:4:text: null", "field": "text"},
    }


def test_a_bad_row_keeps_the_metadata_of_earlier_steps():
    earlier = {"calls": [{"attempts": 1}], "error": None, "note": "x"}
    (row,) = finish_rows([bad(1, metadata=earlier)], Upper(), path="f")
    assert row.values["metadata"]["calls"] == [{"attempts": 1}]
    assert row.values["metadata"]["note"] == "x"
    assert row.values["metadata"]["error"]["type"] == "RowError"
    assert row.calls == []


@pytest.mark.parametrize(
    ("field", "told"), [(None, "f:9: LMError: text: no answer"), ("text", "f:9:text: no answer")]
)
def test_a_row_that_failed_in_its_module_has_a_place(field, told):
    (row,) = finish_rows([Row(line=9, values={"text": "fail", "field": field})], Upper(), path="f")
    assert str(row.error) == told


def test_calls_are_those_of_this_run():
    earlier = {"calls": [{"attempts": 5}], "error": None}
    (row,) = finish_rows([good(1, metadata=earlier)], Upper(), path="f")
    assert row.calls == [{"attempts": 1}]


def test_few_bad_rows_wait_behind_a_row_in_flight():
    n_read = 0

    def rows():
        nonlocal n_read
        for i in range(5 * _MAX_WAITING):
            n_read += 1
            yield good(i) if i == 0 else bad(i)

    finished = finish_rows(rows(), Upper(), path="f")
    next(finished)
    assert n_read == _MAX_WAITING + 1
    assert sum(1 for _ in finished) == 5 * _MAX_WAITING - 1


def test_closing_gives_up_what_is_in_flight():
    task = Upper()
    finished = finish_rows(map(good, range(10)), task, path="f")
    next(finished)
    finished.close()
    assert task.closed == 1
