"""Journals of runs that nobody ran: rows as `structq run` leaves them, of every kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from structq.journal import Journal, RowState

MUTATIONS = ("helpfulness", "relevance", "deepening", "creativity", "details")
FACTS = {
    "structq": "0.3.0",
    "module": "EvolveAndScore",
    "lm": {"model": "made/up"},
    "scorer.settings.scoring": "joint",
    "evolve.settings.seed": 42,
}


def row(
    number: int,
    texts: Iterable[str],
    scores: Iterable[float | None] | None,
    mutations: Iterable[str],
    *,
    spread: list[dict[str, float]] | None = None,
    error: str | None = None,
    **columns: Any,
) -> dict[str, Any]:
    """One output row; ``scores`` are the expected ones."""
    responses, ranks, names = list(texts), scores and list(scores), list(mutations)
    calls = [
        {"mutation": name, "usage": {"input_tokens": 10 + number, "output_tokens": 5},
         "attempts": 1, "finish_reason": "stop", "form": "json"}
        for name in (*names, None)
    ]  # fmt: skip
    told = {"type": "OutputError", "field": None, "message": error}
    known = {
        "responses": responses,
        "scores": ranks and [None if r is None else float(round(r)) for r in ranks],
        "expected_scores": ranks,
        "score_distributions": spread,
        "evolved_response": responses[-1],
        "best_response": responses[0],
        "mutations": names,
    }
    return {
        "id": f"r{number}",
        "instruction": f"Question {number}?",
        "response": responses[0],
        **(dict.fromkeys(known) if error else known),
        "metadata": {"calls": calls, "error": told if error else None},
        **columns,
    }


def random_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows of one to three evolutions: some failed, some without a score, some with ties."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        n_steps = int(rng.integers(1, 4))
        texts = ["é" * int(k) + " 図" for k in rng.integers(1, 90, n_steps + 1)]
        scores: list[float | None] = [round(float(s), 1) for s in rng.uniform(1, 5, n_steps + 1)]
        if rng.random() < 0.1:
            scores[int(rng.integers(n_steps + 1))] = None
        names = [MUTATIONS[i] for i in rng.integers(0, 5, n_steps)]
        error = "the answer was cut off" if rng.random() < 0.1 else None
        rows.append(row(number, texts, scores, names, error=error))
    return rows


def write_journal(
    path: Path,
    rows: Iterable[Mapping[str, Any]],
    facts: Mapping[str, Any] = FACTS,
    **notes: Any,
) -> Path:
    """The journal of a run with these rows, ended if it has a summary."""
    with Journal(path, facts) as journal:
        for number, values in enumerate(rows):
            cause = "OutputError: …" if values["metadata"]["error"] else None
            state = RowState(digest=b"d", shape="", cause=cause)
            journal.finish_row(number, state, json.dumps(values))
        for name, value in notes.items():
            journal.note(name, value)
    return path


def block(page: Path, name: str) -> Any:
    """A data block of a page."""
    text = page.read_text("utf8")
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def sentences(page: Path) -> dict[str, str]:
    """The answers of a page of one run, by question, as text."""
    text = page.read_text("utf8")
    pairs = re.findall(r"<dt><a [^>]*>(.*?)</a></dt><dd>(.*?)</dd>", text, re.S)
    return {question: answer.replace("&#39;", "'") for question, answer in pairs}
