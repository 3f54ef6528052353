"""What the simulated proposers can ask for: thirty wishes in three wordings, and how to read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

__all__ = [
    "WISHES",
    "Wish",
    "known_sentences",
    "other_wordings",
    "pieces",
    "read_exactly",
    "read_loosely",
    "write",
]

Wish = str
"""The name of what a sentence asks for."""

_TABLE = """
example / example, instance
    Give one example from daily life / Show it with an example /
    Let an everyday instance carry the point
step / next step, act on
    Name the next step / Say what to do next / Close on an action that the reader can take today
reason / reason, why, because
    Say why it holds / Give the reason behind each claim / Add the cause in one clause
number / number, figure, quantit
    Put in one number / Use a figure with its unit / State at least one quantity that matters here
limit / caveat, exception, limit
    Name one exception / Say when it does not hold / Mention the case in which this advice fails
term / define, definition
    Define each rare term / Explain technical terms at once /
    Give every special word a short meaning
contrast / contrast, compar, analogy
    Compare it with something known / Set it against its opposite /
    Draw a contrast that a child would see
steps / step by step, sequence
    Go step by step / Put the actions in sequence / Give the course of action as a sequence of moves
summary / summar, recap
    End with a summary / Close with a one line recap / Sum up the main point in the last sentence
mistake / mistake, pitfall
    Warn of a common mistake / Name the pitfall to avoid / Tell which mistake most people make first
novice / beginner, novice
    Write for a beginner / Assume a reader who is new to it /
    Take nothing for granted that a novice lacks
option / alternative, option
    Offer an alternative / Name a second option / Tell of another way that also leads there
cost / cost, how long
    Say what it costs / Mention how long it takes / Give the price in money or in time
test / verify, check whether
    Tell how to verify it / Give a quick test of the result /
    Say by what sign one knows that it worked
answer / direct answer, asked
    Answer in the first sentence / Put the direct answer first /
    Let the very first words settle what was asked
scene / scene, picture
    Paint a small scene / Let the reader picture it / Make the reader see a scene with one detail
past / history, origin
    Tell where it comes from / Add its history in a line / Mention the origin and how it has changed
brief / short sentence, concise
    Use short sentences / Keep each sentence under twelve words / Break long sentences into two
plain / plain word, jargon
    Prefer plain words / Avoid jargon / Take the everyday word where there is one
verb / active, passive
    Use active verbs / Avoid the passive voice / Say who does what in each sentence
warm / warm, friendly
    Sound friendly / Write in a warm voice / Let the tone be that of a kind neighbour
formal / formal, official
    Keep a formal tone / Write as an official letter would / Hold to the manner of an office
bullets / bullet, list
    Use bullet points / Turn it into a list / Lay the points out under each other
proverb / proverb, saying
    Quote a proverb / Work in an old saying / Bring in what people used to say of it
excite / exclamation, excit
    Sound excited / Use exclamation marks / Show great excitement throughout
hedge / perhaps, hedge
    Hedge each claim / Add perhaps where unsure / Make plain that all of it may be otherwise
repeat / repeat, twice
    Repeat the main point / Say the main thing twice / Come back to the opening thought at the end
joke / joke, humour, funny
    Add a joke / Use some humour / Make the reader smile with a light remark
ask / rhetorical
    Ask a rhetorical question / Open with a question to the reader /
    Put a question where the turn comes
praise / thank, polite
    Thank the reader / Be very polite / Begin by saying how good it is to be asked
"""

WISHES: dict[Wish, tuple[str, ...]] = {}
"""Each wish with its wordings, whole sentences."""

_STEMS: list[tuple[str, Wish]] = []
_EXACT: dict[str, Wish] = {}

for _entry in re.split(r"\n(?! )", _TABLE.strip()):
    _name, _stems, *_wordings = re.split(r"\s*/\s*|\n +", _entry)
    WISHES[_name] = tuple(f"{wording}." for wording in _wordings)
    _STEMS += [(stem, _name) for stem in _stems.split(", ")]
    _EXACT |= {wording.lower(): _name for wording in _wordings}

_BREAKS = re.compile(r"[.!?:;\n]+\s*(?:[-*\d]+\s+)?")


def pieces(text: str) -> list[str]:
    """The sentences and clauses of a text, in lower case and without their marks."""
    return [piece for part in _BREAKS.split(text.lower()) if (piece := part.strip(' "-*'))]


def read_exactly(text: str) -> list[Wish]:
    """What its known sentences ask for, in their order, twice if said twice; others ask nothing."""
    return [_EXACT[piece] for piece in pieces(text) if piece in _EXACT]


def read_loosely(text: str) -> list[Wish]:
    """As ``read_exactly``, but an unknown sentence asks for what one of its words stands for."""
    return [wish for piece in pieces(text) if (wish := _loosely(piece))]


@lru_cache(maxsize=100_000)
def _loosely(piece: str) -> Wish | None:
    if piece in _EXACT:
        return _EXACT[piece]
    return next((wish for stem, wish in _STEMS if stem in piece), None)


def other_wordings(sentence: str) -> tuple[str, ...]:
    """All wordings of what a known sentence asks for."""
    return WISHES[_EXACT[sentence.lower().rstrip(".")]]


def known_sentences(text: str) -> list[str]:
    """The known sentences in a text, each once, as they are written in the table."""
    found = [piece for piece in pieces(text) if piece in _EXACT]
    return [f"{piece[0].upper()}{piece[1:]}." for piece in dict.fromkeys(found)]


def write(lead: str, sentences: Iterable[str]) -> str:
    """A template: its lead, and what it asks for behind it."""
    return " ".join([lead, *sentences])
