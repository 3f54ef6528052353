"""Benchmarks outlive the code that they measure unless something runs them."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from tests.tiny_lm import write_tiny


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend("benchmarks")
    return importlib.import_module


def test_overhead_prints_every_path(benchmarks: Any, capsys: pytest.CaptureFixture[str]) -> None:
    benchmarks("overhead").main(["--calls", "2", "--rounds", "1", "--k", "2"])
    printed = capsys.readouterr().out
    assert all(f"{job} structq " in printed for job in ("evolve     ", "score K=2  "))
    assert "the bar of" in printed


def test_decoding_prints_every_way(
    benchmarks: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = f"onnx:{write_tiny(tmp_path / 'tiny')}"
    few = ["--k", "2", "--batch", "2", "--rows", "2", "--words", "4", "--repeats", "1"]
    benchmarks("decoding").main(["--lm", lm, *few])
    printed = capsys.readouterr().out
    assert all(f" {way} " in printed for way in ("tokens", "forced", "measured"))
