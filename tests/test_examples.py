import os
import subprocess
import sys
from pathlib import Path

from structq.data import EVOLVING, read_jsonl, write_jsonl

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "examples" / "responses.jsonl"


def run(script, *arguments, folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, encoding="utf8"
    )


def test_the_example_rows_are_good_and_varied():
    rows = list(read_jsonl(ROWS, EVOLVING))
    assert [row.error for row in rows] == [None] * len(rows)
    assert len({row.values["id"] for row in rows}) == len(rows) >= 40
    responses = [row.values["response"] for row in rows]
    assert "" in responses
    assert any("```" in text for text in responses)
    assert any("|---|" in text for text in responses)
    assert any("[2]" in text for text in responses)
    assert sum(not text.isascii() for text in responses) >= 6


def test_show_prints_rows_and_errors(tmp_path):
    scored = {
        "instruction": "Name [bold]a tree.",
        "responses": ["oak", "an oak"],
        "scores": [1, 2],
        "expected_scores": [1.25, 2.5],
        "best_response": "an oak",
        "mutations": ["details"],
        "metadata": {"calls": [], "error": None},
    }
    failed = {"metadata": {"calls": [], "error": {"message": "f:2: not [JSON]"}}}
    unmeasured = scored | {"expected_scores": None, "scores": [1, None]}
    write_jsonl([scored, failed, unmeasured], tmp_path / "out.jsonl")
    told = run("show.py", "out.jsonl", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "Name [bold]a tree." in told.stdout
    assert "1.25" in told.stdout
    assert "★ details" in told.stdout
    assert "f:2: not [JSON]" in told.stdout
    assert "3 rows in out.jsonl" in told.stdout


def test_show_takes_few_rows_at_even_distances(tmp_path):
    error = {"calls": [], "error": {"message": "lost"}}
    write_jsonl([{"metadata": error} for _ in range(48)], tmp_path / "out.jsonl")
    told = run("show.py", "out.jsonl", "--rows", 4, folder=tmp_path)
    lines = [line.split(":")[0] for line in told.stdout.splitlines()[:-1]]
    assert lines == ["line 1", "line 13", "line 25", "line 37"]


def test_the_quickstart_runs(tmp_path):
    told = run("quickstart.py", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert 1 <= float(lines[0].split()[0]) <= 3
