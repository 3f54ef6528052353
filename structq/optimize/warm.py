"""What earlier runs measured, as trials that cost nothing: where a search may begin.

A journal of ``structq run`` has each row's mutations and scores, and the templates in a note; that
of an earlier search has its trials. What ran on the same row in the same mutation can be compared
there; the rest is compared within its mutation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from structq.errors import InputError
from structq.journal import Journal

__all__ = ["Known", "known_trials"]

Known = list[list[tuple[str, str, float]]]
"""Lists of (name, text, gain) that can be compared with each other."""
_MUTATION = re.compile(r"evolve\.mutations\['(.*)'\]")
_Trial = tuple[str, tuple[str, str, float]]


def known_trials(paths: Sequence[str | Path]) -> Known:
    """The trials of all journals.

    Raises:
        InputError: A file is no journal, or has no trials.
    """
    cells: dict[tuple[str, str], dict[str, tuple[str, str, float]]] = {}
    for path in paths:
        found = list(_trials(path))
        if not found:
            raise InputError(
                f"warm_start: {str(path)!r} has no trials (a journal of structq run, with scores "
                "and templates, or the checkpoint of a search, has some)",
                field="warm_start",
            )
        for row, (name, text, gain) in found:
            cells.setdefault((row, name), {})[text] = name, text, gain
    shared = [list(cell.values()) for cell in cells.values() if len(cell) > 1]
    alone: dict[str, list[tuple[str, str, float]]] = {}
    for (_, name), cell in cells.items():
        if len(cell) == 1:
            alone.setdefault(name, []).extend(cell.values())
    return [*shared, *(found for found in alone.values() if len({t for _, t, _ in found}) > 1)]


def _trials(path: str | Path) -> Iterator[_Trial]:
    with Journal(path, None) as journal:
        if journal.facts().get("module") == "structq optimize":
            for found in journal.answers(0).values():
                if found["failure"] is None and len(found["texts"]) == 1:
                    ((name, text),) = found["texts"]
                    yield found["row"], (name, text, float(found["gain"]))
            return
        told = journal.notes().get("program", {})
        templates = {
            found[1]: part["signature"]["instructions"]
            for name, part in told.items()
            if (found := _MUTATION.fullmatch(name)) and "signature" in part
        }
        for _, line in journal.outputs():
            yield from _of_row(json.loads(line), templates)


def _of_row(row: dict[str, Any], templates: dict[str, str]) -> Iterator[_Trial]:
    """Each step of a row: what its mutation added to the score of the step before."""
    scores = row.get("expected_scores") or row.get("scores") or []
    names = row.get("mutations") or []
    if len(scores) != len(names) + 1 or None in scores:
        return
    for step, name in enumerate(names):
        if name in templates:
            before = json.dumps([row.get("instruction"), row["responses"][step]]).encode()
            digest = blake2b(before, digest_size=16).hexdigest()
            # On a scale of one more label than responses, as ``structq run`` has by default.
            gain = (scores[step + 1] - scores[step]) / len(scores)
            yield digest, (name, templates[name], float(gain))
