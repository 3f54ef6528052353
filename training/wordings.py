r"""More wordings of what nano reads, from the text files beside this module.

A file of ``wordings/`` holds one frame a line (``\n`` stands for a line break) under headings
``# NAME``. All of it belongs to the training side: the held-out sides stand in `phrasings`,
`families` and `topics`, and ``tests/nano/test_wordings.py`` sees to it that no line comes close to
one of them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["FOLDER", "wordings"]

FOLDER = Path(__file__).parent / "wordings"


@cache
def wordings(file: str) -> dict[str, tuple[str, ...]]:
    """The frames of ``wordings/{file}.txt`` by heading, in the order of the file."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (FOLDER / f"{file}.txt").read_text("utf8").splitlines():
        if line.startswith("# "):
            name = line[2:].strip()
            found.setdefault(name, [])
        elif line.strip():
            found[name].append(line.strip().replace("\\n", "\n"))
    return {name: tuple(frames) for name, frames in found.items()}
