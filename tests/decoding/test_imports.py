from __future__ import annotations

import subprocess
import sys

import structq.decoding


def test_every_public_name_is_there() -> None:
    assert all(hasattr(structq.decoding, name) for name in structq.decoding.__all__)


def test_the_room_needs_neither_dspy_nor_outlines_nor_torch() -> None:
    heavy = "{'dspy', 'outlines', 'torch', 'transformers'}"
    code = f"import sys, structq.decoding; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
