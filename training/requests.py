"""Mutation texts put together from parts, so that wording is learnt and not whole sentences.

Forty fixed phrasings a mutation are soon known by heart. Here a request is a frame around one or
two wanted things, between sentences that ask for nothing, with some of its words left out.
"""

from __future__ import annotations

import numpy as np

__all__ = ["drop_words", "made_request"]

_WANTED: dict[str, tuple[str, ...]] = {
    "action": (
        "a next step",
        "one thing to do",
        "practical advice",
        "a concrete action",
        "something to try today",
        "a first step to take",
        "a tip that can be acted on",
        "an order that the reader can follow",
        "advice on what to do now",
        "a small task for the reader",
    ),
    "focus": (
        "a link back to the question",
        "a tie to what was asked",
        "a sentence on how this answers the question",
        "a return to the question",
        "a reminder of what the instruction asked for",
        "the connection with the request",
        "a line that says what was asked",
        "a reference to the question itself",
        "a closing line on the point of the question",
    ),
    "reason": (
        "the reason",
        "the cause",
        "why this holds",
        "the grounds for it",
        "an explanation of why",
        "what lies behind it",
        "the underlying cause",
        "a because",
        "the motive",
        "what makes it so",
    ),
    "analogy": (
        "an analogy",
        "a comparison",
        "a metaphor",
        "an image from another field",
        "a simile",
        "something that it resembles",
        "a picture of what it is like",
        "a figure of speech",
        "a vivid comparison",
        "something similar from daily life",
    ),
    "example": (
        "an example",
        "a concrete case",
        "one instance",
        "an illustration",
        "a specific case",
        "a real case",
        "a case with a name and a number",
        "one example from practice",
        "a short illustration",
        "somebody who does it",
    ),
}
_FRAMES = (
    "Add {x}.",
    "Add {x} to the response.",
    "Please add {x} at the end.",
    "Rewrite the response with {x}.",
    "Give {x}.",
    "The response lacks {x}; supply it.",
    "End with {x}.",
    "Include {x}, please.",
    "What is missing is {x}.",
    "It needs {x}.",
    "Keep the text and add {x}.",
    "The reader wants {x}.",
    "Put {x} after the text.",
    "Finish on {x}.",
    "I would like {x}.",
    "Show {x}.",
    "Make it better by giving {x}.",
    "Extend the answer by {x}.",
    "Could you provide {x}?",
    "After the answer there should be {x}.",
    "Do not change a word, then write {x}.",
    "Improve this answer: {x} would help.",
    "Mention {x}.",
    "Supply {x} in one sentence.",
)


def _one(rng: np.random.Generator, items: tuple[str, ...]) -> str:
    return items[int(rng.integers(len(items)))]


def made_request(rng: np.random.Generator, kinds: tuple[str, ...]) -> str:
    """A new text that asks for these kinds of part, one sentence for all or one for each."""
    wanted = [_one(rng, _WANTED[kind]) for kind in rng.permutation(list(kinds))]
    if rng.random() < 0.5:
        return _one(rng, _FRAMES).format(x=" and ".join(wanted))
    return " ".join(_one(rng, _FRAMES).format(x=x) for x in wanted)


def drop_words(rng: np.random.Generator, text: str, share: float) -> str:
    """The text without about this share of its words; never without all."""
    words = text.split(" ")
    kept = [word for word in words if rng.random() >= share]
    return " ".join(kept) if len(kept) >= 2 else text
