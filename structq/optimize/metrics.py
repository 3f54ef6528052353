"""What an evolution is worth, read from the two texts alone: metrics that need no judge.

Each is a function of (example, prediction), as DSPy's optimizers take them, from 0 to 1, and says
why. A text that is empty, cut off, unrelated or says itself again gets little from any of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import dspy

from structq.errors import InputError, shorten
from structq.modules.preserve import blocks_of
from structq.texts import content_words, n_words, repeated_from, sentences, whole_sentences

__all__ = ["NAMED", "adds", "concise", "kept", "metric_named", "readable"]

_COMMON = frozenset(
    re.findall(
        r"\w+",
        "about after also because been before being both could does each even from have having "
        "here into just like made make many more most much only other over said same should some "
        "such than that their them then there these they this those thus very were what when "
        "where which while will with would your",
    )
)
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*")
_LIST_NUMBER = re.compile(r"^[ \t>]*\(?\d{1,3}[.)](?=\s)", re.MULTILINE)
_NAME = re.compile(r"(?<=[\w,;)] )[^\W\d_a-z]\w+(?:[ -][^\W\d_a-z]\w+)*")
_VOWELS = re.compile(r"[aeiouy]+")
_STEM = 6
"""Letters by which two forms of a word are the same."""
_LEAST_WORDS, _LEAST_NEW = 5, 3
"""Words of a sentence that counts, and content words that it alone has."""


def adds(example: Any, prediction: Any, *_: object) -> dspy.Prediction:
    """Keeps numbers, names, code and content of the original, and adds two sentences of content.

    A sentence counts if it speaks of the same matter, ends, and at least half of its content words,
    three or more, stand in none before it. A quarter is for what is kept alone.
    """
    original, evolved = _texts(example, prediction)
    share, lost = kept(original, evolved, least=0.6)
    n_new = _n_new_sentences(f"{example['instruction']}\n{original}", evolved, original)
    score = share * _said_once(evolved, original) * (1 + 3 * min(1.0, n_new / 2)) / 4
    return _told(score, f"It adds {n_new:.1f} new sentences of content (2 are asked for).{lost}")


def concise(example: Any, prediction: Any, *_: object) -> dspy.Prediction:
    """Keeps numbers, names, code and content, in whole sentences of up to 40 % fewer words.

    The original's own length is worth a quarter, and more words are worth less.
    """
    original, evolved = _texts(example, prediction)
    share, lost = kept(original, evolved, least=0.8)
    n_old, n_new = max(1, n_words(original)), max(1, n_words(evolved))
    saved = min(1.0, max(0.0, (1 - n_new / n_old) / 0.4))
    # A list of key words is short too: sentences have small words between them.
    fluent = min(1.0, _small_words(evolved) / max(0.01, 0.7 * _small_words(original)))
    score = share * _said_once(evolved, original) * fluent * (1 + 3 * saved) / 4
    score *= min(1.0, n_old / n_new)
    return _told(score, f"It has {n_new} words, the original {n_old}.{lost}")


def readable(example: Any, prediction: Any, *_: object, grade: float = 8) -> dspy.Prediction:
    """Can be read after so many years of school, and says what the original says; for English.

    Each year above takes a tenth off, and so do content that is lost and a length below 80 % or
    above 200 % of the original's. Sentences on other matters do not count as easy ones.

    Source: grade level of Kincaid, Fishburne, Rogers and Chissom, 1975, Navy report 8-75.
    """
    original, evolved = _texts(example, prediction)
    share, lost = kept(original, evolved, least=0.5)
    found = _grade(f"{example['instruction']}\n{original}", evolved)
    n_old, n_new = max(10, n_words(original)), max(1, n_words(evolved))
    length = min(1.0, n_new / (0.8 * n_old), 2 * n_old / n_new)
    ease = min(1.0, max(0.0, 1 - (found - grade) / 10))
    score = share * _said_once(evolved, original) * length * ease
    return _told(score, f"It reads like school year {found:.1f} ({grade:g} is asked for).{lost}")


NAMED: dict[str, Callable[..., dspy.Prediction]] = {
    "adds": adds,
    "concise": concise,
    "readable": readable,
}
"""By the names of the command line."""


def metric_named(text: str) -> Callable[..., dspy.Prediction]:
    """The metric of a name; ``readable:6`` is for a reader of six years of school.

    Raises:
        InputError: There is none.
    """
    name, _, grade = text.partition(":")
    if name == "readable" and grade:
        if not re.fullmatch(r"\d{1,2}(\.\d)?", grade):
            message = f"metric: {shorten(text)} (years of school must be a number, as readable:6)"
            raise InputError(message, field="metric")
        return partial(readable, grade=float(grade))
    if text not in NAMED:
        allowed = ", ".join(("gain", *NAMED, "readable:YEARS", "FILE.py:FUNCTION"))
        raise InputError(f"metric: there is no {shorten(text)} ({allowed})", field="metric")
    return NAMED[text]


def _texts(example: Any, prediction: Any) -> tuple[str, str]:
    evolved = getattr(prediction, "evolved_response", None)
    return str(example["response"]), evolved if isinstance(evolved, str) else ""


def _told(score: float, feedback: str) -> dspy.Prediction:
    return dspy.Prediction(score=round(score, 6), feedback=feedback)


def kept(original: str, evolved: str, *, least: float) -> tuple[float, str]:
    """How much of the original is there, from 0 to 1, and what is not, in words.

    Args:
        original: Its blocks, numbers and names count alike, its content words together.
        evolved: Where they are looked for.
        least: Share of the content words that counts as all: the rest may be said otherwise.
    """
    if not evolved.strip():
        return 0.0, " It is empty."
    things = list(_things(original))
    here = {*_things(evolved), *content_words(evolved)}
    lost = [x for x in things if not (x in here or x.casefold() in here or _stands_in(x, evolved))]
    wanted, found = set(_content(original)), set(_content(evolved))
    wanted = wanted or set(content_words(original))
    found |= set(content_words(evolved))
    recall = min(1.0, len(wanted & found) / (least * len(wanted))) if wanted else 1.0
    share = 1 - len(lost) / len(things) if things else 1.0
    told = f" It lost: {', '.join(shorten(x, 40) for x in lost[:5])}." if lost else ""
    told += f" It keeps {len(wanted & found)} of {len(wanted)} content words." if recall < 1 else ""
    return share * recall, told


def _things(text: str) -> Iterator[str]:
    """Code and other blocks, numbers, and names in the middle of a sentence; each once."""
    blocks = blocks_of(text)
    rest = text
    for block in blocks:
        rest = rest.replace(block, "\n")
    numbers = (m[0].replace(",", "") for m in _NUMBER.finditer(_LIST_NUMBER.sub("", rest)))
    names = (found[0] for found in _NAME.finditer(rest) if found[0][0].isupper())
    yield from dict.fromkeys([*(block.strip() for block in blocks), *numbers, *names])


def _stands_in(thing: str, text: str) -> bool:
    """Whether a name or a block is there; a number is one only by itself."""
    return not thing[:1].isdigit() and thing in text


def _content(text: str) -> Iterator[str]:
    """Stems of the words that say something."""
    for word in content_words(text):
        says = len(word) > 3 or not word.isascii()
        if says and word not in _COMMON and not any(sign.isdigit() for sign in word):
            yield word[:_STEM]


def _small_words(text: str) -> float:
    words = list(content_words(text))
    return sum(len(w) < 4 or w in _COMMON for w in words) / max(1, len(words))


def _said_once(evolved: str, original: str) -> float:
    """The share of a text before it says itself again, squared: loops are worth little."""
    start = repeated_from(evolved, original)
    return 1.0 if start is None else (start / len(evolved)) ** 2


def _n_new_sentences(topic: str, evolved: str, original: str) -> float:
    known, matter, n_new = set(_content(topic)), set(_content(topic)), 0.0
    whole = whole_sentences(evolved)
    start = repeated_from(evolved, original)
    blocks = "\n".join(blocks_of(evolved))
    for first, last in sentences(evolved):
        said = evolved[first:last]
        if last > whole or (start is not None and first >= start) or said in blocks:
            continue
        words = set(_content(said))
        new = words - known
        if n_words(said) >= _LEAST_WORDS and 2 * len(new) >= len(words) > len(new):
            n_new += min(1.0, len(new) / _LEAST_NEW) if words & matter else 0.0
            matter |= words if words & matter else set()
        known |= words
    return n_new


def _grade(topic: str, text: str) -> float:
    """Years of school that a text needs, without its sentences on other matters; many if none."""
    matter = set(_content(topic))
    said = [text[a:b] for a, b in sentences(text)]
    on_topic = [s for s in said if matter.intersection(_content(s)) or not matter]
    words = [word for s in on_topic for word in content_words(s)]
    if len(words) < _LEAST_WORDS:
        return 99.0
    # Full stops behind every few words make nothing easier.
    n_sentences = min(len(on_topic), max(1.0, len(words) / _LEAST_WORDS))
    return 0.39 * len(words) / n_sentences + 11.8 * _n_syllables(words) / len(words) - 15.59


def _n_syllables(words: list[str]) -> int:
    silent = (word.endswith("e") and not word.endswith(("le", "ee")) for word in words)
    return sum(
        max(1, len(_VOWELS.findall(word)) - mute) for word, mute in zip(words, silent, strict=True)
    )
