"""The command line on a scripted LM; what only a process can show runs in one."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import structq
from structq.cli.commands import app
from structq.cli.terminal import EXIT_INTERRUPTED
from structq.errors import InputError, LMError
from tests.scripted import ScriptedEngine, default_script, make_lm, prompt_of

ROOT = Path(__file__).parents[2]
OAK = {"id": 1, "instruction": "Name a tree.", "response": "oak"}
ASH = {"id": 2, "instruction": "Name another.", "response": "ash"}
NO_RESPONSE = {"id": 3, "instruction": "Name a third."}
PAIR = {"instruction": "Name a tree.", "responses": ["oak", "an old ash"]}


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Runs one command in an empty folder on a scripted LM; returns the exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, script=None, measures=True, engine=None):
        def lm(spec, **options):
            seen.append((spec, options))
            return make_lm(engine or ScriptedEngine(script, measures=measures))

        monkeypatch.setattr(structq, "lm", lm)
        # Tests give one output several times.
        again = ["--restart"] if arguments[0] in ("run", "evolve", "score") else []
        with pytest.raises(SystemExit) as ended:
            app([*(str(argument) for argument in arguments), *again])
        return ended.value.code

    seen = run.lms = []
    return run


def write(*rows, path="in.jsonl"):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    Path(path).write_text("".join(f"{line}\n" for line in lines), encoding="utf8")


def read(path="out.jsonl"):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf8").splitlines()]


def summary(text):
    """Names and values of the summary table."""
    pairs = [line.rsplit(maxsplit=1) for line in text.splitlines() if line.strip()]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def test_run_keeps_every_row_and_its_columns(call):
    write(OAK, ASH)
    assert call("run", "in.jsonl", "-o", "out.jsonl", "--lm", "x", "--num-evolutions", 2) == 0
    first, second = read()
    assert (first["id"], second["id"]) == (1, 2)
    assert first["responses"] == ["oak", "oak More.", "oak More. More."]
    assert first["best_response"] == "oak More. More."
    assert len(first["scores"]) == len(first["expected_scores"]) == 3
    assert len(first["mutations"]) == 2
    assert first["metadata"]["error"] is None


def test_run_sums_up(call, capsys):
    write(OAK, ASH, NO_RESPONSE)
    call("run", "in.jsonl", "-o", "out.jsonl", "--lm", "x", "--num-evolutions", 1)
    told = summary(capsys.readouterr().err)
    assert (told["rows"], told["failed"]) == ("3", "1")
    assert float(told["mean score, best kept"]) > float(told["mean score, original"])
    assert told["rows improved, judged by the LM itself"] == "100.0%"
    assert told["LM calls"] == "4"
    assert int(told["tokens in"].replace(",", "")) > 0
    assert {"tokens out", "seconds", "rows/s"} <= told.keys()


def test_evolve_writes_what_is_asked_for(call, capsys):
    write(OAK)
    assert call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x") == 0
    assert read()[0]["evolved_response"] == "oak More. More."
    told = summary(capsys.readouterr().err)
    assert "LM calls" in told
    assert not {"mean score", "rows improved"} & told.keys()
    flags = ("--store-evolutions", "--include-original-response")
    call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x", *flags)
    assert read()[0]["evolved_responses"] == ["oak", "oak More.", "oak More. More."]


def test_score_takes_a_scale(call, capsys):
    write(PAIR)
    assert call("score", "in.jsonl", "-o", "out.jsonl", "--lm", "x", "--scale", "3-9") == 0
    (row,) = read()
    assert row["scores"] == [3, 4]
    assert all(3 <= score <= 9 for score in row["expected_scores"])
    assert summary(capsys.readouterr().err)["responses scored"] == "2"


@pytest.mark.parametrize("command", ["score", "run"])
def test_independent_scoring_asks_for_each_response(call, capsys, command):
    write(PAIR if command == "score" else OAK)
    options = ("--lm", "x", "--scale", "3-9", "--scoring", "independent")
    assert call(command, "in.jsonl", "-o", "out.jsonl", *options) == 0
    assert set(read()[0]["scores"]) == {3}  # each the first of its own list
    assert "LM calls" in summary(capsys.readouterr().err)


def test_score_shows_integer_scores_where_the_lm_measures_nothing(call, capsys):
    write(PAIR)
    assert call("score", "in.jsonl", "-o", "out.jsonl", "--lm", "x", measures=False) == 0
    assert read()[0]["expected_scores"] is None
    assert summary(capsys.readouterr().err)["mean score"] == "1.500"


def test_score_reads_what_run_wrote_and_counts_its_own_calls(call, capsys):
    write(OAK)
    call("run", "in.jsonl", "-o", "run.jsonl", "--lm", "x")
    capsys.readouterr()
    assert call("score", "run.jsonl", "-o", "out.jsonl", "--lm", "x", "--permutations", 2) == 0
    assert len(read()[0]["metadata"]["calls"]) == 5
    told = summary(capsys.readouterr().err)
    assert told["LM calls"] == "2"
    assert told["responses scored"] == "3"


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('{"instruction": "Name', "in.jsonl:2: not JSON"),
        (json.dumps(NO_RESPONSE), "in.jsonl:2:response: missing"),
        (json.dumps(OAK | {"instruction": " "}), "in.jsonl:2:instruction: blank"),
        (r'{"instruction": "x", "response": "\ud83d"}', "in.jsonl:2:response: a lone surrogate"),
    ],
)
def test_a_bad_line_is_named_and_kept(call, capsys, line, named):
    write(OAK, line, ASH)
    assert call("run", "in.jsonl", "-o", "out.jsonl", "--lm", "x") == 1
    assert named in capsys.readouterr().err
    first, bad, last = read()
    assert named in bad["metadata"]["error"]["message"]
    assert set(first) - set(bad) <= {"id", "instruction", "response"}
    assert bad["responses"] is bad["scores"] is bad["best_response"] is None
    assert first["metadata"]["error"] is last["metadata"]["error"] is None


def test_a_row_that_the_lm_fails_is_named_and_kept(call, capsys):
    def script(request):
        return LMError("no answer") if "another" in prompt_of(request) else default_script(request)

    write(OAK, ASH, OAK)
    assert call("run", "in.jsonl", "-o", "out.jsonl", "--lm", "x", script=script) == 1
    assert "in.jsonl:2: LMError: " in capsys.readouterr().err
    rows = read()
    assert [row["id"] for row in rows] == [1, 2, 1]
    assert rows[1]["response"] == "ash"
    assert rows[1]["scores"] is None
    assert rows[1]["metadata"]["error"]["type"] == "LMError"


def test_stop_ends_the_run_at_the_first_failure(call, capsys):
    write(OAK, ASH, NO_RESPONSE, OAK)
    code = call("run", "in.jsonl", "-o", "out.jsonl", "--lm", "x", "--on-error", "stop")
    assert code == 1
    assert [row["id"] for row in read()] == [1, 2]
    assert "in.jsonl:3:response: missing" in capsys.readouterr().err


def test_bad_rows_of_one_kind_are_named_once_and_all_written(call, capsys):
    write(OAK, *[NO_RESPONSE] * 1200, OAK)
    assert call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x") == 1
    rows = read()
    assert len(rows) == 1202
    assert rows[-1]["evolved_response"] == "oak More. More."
    told = capsys.readouterr().err
    assert told.count("in.jsonl:") == 1  # the others of its kind are counted
    assert summary(told)["failed"] == "1,200"


def test_limit_counts_rows_and_not_lines(call):
    write(OAK, "", NO_RESPONSE, ASH, OAK)
    assert call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x", "--limit", 3) == 1
    assert [row["id"] for row in read()] == [1, 3, 2]


def test_the_window_bounds_the_rows_in_flight(call):
    engine = ScriptedEngine(delay_s=lambda request: 0.002)
    write(*[OAK | {"id": i} for i in range(20)])
    arguments = ("in.jsonl", "-o", "out.jsonl", "--lm", "x", "--window", 3)
    assert call("evolve", *arguments, engine=engine) == 0
    assert engine.most_in_flight == 3
    assert [row["id"] for row in read()] == list(range(20))


def test_the_lm_gets_the_options_that_were_given(call):
    write(OAK)
    call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "nano")
    warm = ("--temperature", 0.5, "--max-tokens", 9, "--seed", 7)
    call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x/y", *warm)
    # The run itself keeps answers, asks again, and knows the pace.
    sampled = {"temperature": 0.5, "max_tokens": 9, "seed": 7, "num_retries": 0, "cache": False}
    assert call.lms == [("nano", {"cache": False}), ("x/y", sampled)]


def test_the_seed_fixes_the_mutations(call):
    write(*[OAK | {"instruction": f"Name tree {i}."} for i in range(20)])
    drawn = []
    for seed in (1, 1, 2):
        call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x", "--seed", seed)
        drawn.append([row["mutations"] for row in read()])
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_system_prompt_reaches_the_lm(call):
    seen = set()

    def script(request):
        seen.add(str(request.system))
        return default_script(request)

    write(OAK)
    arguments = ("in.jsonl", "-o", "out.jsonl", "--lm", "x", "--system-prompt", "Be kind.")
    assert call("run", *arguments, script=script) == 0
    assert len(seen) == 1
    assert "Be kind." in seen.pop()


def test_rows_may_come_from_stdin_and_go_to_stdout(call, capsys, monkeypatch):
    content = json.dumps(OAK).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert call("evolve", "-", "-o", "-", "--lm", "x") == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["evolved_response"] == "oak More. More."
    assert "LM calls" in told.err


def test_an_empty_file_gives_an_empty_file(call):
    write()
    assert call("run", "in.jsonl", "-o", "out.jsonl", "--lm", "x") == 0
    assert read() == []


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["run", "missing.jsonl", "-o", "out.jsonl"], "cannot read 'missing.jsonl'"),
        (["run", ".", "-o", "out.jsonl"], "cannot read '.'"),
        (["run", "array.jsonl", "-o", "out.jsonl"], "array.jsonl:1: one JSON array"),
        (["run", "in.jsonl", "-o", "in.jsonl"], "the output is the input"),
        (["run", "in.jsonl", "-o", "."], "cannot write '.'"),
        (["score", "in.jsonl", "-o", "out.jsonl", "--scale", "6-1"], "low 6 is not below high 1"),
        (["evolve", "in.jsonl", "-o", "out.jsonl", "--include-original-response"], "needs"),
        (["run", "in.jsonl"], "--output"),
        (["walk", "in.jsonl"], "walk"),
    ],
)
def test_wrong_usage_and_unreadable_files_exit_2_and_touch_nothing(call, capsys, arguments, found):
    write(OAK)
    write("[", "]", path="array.jsonl")
    assert call(*arguments, "--lm", "x") == 2
    assert found in capsys.readouterr().err
    assert read("in.jsonl") == [OAK]
    assert not Path("out.jsonl").exists()


def test_an_unknown_lm_exits_2_with_its_sentence(monkeypatch, tmp_path, capsys):
    def lm(spec, **options):
        raise InputError(f"unknown LM: {spec!r}", field="lm")

    monkeypatch.setattr(structq, "lm", lm)
    monkeypatch.chdir(tmp_path)
    write(OAK)
    with pytest.raises(SystemExit) as ended:
        app(["run", "in.jsonl", "-o", "out.jsonl", "--lm", "what"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "structq: unknown LM: 'what'\n"


@pytest.fixture
def interruptible():
    """Python's own answer to Ctrl-C: a shell starts what it puts in the background without one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_keeps_what_is_finished_and_the_same_command_goes_on(call, capsys):
    def script(request):
        if "another" in prompt_of(request) and not interrupted:
            interrupted.append(os.kill(os.getpid(), 2))
            time.sleep(0.2)
        return default_script(request)

    interrupted = []
    write(*[OAK] * 9, ASH, *[OAK] * 9)
    arguments = ("in.jsonl", "-o", "out.jsonl", "--lm", "x", "--window", 1)
    assert call("evolve", *arguments, script=script) == EXIT_INTERRUPTED
    assert 0 < len(read()) < 12
    told = capsys.readouterr().err
    assert "structq: finishing the calls in flight" in told
    assert "structq: interrupted: finished rows are in 'out.jsonl'" in told


def test_nothing_but_facts_is_shown_when_piped(call, capsys):
    write(OAK)
    call("run", "in.jsonl", "-o", "out.jsonl", "--lm", "x")
    told = capsys.readouterr()
    assert told.out == ""
    assert "\x1b" not in told.err
    assert "━" not in told.err


def test_an_error_takes_one_line_without_terminal_codes(call, capsys):
    write(r'{"instruction": "x", "response": "", ":id:\n\u001b[31m": 1e999}')
    assert call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x") == 1
    line = capsys.readouterr().err.splitlines()[0]
    assert line == r"in.jsonl:1::id: \x1b[31m: inf (JSON has finite numbers only)"


def test_a_reader_that_leaves_ends_the_run_without_a_word(tmp_path):
    write(*[OAK] * 500, path=tmp_path / "in.jsonl")
    code = """
import structq
from tests.scripted import ScriptedEngine, make_lm
from structq.cli.commands import app
structq.lm = lambda spec, **options: make_lm(ScriptedEngine())
app(["evolve", "in.jsonl", "-o", "-", "--lm", "x"])
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        first = process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
    assert json.loads(first)["evolved_response"] == "oak More. More."
    assert (process.returncode, told) == (141, b"")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("structq.cli.commands", {"pydantic", "jinja2"}),
        ("structq.cli.rows", {"jinja2"}),
        ("structq.cli.optimize", {"jinja2"}),
    ],
)
def test_help_loads_no_heavy_package(module, heavy):
    code = f"import sys, {module}; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=environment, capture_output=True, check=True, text=True)
    heavy = heavy | {"dspy", "litellm", "numpy", "onnxruntime", "outlines", "rich", "torch"}
    assert not heavy & set(told.stdout.split())


def test_version_is_that_of_the_package(call, capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"structq {structq.__version__}\n"


@pytest.mark.parametrize("command", ["run", "evolve", "score"])
def test_an_error_that_every_row_has_ends_the_run(call, capsys, command):
    def script(request):
        error = LMError("401: no such key")
        error.fatal = True
        return error

    write(*[OAK | PAIR | {"instruction": f"Name tree {i}."} for i in range(500)])
    engine = ScriptedEngine(script)
    arguments = ("in.jsonl", "-o", "out.jsonl", "--lm", "x", "--window", 4)
    assert call(command, *arguments, engine=engine) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("structq: every row would fail: ")
    assert "401: no such key" in line
    assert len(engine.requests) < 60
    assert len(read()) < 20


def test_rows_that_are_short_are_counted_and_are_no_failures(call, capsys):
    def script(request):
        return "broken" if "More." in prompt_of(request) else default_script(request)

    write(OAK, ASH)
    assert call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x", script=script) == 0
    assert [row["evolved_response"] for row in read()] == ["oak More.", "ash More."]
    told = summary(capsys.readouterr().err)
    assert (told["failed"], told["short: a later evolution failed"]) == ("0", "2")


@pytest.mark.parametrize("command", ["run", "evolve"])
def test_what_must_stay_is_an_option(call, command):
    write(OAK)
    options = ("--preserve", "all", "--max-added-words", 5, "--num-evolutions", 1)

    def script(request):
        return json.dumps({"evolved_response": "an ash"})

    assert call(command, "in.jsonl", "-o", "out.jsonl", "--lm", "x", *options, script=script) == 1
    assert "begin with the whole response: 'oak'" in read()[0]["metadata"]["error"]["message"]


def test_too_many_words_fail_their_row(call):
    write(OAK)
    options = ("--max-added-words", 1, "--num-evolutions", 1)

    def script(request):
        return json.dumps({"evolved_response": "an old oak"})

    assert call("evolve", "in.jsonl", "-o", "out.jsonl", "--lm", "x", *options, script=script) == 1
    assert "2 words more" in read()[0]["metadata"]["error"]["message"]
