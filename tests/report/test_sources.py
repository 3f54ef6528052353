"""What a report is made from is known by what it holds, and a running journal is read."""

import json
import subprocess
import sys

import pytest

from structq.errors import InputError
from structq.report import write_report
from structq.report.sources import open_sources
from tests.report.made import block, row, sentences, write_journal

ROWS = [row(n, ["a", "bb"], [1.0, 2.0], ["details"]) for n in range(3)]


def written(path, values, lines=True):
    texts = [json.dumps(one) + "\n" for one in values] if lines else [json.dumps(values, indent=1)]
    path.write_text("".join(texts), encoding="utf8")
    return str(path)


def kinds(*paths):
    with open_sources([str(path) for path in paths]) as found:
        return len(found.runs), len(found.searches), len(found.checks)


def test_an_output_is_read_from_the_journal_beside_it(tmp_path):
    out = written(tmp_path / "out.jsonl", ROWS[:1])
    write_journal(tmp_path / "out.jsonl.journal", ROWS)
    for path in (out, f"{out}.journal"):
        with open_sources([path]) as found:
            (run,) = found.runs
            assert (run.name, len(run.rows), run.lms) == ("out.jsonl", 3, ["made/up"])


def test_an_output_that_is_not_there_yet_is_its_journal(tmp_path):
    write_journal(tmp_path / "out.jsonl.journal", ROWS)
    assert kinds(tmp_path / "out.jsonl") == (1, 0, 0)


def test_an_output_without_a_journal_has_rows_alone(tmp_path):
    with open_sources([written(tmp_path / "out.jsonl", ROWS)]) as found:
        (run,) = found.runs
        assert (len(run.rows), run.journal, dict(run.facts)) == (3, None, {})


def test_each_kind_is_known_by_what_it_holds(tmp_path):
    head = {"journal": "structq optimize", "version": 1, "config": {}}
    search = written(tmp_path / "tune", [head, {"note": {"accepted": False, "reason": "x"}}])
    check = written(tmp_path / "check.json", {"kind": "judge-check"}, lines=False)
    run = written(tmp_path / "out.jsonl", ROWS)
    assert kinds(search, check, run) == (1, 1, 1)


def test_a_search_whose_last_line_is_cut_off_is_read_up_to_it(tmp_path):
    path = tmp_path / "tune"
    written(path, [{"journal": "structq optimize", "version": 1, "config": {}}])
    with path.open("a") as file:
        file.write('{"step": 1, "pla')
    with open_sources([str(path)]) as found:
        assert len(found.searches[0][1]) == 1


def refused(tmp_path):
    tuned = written(tmp_path / "tuned.json", {"settings": {}, "metadata": {}}, lines=False)
    damaged = tmp_path / "damaged"
    damaged.write_text('{"journal": "structq optimize"}\n{"step": \n{}\n')
    text = tmp_path / "text.jsonl"
    text.write_text("no rows\n")
    missing = tmp_path / "missing.jsonl"
    run = written(tmp_path / "run.jsonl", ROWS)
    return {
        "a tuned program": ([tuned], "holds no trials"),
        "a damaged search": ([damaged], "is damaged"),
        "text": ([text], "text.jsonl:1"),
        "nothing there": ([missing], "missing.jsonl"),
        "three runs": ([run, run, run], "3 runs"),
    }


@pytest.mark.parametrize(
    "kind", ["a tuned program", "a damaged search", "text", "nothing there", "three runs"]
)
def test_what_cannot_be_read_is_named(tmp_path, kind):
    paths, message = refused(tmp_path)[kind]
    with pytest.raises(InputError, match=message), open_sources([str(path) for path in paths]):
        pass


RUNNING = """
import json, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from structq.journal import Journal, RowState
from tests.report.made import FACTS, row
with Journal(sys.argv[1], FACTS) as journal:
    for n in range(5):
        text = json.dumps(row(n, ["a", "bb"], [1.0, 2.0], ["details"]))
        journal.finish_row(n, RowState(digest=b"", shape="", cause=None), text)
        journal.keep_answer(n, b"key", {})
    print("there", flush=True)
    sys.stdin.read()
"""


def test_a_run_that_goes_on_has_a_report_that_says_so(tmp_path, request):
    journal, page = tmp_path / "out.jsonl.journal", tmp_path / "page.html"
    process = subprocess.Popen(
        [sys.executable, "-c", RUNNING, str(journal), str(request.config.rootpath)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "there\n"
        write_report([tmp_path / "out.jsonl"], page)
        assert block(page, "answers")["runs"][0]["rows"] == 5
        assert "had not ended" in sentences(page)["What became of the rows?"]
    finally:
        process.communicate("")
    assert process.returncode == 0
    write_report([tmp_path / "out.jsonl"], page)
    assert "had not ended" not in sentences(page)["What became of the rows?"]
