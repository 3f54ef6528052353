"""A module whose calls are counted in files, and which ends its process once if told to."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import structq
from tests.scripted import ScriptedEngine, default_script, make_lm


def make_task(counts: str, die: str) -> structq.EvolveAndScore:
    folder = Path(counts)
    mine = folder / uuid.uuid4().hex
    died = folder / "died"

    def script(request):
        with mine.open("ab") as file:
            file.write(b".")
        time.sleep(0.05)
        if die and mine.stat().st_size == 20 and not died.exists():
            died.write_bytes(b"")
            os._exit(1)
        return default_script(request)

    return structq.EvolveAndScore(num_evolutions=2, lm=make_lm(ScriptedEngine(script)))
