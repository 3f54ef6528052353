"""Whether a scorer judges at all: is it the place, or the length, and nothing else?

Both tests ask how much there is *besides*. A judge that follows the place in nine rows of ten still
judges in one: it is called position alone only where less than a tenth of its decisions can be
anything else, at 98.5 % confidence (position) or 95 % (length, which half of all other decisions
agree with by chance). So few rows say nothing, whatever they look like.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Decision", "Ordered", "is_length_alone", "is_position_alone", "order_sentence"]

_LEAST_SHARE = 0.10
"""Share of decisions by something else from which on a judge is more than its bias."""
_DOUBT = 0.015
"""Chance of a wrong warning at that share; 40 rows that all turn are enough."""
_LEAST_RATIO = 1.1
"""How much longer one response has to be for its length to say anything."""


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """How often each thing happened when pairs were judged in both orders; ties apart."""

    first: int
    """The response that stood first won both times."""
    second: int
    """The one that stood second won both times."""
    same: int
    """The same response won both times."""

    @property
    def n(self) -> int:
        """Pairs."""
        return self.first + self.second + self.same

    @classmethod
    def of(cls, pairs: Iterable[tuple[float, float]]) -> Ordered:
        """From the differences of the same two responses' scores, first less second.

        Args:
            pairs: As the two stand, and with the other one shown first.
        """
        kept = [(one, other) for one, other in pairs if one and other]
        return cls(
            first=sum(one > 0 > other for one, other in kept),
            second=sum(one < 0 < other for one, other in kept),
            same=sum((one > 0) == (other > 0) for one, other in kept),
        )


def is_position_alone(found: Ordered) -> bool:
    """Whether one place wins, and less than a tenth of the pairs have one winner in both orders."""
    if not found.n:
        return False
    turned = found.first + found.second
    if _at_most(found.same, found.n, _LEAST_SHARE) >= _DOUBT:
        return False
    return _at_most(min(found.first, found.second), turned, 0.5) < 0.0125


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One pair as a judge decided it."""

    difference: float
    """Score of the first response less that of the second."""
    lengths: tuple[int, int]
    """Of both, in words or characters."""
    label: float = 0.0
    """Label of the first less that of the second; 0 where there is none."""


def is_length_alone(decisions: Sequence[Decision]) -> bool:
    """Whether less than a tenth of the decisions can be by anything but the greater length.

    Of a tenth, half would agree with the length by chance: so the share that does not has to be
    below a twentieth. Where the better response is (almost) always the longer one, a good judge
    looks the same: that is no evidence, and the answer is no.
    """
    told = [d for d in decisions if d.difference and _says_something(d.lengths)]
    shorter = sum(not _longer_won(d) for d in told)
    if not told or shorter / len(told) >= _LEAST_SHARE / 2:
        return False
    if _at_most(shorter, len(told), _LEAST_SHARE / 2) >= 0.05:
        return False
    labelled = [d for d in told if d.label]
    against = [d for d in labelled if (d.label > 0) != (d.lengths[0] > d.lengths[1])]
    if labelled and len(against) < 10:
        return False
    return not labelled or sum(map(_longer_won, against)) >= 0.8 * len(against)


def _at_most(k: int, n: int, p: float) -> float:
    """Probability of at most k of n things, each of which happens with probability p."""
    sure = math.lgamma(n + 1)
    return min(1.0, sum(
        math.exp(
            sure - math.lgamma(i + 1) - math.lgamma(n - i + 1)
            + i * math.log(p) + (n - i) * math.log1p(-p)
        )
        for i in range(k + 1)
    ))  # fmt: skip


def _says_something(lengths: tuple[int, int]) -> bool:
    return max(lengths) >= _LEAST_RATIO * max(1, min(lengths))


def _longer_won(decision: Decision) -> bool:
    return (decision.difference > 0) == (decision.lengths[0] > decision.lengths[1])


def order_sentence(found: Ordered) -> str:
    """What both orders of some rows show, in a sentence for whoever reads a summary."""
    if not found.n:
        return "no row whose responses got different scores in both orders"
    turned = found.first + found.second
    if is_position_alone(found):
        place = "first" if found.first > found.second else "second"
        rows = f"{turned} of {found.n} rows"
        return f"position alone: the {place} response wins, whichever it is, in {rows}"
    if turned == 0:
        return f"the order of the responses changes no winner in {found.n} rows"
    return f"the order of the responses decides {turned} of {found.n} rows"
