"""Rows of four topics, told apart by their instructions."""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np

from .rules import TOPICS

__all__ = ["make_rows", "topic_of"]

_THINGS = {
    "cooking": [
        "bread",
        "soup",
        "rice",
        "beans",
        "pasta",
        "eggs",
        "fish",
        "stew",
        "pancakes",
        "dumplings",
    ],
    "health": [
        "sleep",
        "posture",
        "walking",
        "breathing",
        "stretching",
        "diet",
        "teeth",
        "eyes",
        "knees",
        "stress",
    ],
    "computers": [
        "backups",
        "passwords",
        "printers",
        "spreadsheets",
        "photos",
        "mail",
        "folders",
        "screens",
        "wifi",
        "tabs",
    ],
    "money": [
        "savings",
        "rent",
        "taxes",
        "loans",
        "insurance",
        "groceries",
        "pensions",
        "bills",
        "fees",
        "wages",
    ],
}
_ASKED = (
    "How do I get better at {thing} {when}?",
    "What should I know about {thing} {when}?",
    "Which rule of thumb helps with {thing} {when}?",
    "Why does {thing} so often go wrong {when}?",
)
_WHEN = (
    "when in a hurry",
    "with little money",
    "in winter",
    "for the first time",
    "when tired",
    "with two small children",
    "on a journey",
    "in an old house",
    "after a long break",
    "at work",
)
_SAID = (
    "With {thing} it pays to begin early and to keep an eye on what changes along the way.",
    "Most people find that {thing} gets easier once the same order is kept every single time.",
    "There is no secret to {thing}, but a calm start and a clean place make much of it simpler.",
    "What matters in {thing} is to do a little of it often, and to stop before it gets tedious.",
)


@lru_cache(maxsize=8)
def make_rows(seed: int) -> tuple[list[dict[str, str]], ...]:
    """Rows to train on (100), to decide on (100), and held out (200); a quarter of each topic."""
    random = np.random.default_rng([seed, 7])
    splits: tuple[list[dict[str, str]], ...] = ([], [], [])
    for topic in TOPICS:
        grid = list(product(_THINGS[topic], _ASKED, _WHEN))
        order = random.permutation(len(grid))[:100]
        for place, k in enumerate(order):
            thing, asked, when = grid[int(k)]
            row = {
                "instruction": f"A question on {topic}: {asked.format(thing=thing, when=when)}",
                "response": _SAID[int(random.integers(len(_SAID)))].format(thing=thing),
            }
            splits[0 if place < 25 else 1 if place < 50 else 2].append(row)
    for split in splits:
        random.shuffle(split)  # type: ignore[arg-type]
    return splits


def topic_of(instruction: str) -> int | None:
    """The place of its topic in ``TOPICS``; ``None`` for a text that is no row's instruction."""
    for place, topic in enumerate(TOPICS):
        if instruction.startswith(f"A question on {topic}:"):
            return place
    return None
