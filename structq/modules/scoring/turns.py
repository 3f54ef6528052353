"""The answers of one conversation, each scored under what was said before, and summed (DEITA)."""

from __future__ import annotations

from collections.abc import Sequence

from structq.modules.calls import Reply

from .way import Plan, Scored

__all__ = ["summed"]


def summed(last: Plan, earlier: Sequence[Plan]) -> Plan:
    """The plan for the last answers, with the scores of the earlier ones added to each of theirs.

    Args:
        last: For the answers at the end of the conversation.
        earlier: One for each answer before them.
    """
    plans = [last, *earlier]

    def read(replies: Sequence[Reply]) -> Scored:
        left, found = list(replies), []
        for plan in plans:
            found.append(plan.read(left[: len(plan.asks)]))
            del left[: len(plan.asks)]
        return _sum(found[0], found[1:])

    return Plan(asks=[ask for plan in plans for ask in plan.asks], read=read)


def _sum(last: Scored, earlier: Sequence[Scored]) -> Scored:
    if not earlier:
        return last
    before = [one.scores[0] for one in earlier]
    known = [value for value in before if value is not None]
    means = [one.expected[0] for one in earlier if one.expected is not None]
    measured = last.expected is not None and len(means) == len(earlier)
    facts = dict(last.facts) | {
        "turn_scores": before,
        "turn_expected_scores": means if len(means) == len(earlier) else None,
    }
    scores = [None if one is None else one + sum(known) for one in last.scores]
    if len(known) < len(before):
        place = before.index(None)
        reason = f"turn {place + 1}: {earlier[place].facts['unscored'][0]['reason']}"
        facts["unscored"] = [{"response": i, "reason": reason} for i in range(len(scores))]
        scores = [None] * len(scores)
    return Scored(
        scores=scores,
        expected=[one + sum(means) for one in last.expected or ()] if measured else None,
        facts=facts,
    )
