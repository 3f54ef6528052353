"""`--executor ray` on this machine: what a local run gives, whatever is killed in between."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.served import Judge, arguments, call, read, rows, start, wait_until, write
from tests.servers.fake_server import Reply, serving


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bad_and_good(n):
    found = rows(n)
    del found[3]["response"]
    return found


def ended(process):
    _, said = process.communicate(timeout=240)
    assert process.returncode in (0, 1), said.decode()[-3000:]
    return said.decode()


@pytest.mark.slow
def test_output_journal_and_summary_are_those_of_a_local_run(folder):
    pytest.importorskip("ray.data")
    write(bad_and_good(30))
    judge = Judge()
    with serving(judge) as server:
        told = arguments("run", server.address, "--window", 8)
        assert call(*told, "-o", "local.jsonl", "--summary", "local.json") == 1
        n_local = judge.n_answered
        ray = [*told, "--executor", "ray", "--summary", "ray.json"]
        ended(start(ray, folder))
        assert judge.n_answered == 2 * n_local
        assert Path("out.jsonl").read_bytes() == Path("local.jsonl").read_bytes()
        summaries = [json.loads(Path(f"{name}.json").read_text()) for name in ("local", "ray")]
        for one in summaries:
            del one["seconds"]
        assert summaries[0] == summaries[1]
        assert not Path("out.jsonl.journal.ray").exists()
        # The journal has every answer: a local run with more evolutions asks only for those.
        assert call(*told, "--num-evolutions", 3) == 1
        assert judge.n_answered == 2 * n_local + 2 * 29


@pytest.mark.slow
def test_a_driver_that_is_killed_and_started_again_repeats_what_was_in_flight_at_most(folder):
    pytest.importorskip("ray.data")
    write(rows(80))
    judge = Judge(0.05)
    with serving(judge) as server:
        told = arguments("run", server.address, "--window", 8, "--executor", "ray")
        first = start(told, folder, start_new_session=True)
        wait_until(lambda: judge.n_answered > 60, timeout_s=200)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        n_before = judge.n_answered
        assert not Path("out.jsonl").exists()
        ended(start(told, folder))
    assert [row["id"] for row in read()] == list(range(80))
    assert all(row["metadata"]["error"] is None for row in read())
    assert n_before < 240 <= judge.n_answered <= 240 + 8


@pytest.mark.slow
def test_a_key_that_is_refused_ends_the_actors_in_one_sentence(folder):
    pytest.importorskip("ray.data")
    write(rows(80))
    with serving(lambda body: Reply('{"error":"no such key"}', 401)) as server:
        process = start(arguments("score", server.address, "--executor", "ray"), folder)
        _, said = process.communicate(timeout=240)
        assert process.returncode == 2
        assert "no such key" in said.decode()
        assert "Traceback" not in said.decode()
        assert len(server.requests) < 80


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["-o", "-"], "--output -"),
        (["--max-calls", "5"], "--max-calls"),
        (["--max-cost", "5"], "--max-cost"),
        (["--on-error", "stop", "--unordered"], "--on-error stop, --unordered"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_actors_cannot_do_is_refused_by_name(more, named, capsys):
    pytest.importorskip("ray.data")
    write(rows(1))
    assert call(*arguments("run", "http://127.0.0.1:9/v1", "--executor", "ray", *more)) == 2
    assert f"ray cannot go with {named} (" in capsys.readouterr().err


def test_without_ray_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    write(rows(1))
    assert call(*arguments("run", "http://127.0.0.1:9/v1", "--executor", "ray")) == 2
    assert 'pip install "structq[ray]"' in capsys.readouterr().err
    assert not Path("out.jsonl.journal").exists()
