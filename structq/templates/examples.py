"""Examples that stand before a prompt, in packaged words; knows nothing of LMs.

Small LMs that see an answer only described speak about it ("Here is a rewritten version ..."), or
put their probability elsewhere than on scores. An example shows what is wanted: an evolution that
keeps the response and adds to it; two judged lists, in which once the first response and once the
last is the best, so that they show no order. They are the same for every row, so their keys and
values are computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = [
    "LEAD",
    "EvolveExample",
    "ScoreExample",
    "added_words",
    "evolve_example",
    "score_examples",
]

LEAD = "\n\n"
"""Between a response that is kept whole and what is added: a paragraph of its own."""


class EvolveExample(NamedTuple):
    """One evolution."""

    instruction: str
    response: str
    evolved_response: str


_AWAY = "Water them well before you leave and move them out of the sun."
_AWAY_MORE = (
    "In a shady room the soil stays moist for a week or more. For a longer trip, push a bottle of "
    "water upside down into each pot, or ask a neighbour to look in once a week."
)


def evolve_example(*, adds: bool) -> EvolveExample:
    """A response that is kept and added to.

    Args:
        adds: What is added stands behind the whole response, in a paragraph of its own.
    """
    evolved = f"{_AWAY}{LEAD if adds else ' '}{_AWAY_MORE}"
    return EvolveExample("How do I keep my plants alive while I am away?", _AWAY, evolved)


def added_words() -> str:
    """What the example adds: no answer to anybody else's question."""
    return _AWAY_MORE


class ScoreExample(NamedTuple):
    """One judged list."""

    instruction: str
    responses: tuple[str, ...]
    scores: tuple[int, ...]


# From good to bad.
_BREAD = (
    "How can I keep bread fresh for longer?",
    (
        "Keep it in a closed bread box at room temperature, and freeze in slices what you will not "
        "eat within three days.",
        "Put it into a closed box.",
        "Bread goes stale when it lies open.",
        "Bread is a food that many people like.",
    ),
)
_NORWAY = (
    "What is the capital of Norway?",
    (
        "The capital of Norway is Oslo.",
        "I think that it is Oslo.",
        "It is a city in the south of the country.",
        "Norway is a country with many mountains.",
    ),
)


def score_examples(n_responses: int, labels: Sequence[int]) -> Iterator[ScoreExample]:
    """Two examples with so many responses; none where there are more than four.

    Args:
        n_responses: Responses of the call that they stand before.
        labels: Its scale, ascending.
    """
    if n_responses > len(_BREAD[1]):
        return
    for (instruction, graded), upwards in ((_BREAD, True), (_NORWAY, False)):
        # The best and the worst are always among them; one alone is good, the other bad.
        places = (
            [round(i * 3 / (n_responses - 1)) for i in range(n_responses)]
            if n_responses > 1
            else [0 if upwards else 3]
        )
        places = sorted(places, reverse=upwards)
        scores = tuple(labels[round((3 - place) / 3 * (len(labels) - 1))] for place in places)
        yield ScoreExample(instruction, tuple(graded[place] for place in places), scores)
