import pytest

from structq.errors import InputError
from structq.journal import Journal, RowState
from structq.runs.shards import Shard, merged_outputs


def parts(tmp_path, rows_of, facts=({}, {}, {})):
    journals = []
    for i, (rows, each) in enumerate(zip(rows_of, facts, strict=False)):
        journal = Journal(tmp_path / f"{i}", {"lm": "nano", **each})
        for row in rows:
            journal.finish_row(row, RowState(digest=b"", shape="", cause=None), str(row))
        journals.append(journal)
    return journals


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_the_shards_of_a_run_are_each_row_once(n):
    rows = list("abcdefghij")
    shards = [Shard.parse(f"{i}/{n}") for i in range(1, n + 1)]
    found = sorted(pair for shard in shards for pair in shard.of(rows))
    assert found == list(enumerate(rows))


@pytest.mark.parametrize("text", ["", "0/2", "3/2", "1", "a/b", "1/0", "1/2/3", "-1/2"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(InputError, match="must be I/N"):
        Shard.parse(text)


def test_parts_are_merged_in_the_order_of_the_rows(tmp_path):
    journals = parts(tmp_path, [[0, 3, 6], [1, 4], [2, 5]])
    assert list(merged_outputs(journals)) == list("0123456")


@pytest.mark.parametrize(
    ("rows_of", "match"),
    [
        ([[0, 2], [3]], "row 2 and maybe more are missing"),
        ([[1], [2]], "row 1 and maybe more are missing"),
        ([[0, 1], [1]], "row 2 stands in two parts"),
    ],
)
def test_parts_that_do_not_make_a_whole_are_refused(tmp_path, rows_of, match):
    with pytest.raises(InputError, match=match):
        list(merged_outputs(parts(tmp_path, rows_of)))


def test_parts_of_different_runs_are_refused(tmp_path):
    journals = parts(tmp_path, [[0], [1]], facts=({"seed": 1}, {"seed": 2}))
    with pytest.raises(InputError, match=r"is of another run than .*: seed differ"):
        list(merged_outputs(journals))
