"""A journal that a run still writes is read whole, and is left as it is."""

import subprocess
import sys
import textwrap

import pytest

from structq.errors import InputError
from structq.journal import Journal, RowState, is_journal, journal_as_it_is

WRITER = """
    import sys
    from structq.journal import Journal, RowState
    journal = Journal(sys.argv[1], {"lm": "x"})
    for row in range(int(sys.argv[2])):
        text = f'{{"n": {row}, "text": "{"word " * 200}"}}'
        journal.finish_row(row, RowState(digest=b"d", shape="", cause=None), text)
        journal.keep_answer(row, b"key", {})  # commits the row too
        print(row, flush=True)
    if sys.stdin.readline() == "die\\n":
        import os
        os._exit(9)
    journal.close()
"""


@pytest.fixture
def writer(tmp_path):
    started = []

    def start(n_rows):
        path = tmp_path / "run.journal"
        command = [sys.executable, "-c", textwrap.dedent(WRITER), str(path), str(n_rows)]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return path, process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def numbers(path):
    with journal_as_it_is(path) as (journal, goes_on):
        return [number for number, _ in journal.outputs()], goes_on


def test_a_running_journal_is_read_up_to_its_last_row(writer):
    path, process = writer(5)
    assert [process.stdout.readline() for _ in range(5)][-1] == "4\n"
    assert is_journal(path)
    assert numbers(path) == ([0, 1, 2, 3, 4], True)
    process.communicate("end\n")
    assert process.returncode == 0
    assert numbers(path) == ([0, 1, 2, 3, 4], False)


def test_rows_are_whole_and_in_order_while_the_log_begins_anew(writer):
    # 4,000 rows of a kilobyte: several checkpoints.
    path, process = writer(4000)
    seen = 0
    while seen < 3999:
        told = int(process.stdout.readline())
        if told % 250 and told != 3999:
            continue
        found, _ = numbers(path)
        assert found == list(range(len(found)))
        assert len(found) > told
        seen = told


def test_a_journal_of_a_killed_run_keeps_its_log(writer):
    path, process = writer(3)
    process.communicate("die\n")
    log = path.with_name("run.journal-wal").read_bytes()
    assert numbers(path) == ([0, 1, 2], True)
    assert path.with_name("run.journal-wal").read_bytes() == log != b""


def test_the_process_that_writes_a_journal_keeps_its_locks(tmp_path):
    path = tmp_path / "own.journal"
    with Journal(path, {}) as journal:
        journal.finish_row(0, RowState(digest=b"", shape="", cause=None), "{}")
        with pytest.raises(InputError, match="written by this process"), journal_as_it_is(path):
            pass


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b"SQLite format 3\0"], ids=["empty", "json", "head alone"]
)
def test_what_is_no_journal_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no journal"), journal_as_it_is(path):
        pass
