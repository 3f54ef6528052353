"""Every export read back by those who read it: `datasets`, TRL, Axolotl, LLaMA-Factory.

The 48 example rows are evolved and scored by nano and exported for each trainer. Then, in an
environment that the benchmark makes:

* `datasets` loads each folder, and its rows must equal those of the file;
* TRL's own trainers take one step on a tiny model with random weights;
* Axolotl's own prompt strategies read each row: the text or the tokens that it would train on must
  hold both answers;
* LLaMA-Factory's own parser and converter read ``dataset_info.json`` and each row.

Axolotl and LLaMA-Factory are installed without what they need for training: they pin other
versions of torch, TRL and transformers, and gigabytes for accelerators. Their readers run as they
are.

    python benchmarks/exports.py [--environment FOLDER] [--wheels-of SITE-PACKAGES]

``--environment`` is kept and used again; ``--wheels-of`` names the packages of another environment,
so that torch and transformers need not be installed twice.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

from structq import EvolveAndScore
from structq.errors import InputError
from structq.export import ExportSettings, write_export

ROOT = Path(__file__).parents[1]
READERS = Path(__file__).parent / "trainers" / "readers.py"
STEPS = ROOT / "tests" / "export" / "trl_steps.py"
KINDS = ("dpo", "kto", "reward", "sft", "sharegpt", "alpaca")
TRAINERS = ("trl", "axolotl", "llama-factory")
WHOLE = ("torch>=2.6", "transformers>=5.0", "trl==1.16.0", "datasets==5.2.0")
ALONE = ("axolotl==0.19.0", "llamafactory==0.9.5", "peft==0.18.1")
SMALL = ("addict", "colorama", "omegaconf", "fire")


def make_environment(folder: Path, wheels_of: str | None) -> Path:
    """The Python of an environment with every reader in it."""
    python = folder / "bin" / "python"
    done = folder / "done"
    if done.exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    if wheels_of:
        (packages,) = (folder / "lib").glob("python*/site-packages")
        (packages / "others.pth").write_text(wheels_of + "\n")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for options in ([*WHOLE, *SMALL], ["--no-deps", *ALONE]):
        subprocess.run([*pip, *options], check=True)
    done.touch()
    return python


def write_exports(folder: Path) -> int:
    with (ROOT / "examples" / "responses.jsonl").open(encoding="utf8", newline="\n") as file:
        rows = [json.loads(line) for line in file]
    scored = next(EvolveAndScore(num_evolutions=2, lm="nano").process(rows))
    for trainer in TRAINERS:
        for kind in KINDS:
            try:
                settings = ExportSettings(to=kind, trainer=trainer, system_prompt="Be brief.")
            except InputError as error:
                print(f"{trainer:<14} {kind:<9} {error}")
                continue
            tally = write_export(scored, folder / trainer / kind, settings)
            print(f"{trainer:<14} {kind:<9} {tally.n_records} records of {tally.n_used} rows")
    return len(scored)


def told(command: list[str], environment: dict[str, str]) -> list[dict[str, Any]]:
    run = subprocess.run(command, env=environment, capture_output=True, check=False, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(command)}\n{run.stderr[-3000:]}")
    return [json.loads(line[5:]) for line in run.stdout.splitlines() if line.startswith("told ")]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--environment", type=Path)
    parser.add_argument("--wheels-of")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        python = make_environment(chosen.environment or folder / "environment", chosen.wheels_of)
        write_exports(folder)
        quiet = {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        environment = os.environ | quiet | {"PYTHONPATH": str(ROOT)}
        for one in told([str(python), str(READERS), str(folder)], environment):
            print(f"{one['reader']:<28} {one['trainer']:<14} {one['kind']:<9} {one['n']} rows read")
        kinds = [kind for kind in KINDS if kind != "alpaca"]
        for one in told([str(python), str(STEPS), str(folder / "trl"), *kinds], environment):
            print(f"{'TRL, a step':<28} {'trl':<14} {one['kind']:<9} loss {one['loss']:.3f}")


if __name__ == "__main__":
    main()
