import os
import subprocess
import sys
from pathlib import Path

from structq.data import EVOLVING, read_rows

ROOT = Path(__file__).parents[1]
ROWS = ROOT / "examples" / "responses.jsonl"


def run(script, *arguments, folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, encoding="utf8"
    )


def test_the_example_rows_are_good_and_varied():
    rows = list(read_rows(ROWS, EVOLVING))
    assert [row.error for row in rows] == [None] * len(rows)
    assert len({row.values["id"] for row in rows}) == len(rows) >= 40
    responses = [row.values["response"] for row in rows]
    assert "" in responses
    assert any("```" in text for text in responses)
    assert any("|---|" in text for text in responses)
    assert any("[2]" in text for text in responses)
    assert sum(not text.isascii() for text in responses) >= 6


def test_the_quickstart_runs(tmp_path):
    told = run("quickstart.py", folder=tmp_path)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert 1 <= float(lines[0].split()[0]) <= 3
