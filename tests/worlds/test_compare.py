"""Methods that are compared: the same terms for each, and a store that goes on."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.worlds import compare, world
from benchmarks.worlds.compare import METHODS, Job, Run, run
from benchmarks.worlds.plain import ridge
from benchmarks.worlds.trials import METRICS, Found


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend("benchmarks")
    return importlib.import_module("optimizer_worlds")


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_to_its_calls_and_keeps_the_leads(method: str, metric: str) -> None:
    job = Job(method=method, family="additive", seed=3, calls=90, metric=metric)
    found = run(job)
    assert 45 <= found.n_calls <= 90
    w = world("additive", 3)
    assert found.share == w.share(found.templates)
    assert found.changed == (found.templates != w.seeds)
    for name, text in found.templates.items():
        assert text.startswith(w.seeds[name])
    assert Run.from_json(found.to_json()) == found


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ridge", "random", "gepa"])
def test_a_method_finds_the_same_again(method: str) -> None:
    job = Job(method=method, family="additive", seed=1, calls=70)
    assert run(job).templates == run(job).templates


@pytest.mark.slow
def test_the_reference_finds_much_and_its_test_refuses_nothing_there() -> None:
    w = world("additive", 1)
    found = ridge(w, 1, 600, "direct")
    assert not found.refused
    assert w.share(found.templates) > 0.3
    assert all(len(text.split(". ")) <= 9 for text in found.templates.values())


@pytest.mark.slow
def test_the_reference_leaves_out_a_harm_of_the_seeds() -> None:
    w = world("ceiling", 1)
    assert w.seed_value < 0 < w.best_reachable
    found = ridge(w, 1, 500, "direct")
    assert w.share(found.templates) > 0.8


def test_one_call_too_many_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def greedy(w: Any, seed: int, calls: int, metric: str) -> Found:
        for n in range(calls + 1):
            w.lm(f"Write a template, please: {n}")
        return Found(w.seeds)

    monkeypatch.setattr(compare, "_structq", greedy)
    with pytest.raises(RuntimeError, match=r"made 6 LM calls \(5 are allowed\)"):
        run(Job(method="structq", family="additive", seed=0, calls=5))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "none"}, "unknown method: 'none'"),
        ({"method": "ridge", "options": {"level": 0.1}}, "structq's alone"),
        ({"method": "gepa", "label": "new"}, "structq's alone"),
    ],
)
def test_a_wrong_job_is_told(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(Job(**{"family": "additive", "seed": 0, "calls": 50, **wrong}))


FEW = ["--methods", "random", "ridge", "--calls", "60", "--seeds", "2", "--processes", "1"]
FEW += ["--families", "additive"]


@pytest.mark.slow
def test_a_stopped_benchmark_goes_on(
    command: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = tmp_path / "runs.jsonl"
    before: list[Job] = []
    measure = command.run

    def stopped(job: Job) -> Any:
        if len(before) == 1:
            raise KeyboardInterrupt
        before.append(job)
        return measure(job)

    monkeypatch.setattr(command, "run", stopped)
    with pytest.raises(KeyboardInterrupt):
        command.main([*FEW, "--store", str(store)])
    assert store.read_text().count("\n") == 1
    with store.open("a") as file:
        file.write('{"job": {"meth')  # and it was stopped while it wrote

    rest: list[Job] = []
    monkeypatch.setattr(command, "run", lambda job: rest.append(job) or measure(job))
    command.main([*FEW, "--store", str(store)])
    resumed = capsys.readouterr().out
    assert "its last line is incomplete" in resumed
    assert "1 of 4 runs are done already" in resumed
    assert len(rest) == 3
    assert not [job for job in rest if job in before]
    assert store.read_text().count("\n") == 4

    command.main(FEW)
    assert capsys.readouterr().out.splitlines()[2:] == resumed.splitlines()[-3:]


def runs_of(shares: list[float], n_refused: int) -> list[Run]:
    job = Job(method="ridge", family="additive", seed=0, calls=50)
    return [
        Run(
            job=job, share=share, changed=share != 0, refused=k < n_refused, n_calls=50,
            cpu_s=0.0, templates={},
        )
        for k, share in enumerate(shares)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "n_refused", "mean", "promises"),
    [
        ([0.5], 0, "0.50 +- ?", "1/1 [0.03, 1.00]"),
        ([0.0, 0.6], 1, "0.30 +- 0.30 (1 refused)", "1/2 [0.01, 0.99]"),
        ([0.0] * 20, 0, "0.00 +- 0.00", "0/20 [0.00, 0.17]"),
        ([0.1, 0.2, 0.3, 0.4], 0, "0.25 +- 0.06", "4/4 [0.40, 1.00]"),
    ],
)
def test_a_cell_says_mean_error_and_exact_interval(
    command: Any, shares: list[float], n_refused: int, mean: str, promises: str
) -> None:
    runs = runs_of(shares, n_refused)
    assert command.shares(runs) == mean
    assert command.false_promises(runs) == promises


@pytest.mark.slow
def test_null_worlds_count_changed_templates(
    command: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main([*FEW, "ceiling", "--null", "--calls", "150"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("| all | 150 | 4/4 [0.40, 1.00] | ")


def test_the_held_out_family_is_run_by_its_own_switch_alone(
    command: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["--families", "style"])
    assert "invalid choice: 'style'" in capsys.readouterr().err
    asked: list[str] = []
    monkeypatch.setattr(
        command, "finish", lambda jobs, *_: asked.extend(job.family for job in jobs)
    )
    monkeypatch.setattr(command, "table", lambda *_, **__: [])
    command.main(["--seeds", "1"])
    assert "style" not in asked
    asked.clear()
    command.main(["--seeds", "1", "--held-out"])
    assert set(asked) == {"style"}
