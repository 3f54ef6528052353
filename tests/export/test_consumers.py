"""Exports read by `datasets` and trained on by TRL for one step."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from structq import EvolveAndScore
from structq.export import ExportSettings, write_export

ROOT = Path(__file__).parents[2]
STEPS = Path(__file__).with_name("trl_steps.py")
KINDS = ("dpo", "kto", "reward", "sft", "sharegpt")

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def scored() -> list[dict[str, Any]]:
    """The 48 example rows as `structq run` leaves them."""
    with (ROOT / "examples" / "responses.jsonl").open(encoding="utf8", newline="\n") as file:
        rows = [json.loads(line) for line in file]
    return next(EvolveAndScore(num_evolutions=1, lm="nano").process(rows))


@pytest.fixture
def read_in_its_own_process(tmp_path: Path) -> Callable[..., str]:
    """Runs Python with the caches of `datasets` elsewhere; skips where a package is missing."""

    def run(*arguments: str, needs: str) -> str:
        if importlib.util.find_spec(needs) is None:
            pytest.skip(f"{needs} is not installed (pip install -e '.[test-torch]')")
        quiet = {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        told = subprocess.run(
            [sys.executable, *arguments],
            env=os.environ | quiet | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=False,
            text=True,
        )
        assert told.returncode == 0, told.stderr[-2000:]
        return told.stdout

    return run


READ = """
import json, sys
from datasets import load_dataset
for folder in sys.argv[1:]:
    data = load_dataset(folder, split="train")
    print("told", json.dumps({"columns": data.column_names, "rows": list(data)}))
"""


def test_every_export_is_what_datasets_reads(
    scored: list[dict[str, Any]], tmp_path: Path, read_in_its_own_process: Callable[..., str]
) -> None:
    folders = []
    for trainer in ("trl", "axolotl", "llama-factory"):
        for kind in (*KINDS, "alpaca"):
            if (kind, trainer) == ("alpaca", "trl"):
                continue
            folders.append(tmp_path / f"{kind} {trainer}")
            write_export(scored, folders[-1], ExportSettings(to=kind, trainer=trainer))
    told = read_in_its_own_process("-c", READ, *map(str, folders), needs="datasets")
    found = [json.loads(line[5:]) for line in told.splitlines() if line.startswith("told")]
    for folder, data in zip(folders, found, strict=True):
        lines = (folder / "train.jsonl").read_text(encoding="utf8").splitlines()
        assert data["rows"] == [json.loads(line) for line in lines]
        assert data["columns"] == list(data["rows"][0])


@pytest.mark.slow
def test_trl_trains_a_step_on_the_example_rows(
    scored: list[dict[str, Any]], tmp_path: Path, read_in_its_own_process: Callable[..., str]
) -> None:
    tallies = {
        kind: write_export(scored, tmp_path / kind, ExportSettings(to=kind)) for kind in KINDS
    }
    told = read_in_its_own_process(str(STEPS), str(tmp_path), *KINDS, needs="trl")
    found = [json.loads(line[5:]) for line in told.splitlines() if line.startswith("told")]
    assert [one["kind"] for one in found] == list(KINDS)
    for one in found:
        assert one["steps"] == 1
        assert one["loss"] > 0
        assert one["rows"] == tallies[one["kind"]].n_records
    dpo, _, reward, *_ = found
    assert {"prompt_ids", "chosen_ids", "rejected_ids"} <= set(dpo["columns"])
    assert {"chosen_ids", "rejected_ids", "margin"} <= set(reward["columns"])
