"""Conversations whose answers all count: the scores of the earlier ones are added to the last's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from structq.modules.calls import Reply
from structq.modules.scoring.way import Plan, Scored

__all__ = ["summed"]


def summed(last: Plan, earlier: Sequence[Plan]) -> Plan:
    """The plan of the last answers, with those of the earlier ones, each of one answer, behind it.

    No distribution comes of a sum.
    """
    if not earlier:
        return last
    plans = [last, *earlier]

    def read(replies: Sequence[Reply]) -> Scored:
        each = iter(replies)
        found, *before = [plan.read(list(islice(each, len(plan.asks)))) for plan in plans]
        scores = [one.scores[0] for one in before]
        expected = _known([one.expected[0] if one.expected else None for one in before])
        return Scored(
            scores=[_total([score, *scores]) for score in found.scores],
            expected=(
                None
                if found.expected is None or expected is None
                else [one + sum(expected) for one in found.expected]
            ),
            facts={
                **{name: fact for name, fact in found.facts.items() if name != "unscored"},
                **_unscored(found, before),
                "turn_scores": scores,
                "turn_expected_scores": expected,
            },
        )

    return Plan(asks=[ask for plan in plans for ask in plan.asks], read=read)


def _known(values: Sequence[float | None]) -> list[float] | None:
    found = [value for value in values if value is not None]
    return found if len(found) == len(values) else None


def _total(values: Sequence[float | None]) -> float | None:
    found = _known(values)
    return None if found is None else sum(found)


def _unscored(last: Scored, earlier: Sequence[Scored]) -> Mapping[str, Any]:
    """Why responses have no score: their own reason, or that of an earlier answer."""
    own = {one["response"]: one["reason"] for one in last.facts.get("unscored", ())}
    before = next(iter(_reasons(earlier)), None)
    found = [
        {"response": i, "reason": reason}
        for i in range(len(last.scores))
        if (reason := own.get(i, before))
    ]
    return {"unscored": found} if found else {}


def _reasons(earlier: Sequence[Scored]) -> Iterator[str]:
    for i, one in enumerate(earlier, 1):
        for missing in one.facts.get("unscored", ()):
            yield f"turn {i}: {missing['reason']}"
