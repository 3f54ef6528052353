"""What one finished row says in numbers; knows nothing of pages and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from structq.data import Row
from structq.modules.derived import best_of, facts_of, finest_scores
from structq.runs.rows import finished_row

__all__ = ["RowFacts", "Step", "facts_of_row", "ranks_of", "responses_of"]

_EVEN = (0.25, 0.75)
"""Odds of less than three to one, by the judge's own distributions, decide nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One evolution of a row."""

    mutation: str
    gain: float | None
    """Score less that of the response before it; ``None`` where one is not scored."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowFacts:
    """One row."""

    number: int
    """Place in the input, from 0."""
    id: str | None
    """As the row has it."""
    asked: int
    """Stands for the instruction, in this process."""
    kept: int
    """Stands for the best response, in this process."""
    cause: str | None
    """Why it failed."""
    before: float | None
    """Score of the original."""
    after: float | None
    """Highest score of all its responses: that of the best response."""
    gain: float | None
    """Highest score of its evolutions less that of the original."""
    last: float | None
    """Score of the last evolution less that of the original."""
    added: int | None
    """Characters that the evolution with the highest score is longer than the original."""
    times: float | None
    """How many times as long it is."""
    odds: float | None
    """By the judge's own distributions, how often that evolution is better than the original."""
    longest_first: bool | None
    """Whether the longest response has the highest score; ``None`` where nothing is compared."""
    last_first: bool | None
    """Whether the response that was shown last has it."""
    mass: float | None
    """Least share of the judge's probability that was on score labels at all."""
    steps: Sequence[Step] = ()
    scores: Sequence[float] = field(default_factory=tuple)
    """All that are known."""
    n_calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def outcome(self) -> str:
        """``improved``, ``same``, ``worse``, ``failed``, ``unscored``.

        ``scored`` where there is no original to compare with.
        """
        if self.cause is not None:
            return "failed"
        if self.gain is None:
            return "scored" if self.scores and not self.steps else "unscored"
        return "improved" if self.gain > 0 else "worse" if self.gain < 0 else "same"

    @property
    def undecided(self) -> bool:
        """Whether the judge could as well have said the opposite, or saw no difference."""
        if self.gain is None:
            return False
        return self.gain == 0 if self.odds is None else _EVEN[0] < self.odds < _EVEN[1]


def responses_of(values: Mapping[str, Any]) -> list[str]:
    """The responses of an output row, the original first where there is one."""
    found = values.get("responses")
    if found is None and (original := values.get("response")) is not None:
        names = values.get("mutations") or []
        later = values.get("evolved_responses") or [values.get("evolved_response")]
        later = later[1:] if len(later) > len(names or later) else later
        if len(later) < len(names) and not values.get("scores"):
            later = _answers(values, len(names)) or later
        found = [original, *later]
    return [text for text in found or [] if isinstance(text, str)]


def _answers(values: Mapping[str, Any], n: int) -> list[str]:
    """What each step answered, where the row keeps the last alone; none where that is not sure."""
    known = facts_of(values)
    calls = [call for call in known.get("calls") or [] if call.get("mutation")]
    calls = calls[: len(calls) - bool(known.get("short"))][-n:]
    found = []
    for call in calls:
        text = call.get("raw_output") or ""
        if call.get("form") != "text":
            try:
                text = json.loads(text)["evolved_response"]
            except (ValueError, KeyError, TypeError):
                return []
        found.append(text)
    sure = len(found) == n and not any(call.get("cut") for call in calls)
    return found if sure and found[-1] == values.get("evolved_response") else []


def ranks_of(values: Mapping[str, Any], n: int) -> list[float | None]:
    """What the responses are compared by, as many."""
    found = finest_scores(values)
    return list(found) if len(found) == n else [None] * n


def facts_of_row(number: int, values: Mapping[str, Any]) -> RowFacts:
    """The facts of an output row."""
    known = facts_of(values)
    error = known.get("error")
    ours = isinstance(error, Mapping) and {"type", "field", "message"} <= error.keys()
    told = {**values, "metadata": {**known, "error": error if ours else None}}
    row = finished_row(Row(line=number + 1, values={}, error=None), told, "", number)
    texts = [] if row.cause else responses_of(values)
    ranks = ranks_of(values, len(texts))
    usage = [call.get("usage") or {} for call in row.calls]
    mass = [x for call in row.calls for x in call.get("label_mass") or []]
    given = values.get("id")
    return RowFacts(
        number=number,
        id=None if given is None else str(given),
        asked=hash(values.get("instruction")) if _is_text(values.get("instruction")) else number,
        kept=hash(texts[best_of(ranks)]) if texts else 0,
        cause=row.cause,
        mass=min(mass, default=None),
        scores=[rank for rank in ranks if rank is not None],
        n_calls=sum(call.get("attempts", 1) for call in row.calls),
        tokens_in=sum(one.get("input_tokens") or 0 for one in usage),
        tokens_out=sum(one.get("output_tokens") or 0 for one in usage),
        steps=_steps(values, ranks, len(texts)),
        **_compared(values, texts, ranks),
    )


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _steps(values: Mapping[str, Any], ranks: Sequence[float | None], n: int) -> list[Step]:
    names = values.get("mutations") or []
    every = len(names) == n - 1  # only then is each step's response there
    pairs = pairwise(ranks) if every else [(None, None)] * len(names)
    return [
        Step(mutation=name, gain=None if a is None or b is None else b - a)
        for name, (a, b) in zip(names, pairs, strict=False)
    ]


def _compared(
    values: Mapping[str, Any], texts: Sequence[str], ranks: Sequence[float | None]
) -> dict[str, Any]:
    """The original against its evolutions; nothing of it where no original is known."""
    known = {i: rank for i, rank in enumerate(ranks) if rank is not None}
    top = max(known.values(), default=None)
    found: dict[str, Any] = dict.fromkeys(
        ("before", "gain", "last", "added", "times", "odds", "longest_first", "last_first")
    )
    if top is not None and len(known) == len(texts) > 1:
        sizes = [len(text) for text in texts]
        found["longest_first"] = ranks[sizes.index(max(sizes))] == top
        found["last_first"] = ranks[-1] == top
    if "mutations" not in values or len(texts) < 2:
        return {**found, "after": top}
    later = [i for i in known if i > 0]
    chosen = max(later, key=lambda i: (known[i], -i), default=len(texts) - 1)
    found["added"] = len(texts[chosen]) - len(texts[0])
    found["times"] = len(texts[chosen]) / max(1, len(texts[0]))
    if 0 in known and later:
        found["before"], found["gain"] = known[0], known[chosen] - known[0]
        if (end := known.get(len(texts) - 1)) is not None:
            found["last"] = end - known[0]
        found["odds"] = _odds(values.get("score_distributions"), chosen)
    return {**found, "after": top}


def _odds(distributions: Any, chosen: int) -> float | None:
    """P(score of one > score of the original), a tie as half, as if drawn apart."""
    if not distributions or not distributions[0] or not distributions[chosen]:
        return None
    try:
        original, evolved = (
            [(float(label), p) for label, p in distributions[i].items()] for i in (0, chosen)
        )
    except ValueError:  # levels that have names
        return None
    return float(sum(p * q * ((a > b) + (a == b) / 2) for a, p in evolved for b, q in original))
