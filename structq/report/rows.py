"""The rows of a page: numbers to sort and filter by, and the texts in packed chunks."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from structq.modules.derived import facts_of
from structq.report.compare import Pair
from structq.report.facts import ranks_of, responses_of
from structq.report.html import tag
from structq.report.sources import RunSource

__all__ = ["CHUNK", "Frames", "chosen_pairs", "index_of", "text_blocks"]

CHUNK = 50
"""Rows that are packed together."""
_HEAD = 110
_SHOWN = frozenset({
    "id", "instruction", "response", "responses", "scores", "expected_scores", "evolved_response",
    "score_distributions", "evolved_responses", "best_response", "mutations", "metadata",
    "model_name",
})  # fmt: skip


class Frames:
    """Texts around the texts of rows, each once, by number."""

    def __init__(self) -> None:
        self.found: dict[Any, int] = {}

    def number(self, prompt: Any) -> int:
        """The number of a prompt."""
        return self.found.setdefault(prompt, len(self.found))


def chosen_pairs(pairs: Sequence[Pair], most: int) -> list[Pair]:
    """All pairs, or so many at even distances."""
    if len(pairs) <= most:
        return list(pairs)
    return [pairs[i * len(pairs) // most] for i in range(most)]


def index_of(pairs: Sequence[Pair], marks: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """The columns that rows are sorted and filtered by, a list each."""
    columns: dict[str, list[Any]] = {"key": list(names)}
    for place, mark in enumerate(marks):
        side = [(pair.first, pair.second)[place] for pair in pairs]
        for name in ("before", "after", "gain", "last", "added"):
            columns[f"{name}{mark}"] = [None if row is None else getattr(row, name) for row in side]
        columns[f"outcome{mark}"] = ["" if row is None else row.outcome for row in side]
        columns[f"cause{mark}"] = [None if row is None else row.cause for row in side]
        columns[f"tokens{mark}"] = [
            None if row is None else row.tokens_in + row.tokens_out for row in side
        ]
        columns[f"undecided{mark}"] = [int(row is not None and row.undecided) for row in side]
        columns[f"steps{mark}"] = [
            [] if row is None else [step.mutation for step in row.steps] for row in side
        ]
    if len(marks) > 1:
        columns["delta"] = [pair.delta for pair in pairs]
        columns["differs"] = [int(pair.differs) for pair in pairs]
    return {name: _coded(name, values) for name, values in columns.items()}


def _coded(name: str, values: list[Any]) -> dict[str, Any]:
    """Words as numbers into a list of them; numbers as they are."""
    if name == "key":
        return {"texts": values}
    if not name.startswith(("outcome", "cause", "steps")):
        return {"numbers": values}
    parts = [value if isinstance(value, list) else [value] for value in values]
    words = sorted({word for part in parts for word in part if word})
    places = {word: i for i, word in enumerate(words)}
    if name.startswith("steps"):
        return {"words": words, "lists": [[places[word] for word in part] for part in parts]}
    return {"words": words, "codes": [places.get(part[0], -1) for part in parts]}


def text_blocks(
    pairs: Sequence[Pair], runs: Sequence[RunSource], frames: Frames
) -> tuple[Markup, list[Markup]]:
    """The packed heads of all rows, and the rows in chunks."""
    sides = [
        {row.number for pair in pairs if (row := (pair.first, pair.second)[place]) is not None}
        for place in range(len(runs))
    ]
    # The second run's rows wait for those of the first; of one run nothing waits.
    later = {n: v for n, v in runs[1].values() if n in sides[1]} if len(runs) > 1 else {}
    first = ((n, v) for n, v in runs[0].values() if n in sides[0])
    heads: list[str] = []
    rows: list[dict[str, Any]] = []
    chunks: list[Markup] = []
    for pair in pairs:
        values = [next(first)[1] if pair.first is not None else None]
        if len(runs) > 1:
            values.append(None if pair.second is None else later.pop(pair.second.number))
        known = next(one for one in values if one is not None)
        heads.append(_head(known))
        rows.append(_row(known, values, runs, frames))
        if len(rows) == CHUNK:
            chunks.append(_packed(f"chunk{len(chunks)}", rows))
            rows = []
    if rows:
        chunks.append(_packed(f"chunk{len(chunks)}", rows))
    return _packed("heads", heads), chunks


def _head(values: Mapping[str, Any]) -> str:
    text = values.get("instruction")
    text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
    return " ".join(text[: 2 * _HEAD].split())[:_HEAD]


def _row(
    known: Mapping[str, Any],
    values: Sequence[Mapping[str, Any] | None],
    runs: Sequence[RunSource],
    frames: Frames,
) -> dict[str, Any]:
    others = {k: v for k, v in known.items() if k not in _SHOWN}
    return {
        "id": known.get("id"),
        "instruction": known.get("instruction"),
        "others": others,
        "runs": [
            None if one is None else _side(one, run, frames)
            for one, run in zip(values, runs, strict=True)
        ],
    }


def _side(values: Mapping[str, Any], run: RunSource, frames: Frames) -> dict[str, Any]:
    """What one run made of a row."""
    facts = facts_of(values)
    texts = responses_of(values)
    ranks = ranks_of(values, len(texts))
    told = values.get("score_distributions") or []
    error = facts.get("error")
    calls = facts.get("calls")
    calls = [one for one in calls if isinstance(one, dict)] if isinstance(calls, list) else []
    short = facts.get("short")
    side = {
        "responses": texts,
        "original": "mutations" in values,
        "scores": [_rounded(rank) for rank in ranks],
        "spread": [{k: _rounded(p) for k, p in (one or {}).items()} for one in told],
        "mutations": values.get("mutations") or [],
        "error": _message(error),
        "short": _message(short),
        "calls": [_call(call) for call in calls],
    }
    if run.prompts is not None and not error:
        side["prompts"] = _prompts(values, texts, calls, run, frames)
    return side


def _message(error: Any) -> str | None:
    if isinstance(error, Mapping):
        return f"{error.get('type')}: {error.get('message')}"
    return None if error is None else str(error)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    usage = call.get("usage") or {}
    kept = ("mutation", "attempts", "finish_reason", "form", "label_mass", "cut")
    return {
        **{k: v for k in kept if (v := call.get(k)) not in (None, [], "")},
        "tokens": [usage.get("input_tokens"), usage.get("output_tokens")],
    }


def _prompts(
    values: Mapping[str, Any],
    texts: Sequence[str],
    calls: Sequence[Mapping[str, Any]],
    run: RunSource,
    frames: Frames,
) -> list[int]:
    """The prompt of each step, where the response that it evolved is there."""
    names, found = values.get("mutations") or [], []
    steps = [call for call in calls if call.get("mutation")]
    asked = len(names) + bool(facts_of(values).get("short"))  # one that failed came last
    if run.prompts is None or len(texts) != len(names) + 1 or len(steps) < asked:
        return []
    steps = steps[len(steps) - asked :]
    for place, name in enumerate(names):
        prompt = run.prompts.prompt(
            name, instruction=values["instruction"], response=texts[place], original=texts[0],
            form=steps[place].get("form"),
        )  # fmt: skip
        found.append(frames.number(prompt))
    return found


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _packed(name: str, value: Any) -> Markup:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    data = gzip.compress(text.encode("utf8", "replace"), compresslevel=6, mtime=0)
    return tag("script", b64encode(data).decode(), type="text/plain", id=name)
