"""The benchmark of selection runs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest


def test_selecting_prints_every_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend("benchmarks")
    few = ["--rows", "50", "--numbers", "8", "--jobs", "size", "copies", "n"]
    importlib.import_module("selecting").main(few)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["n", "copies", "size"]
    assert all(" 50 rows" in line for line in lines)


def test_cosines_of_an_lm_are_told_or_skipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend("benchmarks")
    main = importlib.import_module("selecting").main
    main(["--jobs", "lm"])
    assert "skipped: no --data" in capsys.readouterr().out
    data = tmp_path / "rows.jsonl"
    texts = ["Two is the only even prime number.", "Bread rises because of the yeast in it."]
    rows = [{"instruction": "Tell.", "response": text} for text in texts]
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf8")
    main(["--jobs", "lm", "--lm", "no_such", "--data", str(data)])
    assert "'no_such' gives no embeddings" in capsys.readouterr().out
    main(["--jobs", "lm", "--lm", "nano", "--data", str(data)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[1].split()[0] for line in lines[:4]] == [
        "copies", "other", "kept", "kept",
    ]  # fmt: skip
    assert "of 2 rows" in lines[2]
