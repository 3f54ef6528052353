"""The benchmark of selection runs."""

from __future__ import annotations

import importlib

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
