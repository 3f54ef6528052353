"""Random words, topics and texts: what makes the model copy instead of recite."""

from __future__ import annotations

import re

import numpy as np

from .topics import COMMON_WORDS

__all__ = ["random_text", "random_topic", "scrambled"]

_ONSETS = (
    *"bcdfghjklmnprstvwz",
    *(a + b for a, b in zip("bccdfgpssstt", "rhlrlrlhltrh", strict=True)),
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ee", "oa", "ou")
_CODAS = ["", "", "n", "r", "s", "t", "l", "m", "nd", "st", "ck", "sh"]
_OTHER = (
    "äöüßéèñçøåœşıłžабвгдежзиклмнопрстуэяαβγδλπσωאבגدסערحمبا"
    "你好世界的一是在不了有和人这中大日本語한국어हिन्दी"
)
_SYMBOLS = [
    "->",
    "==",
    "!=",
    "{}",
    "[]",
    "()",
    "%",
    "$",
    "#",
    "*",
    "**",
    "_",
    "`",
    "~",
    "@",
    "|",
    "=>",
    "\\",
    "/",
    "<b>",
    "</b>",
    "&",
    "+",
    "=",
    "😀",
    "🚀",
    "✅",
    "…",
    "–",
    "“",
    "”",
    "€",
    "°",
]
_ENDS = [".", ".", ".", ".", "!", "?", ":", ";"]


def _one(rng: np.random.Generator, items: list[str] | tuple[str, ...] | str) -> str:
    return items[int(rng.integers(len(items)))]


def _pseudo_word(rng: np.random.Generator) -> str:
    n = int(rng.integers(1, 4))
    return "".join(_one(rng, _ONSETS) + _one(rng, _VOWELS) + _one(rng, _CODAS) for _ in range(n))


def _odd_word(rng: np.random.Generator) -> str:
    kind = int(rng.integers(5))
    if kind == 0:
        return str(int(rng.integers(10 ** int(rng.integers(1, 7)))))
    if kind == 1:
        return "".join(_one(rng, _OTHER) for _ in range(int(rng.integers(2, 7))))
    if kind == 2:
        return _one(rng, _SYMBOLS)
    if kind == 3:
        return _pseudo_word(rng) + "_" + _pseudo_word(rng) + _one(rng, ["", "()", "[0]", ".x"])
    return '"' + _one(rng, COMMON_WORDS) + '"'


def _word(rng: np.random.Generator, odd: float, pseudo: float, favourites: list[str]) -> str:
    draw = rng.random()
    if draw < odd:
        return _odd_word(rng)
    if draw < odd + pseudo:
        return _pseudo_word(rng)
    if favourites and rng.random() < 0.7:  # the first ones most often, as in real text
        return favourites[int(len(favourites) * rng.random() ** 2.5)]
    word = _one(rng, COMMON_WORDS)
    return word.capitalize() if rng.random() < 0.1 else word


def _favourites(rng: np.random.Generator) -> list[str]:
    """Words that one text repeats, or none: copying must not get by with the last word alone."""
    if rng.random() < 0.3:
        return []
    n = int(rng.integers(6, 50))
    words = [_word(rng, 0.03, 0.2, []) for _ in range(n)]
    return [" ".join(words[i : i + int(rng.choice([1, 1, 1, 2, 4]))]) for i in range(n)]


def random_topic(rng: np.random.Generator) -> str:
    """A noun phrase of one to three random words, some of them invented."""
    n = int(rng.choice([1, 2, 3], p=[0.2, 0.6, 0.2]))
    words = " ".join(_word(rng, 0.0, 0.35, []).lower() for _ in range(n))
    return ("a " if rng.random() < 0.25 else "") + words


def _sentence(rng: np.random.Generator, odd: float, pseudo: float, favourites: list[str]) -> str:
    words = [_word(rng, odd, pseudo, favourites) for _ in range(int(rng.integers(2, 18)))]
    text = words[0][:1].upper() + words[0][1:]
    for word in words[1:]:
        text += ("," if rng.random() < 0.08 else "") + " " + word
    return text + _one(rng, _ENDS)


def _lines(rng: np.random.Generator, odd: float, pseudo: float, favourites: list[str]) -> str:
    style = int(rng.integers(4))
    n = int(rng.integers(2, 7))
    rows = [_sentence(rng, odd, pseudo, favourites) for _ in range(n)]
    if style == 0:
        return "\n".join(f"- {row}" for row in rows)
    if style == 1:
        return "\n".join(f"{i}. {row}" for i, row in enumerate(rows, 1))
    if style == 2:
        indent = [" " * 4 * int(rng.integers(3)) for _ in rows]
        code = "\n".join(
            pad + row.rstrip(".!?").lower() for pad, row in zip(indent, rows, strict=True)
        )
        return f"```{_one(rng, ['', 'python', 'js'])}\n{code}\n```"
    cells = [
        "| " + " | ".join(_word(rng, odd, pseudo, favourites) for _ in range(3)) + " |"
        for _ in range(n)
    ]
    return "\n".join(cells)


def random_text(rng: np.random.Generator, scale: int = 1) -> str:
    """Text of 1 to about 10 times ``scale`` sentences or blocks, of words and odd characters."""
    odd, pseudo = float(rng.choice([0.02, 0.1, 0.3])), float(rng.choice([0.02, 0.15, 0.5]))
    favourites = _favourites(rng)
    text = ""
    for _ in range(1 + scale * int(rng.integers(1, 4)) * int(rng.integers(0, 4))):
        if rng.random() < 0.2:
            text += ("\n\n" if text else "") + _lines(rng, odd, pseudo, favourites)
            continue
        gap = _one(rng, [" ", " ", " ", " ", "\n", "\n\n"]) if "```" not in text[-4:] else "\n\n"
        text += (gap if text else "") + _sentence(rng, odd, pseudo, favourites)
    return text


def scrambled(rng: np.random.Generator, text: str, share: float) -> str:
    """The text with about this share of its words replaced: nobody can know how it goes on."""

    def other(found: re.Match[str]) -> str:
        if rng.random() >= share:
            return found[0]
        word = _word(rng, 0.0, 0.3, [])
        return word.capitalize() if found[0][0].isupper() else word.lower()

    return re.sub(r"[A-Za-z]+", other, text)
