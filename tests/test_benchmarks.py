"""Benchmarks outlive the code that they measure unless something runs them."""

from __future__ import annotations

import importlib
from typing import Any

import dspy
import pytest

from tests.tiny_gguf import write_tiny_gguf
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


@pytest.mark.parametrize("options", [[], ["--no-cache"]])
def test_memory_says_what_stays(
    options: list[str],
    benchmarks: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(dspy, "cache", dspy.cache)  # as it was, afterwards
    assert benchmarks("memory").main(["--rows", "5", "--chars", "100", *options]) == 0
    assert "MB since row" in capsys.readouterr().out


def test_decoding_prints_every_way(
    benchmarks: Any, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = f"onnx:{write_tiny(tmp_path / 'tiny')}"
    few = ["--k", "2", "--batch", "2", "--rows", "2", "--words", "4", "--repeats", "1"]
    benchmarks("decoding").main(["--lm", lm, *few])
    printed = capsys.readouterr().out
    assert all(f" {way} " in printed for way in ("tokens", "forced", "measured"))


@pytest.mark.slow
def test_engines_prints_every_job_that_needs_no_llama_cpp(
    benchmarks: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("STRUCTQ_HOME", str(tmp_path))
    file = write_tiny_gguf(tmp_path / "tiny.gguf", "llama", kind="Q4_1")
    few = ["--rows", "2", "--prompt", "64", "--in-flight", "2"]
    jobs = ["--jobs", "prefixes", "prefill", "opening"]
    benchmarks("engines").main([str(file), *few, *jobs])
    printed = capsys.readouterr().out
    assert all(f"{job} " in printed for job in ("prefixes", "prefill", "opening"))


def test_gguf_parity_compares_tokens_and_probabilities(
    benchmarks: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip("xllamacpp", reason="no wheel for this platform")
    monkeypatch.setenv("STRUCTQ_HOME", str(tmp_path / "home"))
    file = write_tiny_gguf(tmp_path / "tiny.gguf", "llama")
    data = tmp_path / "data"
    data.mkdir()
    (data / "texts.jsonl").write_text('{"a": ["one", "two"]}\n{broken\n"three"\n')
    script = benchmarks("gguf_parity")

    def missing(_: Any) -> None:
        raise ImportError("no torch")

    monkeypatch.setattr(script, "float32_model", missing)
    script.main([str(file), "--data", str(data), "--prompts", "2", "--tokens", "8"])
    printed = capsys.readouterr().out
    assert "equal for 3 of 3 texts" in printed
    assert "llama.cpp          structq float32    likeliest equal 16 of 16" in printed
    assert "without the float32 reference" in printed
