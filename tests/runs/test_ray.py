"""Ray Data on this machine: the same rows as a local run, and nothing asked twice after a death."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from structq.errors import InputError
from structq.runs import map_ray
from tests.cli.served import wait_until
from tests.runs.test_run import make_rows, run

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, os, sys
sys.path.insert(0, {root!r})
import ray
from structq.runs import map_ray
from tests.runs.ray_task import make_task
from tests.runs.test_run import make_rows
ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", configure_logging=False)
ray.data.DataContext.get_current().enable_progress_bars = False
rows = [{{"row": json.dumps(row.values)}} for row in make_rows({n})]
made = map_ray(
    ray.data.from_items(rows), lambda: make_task({counts!r}, {die!r}), journal={journal!r},
    facts={{"lm": "scripted"}}, batch_rows=8, window=8,
)
for line in made.iter_rows():
    print(line["output"])
"""


def run_ray(folder, *, n=32, die=""):
    code = SCRIPT.format(
        root=str(ROOT), n=n, counts=str(folder / "counts"), die=die, journal=str(folder / "j")
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=300,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done


def n_calls(folder):
    return sum(len(path.read_bytes()) for path in (folder / "counts").glob("*"))


@pytest.fixture(autouse=True)
def needs_ray():
    pytest.importorskip("ray.data")


def by_instruction(rows):
    return sorted(rows, key=lambda row: row["instruction"])


def test_the_rows_are_those_of_a_local_run(tmp_path):
    (tmp_path / "counts").mkdir()
    rows, done = run_ray(tmp_path)
    assert len(rows) == 32, done.stderr[-2000:]
    local = [row.values for row in run(make_rows(32))]
    assert by_instruction(rows) == by_instruction(local)
    before = n_calls(tmp_path)
    assert before == 3 * 32
    again, _ = run_ray(tmp_path)
    assert by_instruction(again) == by_instruction(rows)
    assert n_calls(tmp_path) == before


def test_an_actor_that_is_killed_costs_the_calls_in_flight(tmp_path):
    (tmp_path / "counts").mkdir()
    rows, done = run_ray(tmp_path, die="once")
    assert len(rows) == 32, done.stderr[-2000:]
    assert (tmp_path / "counts" / "died").exists()
    assert 3 * 32 <= n_calls(tmp_path) <= 3 * 32 + 8 + 1


def test_without_ray_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'pip install "structq\[ray\]"'):
        map_ray(None, lambda: None, journal=tmp_path)


def test_a_driver_that_is_killed_and_started_again_repeats_what_was_in_flight_at_most(tmp_path):
    (tmp_path / "counts").mkdir()
    code = SCRIPT.format(
        root=str(ROOT), n=64, counts=str(tmp_path / "counts"), die="", journal=str(tmp_path / "j")
    )
    first = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    wait_until(lambda: n_calls(tmp_path) > 40, timeout_s=200)
    first.kill()
    first.wait()
    # Its actors end with it, a moment later.
    n_before = -1
    while n_before != n_calls(tmp_path):
        n_before = n_calls(tmp_path)
        time.sleep(3)
    rows, done = run_ray(tmp_path, n=64)
    assert len(rows) == 64, done.stderr[-2000:]
    assert n_before < 3 * 64 <= n_calls(tmp_path) <= 3 * 64 + 8
