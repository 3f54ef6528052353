"""Runs of the command line against a server: two at once, killed, full, slow, narrow, piped."""

import json
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.cli.served import Judge, arguments, call, read, rows, start, wait_until, write
from tests.servers.fake_server import Reply, serving


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_second_run_of_the_same_output_is_refused(folder, capsys):
    write(rows(40))
    judge = Judge(0.05)
    with serving(judge) as server:
        told = arguments("score", server.address, "--window", 2)
        first = start(told, folder)
        wait_until(lambda: judge.n_answered > 3)
        assert call(*told) == 2
        assert "is in use by another process" in capsys.readouterr().err
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert [row["id"] for row in read()] == list(range(40))


@pytest.mark.parametrize("fault", [401, 404], ids=str)
def test_a_run_that_fails_at_its_first_row_leaves_the_results_that_are_there(fault):
    write(rows(3))
    with serving(Judge()) as server:
        assert call(*arguments("score", server.address)) == 0
    before = Path("out.jsonl").read_bytes()
    write(rows(5), "other.jsonl")
    with serving(lambda body: Reply('{"error":"no"}', fault)) as server:
        told = arguments("score", server.address, "--restart")
        told[1] = "other.jsonl"
        assert call(*told) == 2
    assert Path("out.jsonl").read_bytes() == before


def test_a_run_begun_anew_that_ends_early_leaves_the_results_until_it_has_its_own():
    write(rows(20))
    with serving(Judge()) as server:
        assert call(*arguments("score", server.address)) == 0
        before = Path("out.jsonl").read_bytes()
        anew = arguments("score", server.address, "--scale", "1-6")
        assert call(*anew, "--restart", "--max-calls", "3") == 3
        assert Path("out.jsonl").read_bytes() == before
        assert call(*anew) == 0
        assert len(server.requests) == 40
    assert len(read()) == 20


def test_a_full_disk_leaves_whole_lines_and_the_run_goes_on(folder):
    write(rows(300))

    def little():
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    judge = Judge()
    with serving(judge) as server:
        told = arguments("score", server.address)
        full = start(told, folder, preexec_fn=little)
        _, said = full.communicate(timeout=120)
        assert full.returncode == 2, said
        assert b"cannot write 'out.jsonl" in said
        assert b"Traceback" not in said
        n_before = judge.n_answered
        assert 0 < n_before < 300
        assert all(row["scores"] for row in (read() if Path("out.jsonl").exists() else []))
        assert call(*told) == 0
    assert [row["id"] for row in read()] == list(range(300))
    assert judge.n_answered <= 300 + 32


def test_a_run_that_is_killed_goes_on_and_has_each_row_once(folder):
    write(rows(120))
    judge = Judge(0.02)
    with serving(judge) as server:
        told = arguments("run", server.address, "--window", 4)
        first = start(told, folder)
        wait_until(lambda: judge.n_answered > 100)
        first.send_signal(signal.SIGKILL)
        first.communicate()
        assert not Path("out.jsonl").exists()
        assert call(*told, "--summary", "s.json") == 0
    assert [row["id"] for row in read()] == list(range(120))
    assert json.loads(Path("s.json").read_text(encoding="utf8"))["resumed"] > 10
    assert judge.n_answered <= 3 * 120 + 4


def test_one_slow_row_does_not_hold_up_the_others():
    write(rows(200))
    at_slow_end = []

    def latency(text):
        if "Say 5." not in text:
            return 0.04
        time.sleep(1.5)
        at_slow_end.append(judge.n_answered)
        return 0.0

    judge = Judge(latency)
    with serving(judge) as server:
        assert call(*arguments("score", server.address, "--window", 8)) == 0
    assert at_slow_end[0] > 60  # four windows ahead, and no further, are 40
    assert [row["id"] for row in read()] == list(range(200))


def test_a_server_that_takes_few_at_once_loses_nothing_and_refuses_little():
    write(rows(300))
    judge = Judge(0.05, takes=8)
    with serving(judge) as server:
        assert call(*arguments("score", server.address, "--window", 64)) == 0
    assert [row["id"] for row in read()] == list(range(300))
    assert judge.n_refused <= 0.06 * (300 + judge.n_refused)


def test_rows_on_stdin_come_out_as_they_are_done(folder):
    with serving(Judge()) as server:
        told = arguments("score", server.address, "-o", "-", "--quiet")
        told[1] = "-"
        with start(told, folder, stdin=-1) as process:
            for i, row in enumerate(rows(6)):
                process.stdin.write(json.dumps(row).encode() + b"\n")
                process.stdin.flush()
                assert json.loads(process.stdout.readline())["id"] == i
            process.stdin.close()
            assert process.wait(60) == 0


def test_what_the_account_has_left_is_not_exceeded():
    write(rows(40))
    lock, spent, refused = threading.Lock(), {}, []

    def answers(body):
        now = time.time()
        with lock:
            window = int(now)
            spent[window] = spent.get(window, 0) + 1
            left = 8 - spent[window]
        told = {
            "x-ratelimit-remaining-requests": str(max(0, left)),
            "x-ratelimit-reset-requests": f"{int((window + 1 - now) * 1000) + 5}ms",
        }
        if left < 0:
            refused.append(now)
            return Reply('{"error":"slow down"}', 429, headers=told)
        good = {"choices": [{"message": {"content": '{"scores":[1]}'}, "finish_reason": "stop"}]}
        return Reply(json.dumps(good), headers=told)

    with serving(answers) as server:
        assert call(*arguments("score", server.address, "--window", 32)) == 0
    assert [row["scores"] for row in read()] == [[1.0]] * 40
    assert len(refused) <= 8  # of the first calls, before anything was told


# What the commands take, and from one another.


def test_an_evolution_that_is_cut_off_leaves_those_before_it():
    write(rows(4))

    def script(body):
        text = body["messages"][-1]["content"]
        cut = "scores" not in json.dumps(body.get("response_format")) and "light scatters" in text
        content = '{"evolved_response":"It is' if cut else Judge()(body)
        finish = "length" if cut else "stop"
        return {"choices": [{"message": {"content": content}, "finish_reason": finish}]}

    with serving(script) as server:
        assert call(*arguments("run", server.address, "--max-attempts", 1)) == 0
    for row in read():
        assert len(row["responses"]) == len(row["scores"]) == 2
        assert row["metadata"]["error"] is None
        assert "cut off" in json.dumps(row["metadata"]["short"])


def test_what_is_scored_again_has_a_best_response_by_the_new_scores():
    write(rows(3))
    with serving(Judge()) as server:
        assert call(*arguments("run", server.address)) == 0
    assert all(row["best_response"] == row["responses"][-1] for row in read())

    def falling(body):
        return json.dumps({"scores": json.loads(Judge()(body))["scores"][::-1]})

    with serving(falling) as server:
        told = arguments("score", server.address, "-o", "again.jsonl")
        told[1] = "out.jsonl"
        assert call(*told) == 0
    assert all(row["best_response"] == row["responses"][0] for row in read("again.jsonl"))


@pytest.mark.parametrize("more", [[], ["--store-evolutions"]], ids=["last", "all"])
def test_evolve_is_piped_into_score(folder, more):
    write(rows(5))
    with serving(Judge()) as server:
        first = start(
            arguments("evolve", server.address, "-o", "-", "--num-evolutions", 2, *more),
            folder,
            stderr=subprocess.DEVNULL,
        )
        told = arguments("score", server.address)
        told[1] = "-"
        second = start(told, folder, stdin=first.stdout)
        first.stdout.close()
        _, said = second.communicate(timeout=120)
        assert (first.wait(60), second.returncode) == (0, 0), said
    n = 3 if more else 2
    assert [len(row["scores"]) for row in read()] == [n] * 5


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        (("prompt", "completion"), "--map instruction=prompt,response=completion"),
        (("question", "answer"), "--map instruction=question,response=answer"),
        (("Instruction", "Response"), "--map instruction=Instruction,response=Response"),
        (("input", "output"), "--map instruction=input,response=output"),
    ],
    ids=str,
)
def test_columns_of_other_names_are_told_once_with_the_option_that_finds_them(
    columns, hint, capsys
):
    write({columns[0]: f"Say {i}.", columns[1]: "So."} for i in range(20_000))
    with serving(Judge()) as server:
        assert call(*arguments("run", server.address)) == 2
        told = capsys.readouterr().err
        assert hint in told
        assert len(told.splitlines()) < 6
        assert server.requests == []
        fixed = ("--limit", "2", *hint.split())
        assert call(*arguments("run", server.address, *fixed)) == 0
    assert len(read()) == 2


def test_conversations_are_summed_where_that_is_asked():
    talk = [
        {"role": role, "content": f"{role} {i}"} for i in range(3) for role in ("user", "assistant")
    ]
    write([{"messages": talk}, {"instruction": "Say 1.", "response": "1."}])
    with serving(lambda body: '{"scores":[4]}') as server:
        told = arguments("score", server.address, "--scale", "1-6")
        assert call(*told, "--turns", "sum") == 0
        assert len(server.requests) == 4
    assert [row["scores"] for row in read()] == [[12.0], [4.0]]
    assert read()[0]["responses"] == ["assistant 2"]
    assert "turn_scores" not in read()[1]["metadata"]
