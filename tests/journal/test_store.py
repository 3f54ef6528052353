import json
import os
import sqlite3
import subprocess
import sys

import pytest

from structq.errors import InputError, ResumeError
from structq.journal import Journal, RowState
from structq.journal import store as stores

FACTS = {"lm": "nano", "templates": {"depth": "Go deeper."}, "version": "0.3.0"}


def state(cause=None, shape="s", digest=b"d"):
    return RowState(digest=digest, shape=shape, cause=cause)


def test_what_was_kept_is_there_when_it_is_opened_again(tmp_path):
    path = tmp_path / "deep" / "run.journal"
    with Journal(path, FACTS) as journal:
        assert not journal.resumed
        journal.keep_answer(3, b"k", {"text": "é\u2028"})
        journal.finish_row(3, state(), '{"a": 1}')
        journal.finish_row(1, state("InputError: x"), '{"a": 2}')
    with Journal(path, FACTS) as journal:
        assert journal.resumed
        assert journal.answers(3) == {b"k": {"text": "é\u2028"}}
        assert journal.answers(1) == {}
        assert journal.state(3) == state()
        assert journal.state(2) is None
        assert list(journal.outputs()) == [(1, '{"a": 2}'), (3, '{"a": 1}')]
        assert journal.output(3) == '{"a": 1}'
        assert (journal.n_finished(), journal.causes()) == (2, {"InputError: x": 1})


def test_outputs_come_in_order_however_many_there_are(tmp_path):
    with Journal(tmp_path / "j", FACTS) as journal:
        for row in reversed(range(1000)):
            journal.finish_row(row, state(), str(row))
        assert [int(output) for _, output in journal.outputs()] == list(range(1000))


def test_a_row_that_is_made_again_takes_the_place_of_the_old_one(tmp_path):
    with Journal(tmp_path / "j", FACTS) as journal:
        journal.finish_row(0, state("bad"), "old")
        journal.finish_row(0, state(), "new")
        assert (list(journal.outputs()), journal.causes()) == ([(0, "new")], {})


@pytest.mark.parametrize(
    ("facts", "differs"),
    [
        ({**FACTS, "lm": "smollm2"}, ("lm",)),
        ({**FACTS, "templates": {"depth": "Go deep."}}, ("templates",)),
        ({**FACTS, "seed": 1}, ("seed",)),
        ({"lm": "nano"}, ("templates", "version")),
        ({**FACTS, "lm": "x", "version": "0.4.0"}, ("lm", "version")),
    ],
)
def test_other_facts_are_refused_by_name_and_nothing_is_lost(tmp_path, facts, differs):
    path = tmp_path / "j"
    with Journal(path, FACTS) as journal:
        journal.keep_answer(0, b"k", 1)
    with pytest.raises(ResumeError, match="belongs to another run") as caught:
        Journal(path, facts)
    assert caught.value.differs == differs
    assert all(name in str(caught.value) for name in differs)
    with Journal(path, FACTS) as journal:
        assert journal.answers(0) == {b"k": 1}


def test_facts_are_compared_as_json_has_them(tmp_path):
    Journal(tmp_path / "j", {"scale": (1, 6), "a": {"y": 1, "x": 2}}).close()
    assert Journal(tmp_path / "j", {"scale": [1, 6], "a": {"x": 2, "y": 1}}).resumed


def test_a_restart_throws_away_what_was_there(tmp_path):
    with Journal(tmp_path / "j", FACTS) as journal:
        journal.keep_answer(0, b"k", 1)
    with Journal(tmp_path / "j", {"lm": "other"}, restart=True) as journal:
        assert not journal.resumed
        assert journal.n_finished() == 0
    assert Journal(tmp_path / "j", {"lm": "other"}).answers(0) == {}


def test_notes_are_kept_and_never_compared(tmp_path):
    with Journal(tmp_path / "j", FACTS) as journal:
        journal.note("summary", {"rows": 3})
        journal.note("summary", {"rows": 4})
    assert Journal(tmp_path / "j", FACTS).notes() == {"summary": {"rows": 4}}


def test_a_second_writer_is_refused_in_this_process_and_in_another(tmp_path):
    path = tmp_path / "j"
    with Journal(path, FACTS):
        with pytest.raises(InputError, match="in use by another process"):
            Journal(path, FACTS)
        code = f"from structq.journal import Journal; Journal({str(path)!r}, {{}})"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
        assert b"in use by another process" in done.stderr
    assert Journal(path, FACTS).resumed


def test_a_process_that_is_killed_leaves_its_answers_and_no_lock(tmp_path):
    path = tmp_path / "j"
    code = (
        "import os\nfrom structq.journal import Journal\n"
        f"journal = Journal({str(path)!r}, {json.loads(json.dumps(FACTS))!r})\n"
        "for i in range(50): journal.keep_answer(i, b'k', i)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    with Journal(path, FACTS) as journal:
        assert [journal.answers(i) for i in range(51)] == [*({b"k": i} for i in range(50)), {}]


@pytest.mark.parametrize(
    "content", [b"rows of something else, long enough to be no database" * 99, b"x"]
)
def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "out.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="is no journal"):
        Journal(path, FACTS, restart=True)
    assert path.read_bytes() == content


def test_a_database_of_somebody_else_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "db") as db:
        db.execute("CREATE TABLE facts (x)")
    db.close()
    with pytest.raises(InputError, match="is no journal of this version"):
        Journal(tmp_path / "db", FACTS, restart=True)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot write"):
        Journal(tmp_path / "file" / "j", FACTS)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("SQLITE_PROTOCOL", "on a file system without locks"),
        ("SQLITE_IOERR_LOCK", "on a file system without locks"),
        ("SQLITE_FULL", "cannot write .*: database or disk is full"),
        ("SQLITE_READONLY", "cannot write"),
    ],
)
def test_what_the_system_cannot_do_is_said_with_the_file(name, match):
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorname = name
    with pytest.raises(InputError, match=match):
        stores._fail("out.jsonl.journal", error)


def test_a_full_disk_loses_nothing_that_was_there(tmp_path):
    path = tmp_path / "j"
    with Journal(path, FACTS) as journal:
        journal.keep_answer(0, b"k", 1)
        pages = journal._all("PRAGMA page_count")[0][0]
        journal._all(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(InputError, match="full"):
            journal.keep_answer(1, b"k", "x" * 200_000)
    with Journal(path, FACTS) as journal:
        assert journal.answers(0) == {b"k": 1}
    assert os.path.getsize(path) > 0


def test_a_finished_row_is_there_at_once_for_whoever_asks(tmp_path):
    state = RowState(digest=b"d", shape="", cause=None)
    with Journal(tmp_path / "j", {}) as journal:
        for row in range(3):
            journal.finish_row(row, state, str(row))
        assert journal.n_finished() == 3
        journal.finish_row(3, state, "3")
        assert list(journal.outputs()) == [(row, str(row)) for row in range(4)]
    with Journal(tmp_path / "j", {}) as journal:
        assert journal.n_finished() == 4


def test_rows_are_committed_with_the_next_answer_and_failed_ones_at_once(tmp_path):
    def committed():
        copy = tmp_path / "copy"
        for end in ("", "-wal"):
            (tmp_path / f"copy{end}").write_bytes((tmp_path / f"j{end}").read_bytes())
        with Journal(copy, {}) as other:
            return other.n_finished()

    with Journal(tmp_path / "j", {}) as journal:
        journal.finish_row(0, RowState(digest=b"d", shape="", cause=None), "{}")
        assert committed() == 0
        journal.keep_answer(1, b"k", {})
        assert committed() == 1
        journal.finish_row(2, RowState(digest=b"d", shape="", cause="LMError: no"), "{}")
        assert committed() == 2


def test_a_journal_takes_over_what_another_has_and_it_has_not(tmp_path):
    state = RowState(digest=b"d", shape="", cause=None)
    with Journal(tmp_path / "a", {"lm": "x"}) as one, Journal(tmp_path / "b", {"lm": "x"}) as two:
        for journal, name in ((one, "one"), (two, "two")):
            journal.keep_answer(0, b"k", name)
        two.keep_answer(1, b"k", "two")
        two.finish_row(1, state, "two")
        with pytest.raises(InputError, match="in use"):
            one.absorb(tmp_path / "b")
    with Journal(tmp_path / "a", {"lm": "x"}) as one:
        one.absorb(tmp_path / "b")
        assert (one.answers(0), one.answers(1)) == ({b"k": "one"}, {b"k": "two"})
        assert list(one.outputs()) == [(1, "two")]
    with Journal(tmp_path / "c", {"lm": "y"}) as other, pytest.raises(ResumeError):
        other.absorb(tmp_path / "b")
