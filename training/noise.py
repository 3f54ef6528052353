"""Random words, topics and texts: what makes the model copy instead of recite."""

from __future__ import annotations

import re
import string

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
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation * 2
_INNER = (*COMMON_WORDS, *("response", "instruction", "1", "2", "3", "Your", "Name", "the") * 40)
_ENDS = [".", ".", ".", ".", "!", "?", ":", ";"]


def _one(rng: np.random.Generator, items: list[str] | tuple[str, ...] | str) -> str:
    return items[int(rng.integers(len(items)))]


class Words:
    """The words of one text: how many are odd or invented, and which ones it repeats.

    Args:
        rng: Source of every choice.
        odd: Share of numbers, symbols, names, letters and other scripts.
        invented: Share of words that nobody has seen.
        fragments: Parts of words, each as likely as any other; invented words are also put together
            from them, so that every token of a vocabulary is copied now and then.
        favourites: Words that the text repeats.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        odd: float = 0.0,
        invented: float = 0.3,
        fragments: tuple[str, ...] = (),
        favourites: tuple[str, ...] = (),
    ) -> None:
        self.rng, self.odd, self.invented = rng, odd, invented
        self.fragments, self.favourites = fragments, favourites

    def draw(self) -> str:
        """One word."""
        rng, draw = self.rng, self.rng.random()
        if draw < self.odd:
            return _odd_word(rng)
        if draw < self.odd + self.invented:
            return self._invented()
        if self.favourites and rng.random() < 0.7:  # the first ones most often, as in real text
            return self.favourites[int(len(self.favourites) * rng.random() ** 2.5)]
        word = _one(rng, COMMON_WORDS)
        return word.capitalize() if rng.random() < 0.1 else word

    def _invented(self) -> str:
        if not self.fragments or self.rng.random() < 0.25:
            return _pseudo_word(self.rng)
        n = int(self.rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
        return "".join(_one(self.rng, self.fragments) for _ in range(n))


def _pseudo_word(rng: np.random.Generator) -> str:
    n = int(rng.integers(1, 4))
    return "".join(_one(rng, _ONSETS) + _one(rng, _VOWELS) + _one(rng, _CODAS) for _ in range(n))


def _odd_word(rng: np.random.Generator) -> str:
    kind = int(rng.integers(9))
    if kind == 0:
        return str(int(rng.integers(10 ** int(rng.integers(1, 7)))))
    if kind == 1:
        return "".join(_one(rng, _OTHER) for _ in range(int(rng.integers(2, 7))))
    if kind == 2:
        return _one(rng, _SYMBOLS)
    if kind == 3:
        return _pseudo_word(rng) + "_" + _pseudo_word(rng) + _one(rng, ["", "()", "[0]", ".x"])
    if kind == 4:
        return _one(rng, string.ascii_letters).upper() + _one(rng, ["", "", ".", ")", ":"])
    if kind == 5:
        return "".join(_one(rng, string.ascii_uppercase) for _ in range(int(rng.integers(2, 5))))
    if kind == 6:
        return "".join(_one(rng, _PRINTABLE) for _ in range(int(rng.integers(1, 7))))
    if kind == 7:  # such as the prompt's own marks, which end nothing inside a text
        inner = " ".join(_one(rng, _INNER) for _ in range(int(rng.integers(1, 4))))
        return _one(rng, ["[", "[", "[/", "(", "{", "<"]) + inner + _one(rng, ["]", "]", ")", "}"])
    return '"' + _one(rng, COMMON_WORDS) + '"'


def _favourites(rng: np.random.Generator, fragments: tuple[str, ...]) -> tuple[str, ...]:
    """Words that one text repeats, or none: copying must not get by with the last word alone."""
    if rng.random() < 0.3:
        return ()
    n, source = int(rng.integers(6, 50)), Words(rng, 0.03, 0.2, fragments)
    words = [source.draw() for _ in range(n)]
    return tuple(" ".join(words[i : i + int(rng.choice([1, 1, 1, 2, 4]))]) for i in range(n))


def random_topic(rng: np.random.Generator) -> str:
    """A noun phrase of one to three random words, some of them invented."""
    n = int(rng.choice([1, 2, 3], p=[0.2, 0.6, 0.2]))
    source = Words(rng, 0.0, 0.35)
    words = " ".join(source.draw().lower() for _ in range(n))
    return ("a " if rng.random() < 0.25 else "") + words


def _sentence(words: Words) -> str:
    rng = words.rng
    chosen = [words.draw() for _ in range(int(rng.integers(2, 18)))]
    text = chosen[0][:1].upper() + chosen[0][1:]
    for word in chosen[1:]:
        text += ("," if rng.random() < 0.08 else "") + " " + word
    return text + _one(rng, _ENDS)


def _dashes(words: Words, n: int) -> str:
    return "\n".join(f"- {_sentence(words)}" for _ in range(n))


def _numbers(words: Words, n: int) -> str:
    mark = _one(words.rng, [".", ")", ":"])
    return "\n".join(f"{i}{mark} {_sentence(words)}" for i in range(1, n + 1))


def _code(words: Words, n: int) -> str:
    rows = [" " * 4 * int(words.rng.integers(3)) + _sentence(words) for _ in range(n)]
    text = "\n".join(row.rstrip(".!?").lower() for row in rows)
    return f"```{_one(words.rng, ['', 'python', 'js'])}\n{text}\n```"


def _cells(words: Words, n: int) -> str:
    return "\n".join("| " + " | ".join(words.draw() for _ in range(3)) + " |" for _ in range(n))


def _short_lines(words: Words, n: int) -> str:
    head = _one(words.rng, ["", "", "- ", "* ", "# "])
    draws = [int(words.rng.integers(1, 4)) for _ in range(2 * n)]
    return "\n".join(head + " ".join(words.draw() for _ in range(k)) for k in draws)


def _speakers(words: Words, n: int) -> str:
    names = [words.draw().capitalize() for _ in range(2)]
    return "\n".join(f"{names[i % 2]}: {_sentence(words)}" for i in range(n))


def _sums(words: Words, n: int) -> str:
    rng = words.rng

    def term() -> str:
        number = str(int(rng.integers(10 ** int(rng.integers(1, 5)))))
        return _one(rng, [number, number, _one(rng, "abcnxyzABCXY"), f"({number})"])

    rows = [[term() for _ in range(int(rng.integers(2, 5)))] for _ in range(n)]
    signs = [" + ", " - ", "+", " * ", "/", " x ", ", ", " < "]
    return "\n".join(_one(rng, signs).join(row) + _one(rng, [" = ", "="]) + term() for row in rows)


def _alike(words: Words, n: int) -> str:
    """Lines that differ in few words, perhaps lettered: where one is can only be told from afar."""
    rng = words.rng
    line = [words.draw() for _ in range(int(rng.integers(2, 9)))]
    rows = []
    for i in range(n):
        row = [words.draw() if rng.random() < 0.3 else word for word in line]
        rows.append(("ABCDEFG"[i] + _one(rng, [". ", ") "]) if n % 2 else "") + " ".join(row))
    return "\n".join(rows)


_MIXED = [" ", " ", " ", " ", "\n", "\n\n"]
_GAPS = (_MIXED, _MIXED, [" "], ["\n"], ["\n\n"])
_BLOCKS = (_dashes, _numbers, _code, _cells, _short_lines, _speakers, _sums, _alike, _alike)


def random_text(rng: np.random.Generator, scale: int = 1, fragments: tuple[str, ...] = ()) -> str:
    """Text of 1 to about 10 times ``scale`` sentences or blocks, of words and odd characters."""
    words = Words(
        rng,
        odd=float(rng.choice([0.02, 0.1, 0.3])),
        invented=float(rng.choice([0.05, 0.2, 0.6])),
        fragments=fragments,
        favourites=_favourites(rng, fragments),
    )
    gaps = _GAPS[int(rng.integers(len(_GAPS)))]
    text = ""
    for _ in range(1 + scale * int(rng.integers(1, 4)) * int(rng.integers(0, 4))):
        if rng.random() < 0.2:
            block = _BLOCKS[int(rng.integers(len(_BLOCKS)))]
            text += ("\n\n" if text else "") + block(words, int(rng.integers(2, 7)))
            continue
        gap = _one(rng, gaps) if "```" not in text[-4:] else "\n\n"
        text += (gap if text else "") + _sentence(words)
    return text


def scrambled(
    rng: np.random.Generator, text: str, share: float, fragments: tuple[str, ...] = ()
) -> str:
    """The text with about this share of its words replaced: nobody can know how it goes on."""
    words = Words(rng, 0.0, 0.3, fragments)

    def other(found: re.Match[str]) -> str:
        if rng.random() >= share:
            return found[0]
        word = words.draw()
        return word.capitalize() if found[0][0].isupper() else word.lower()

    return re.sub(r"[A-Za-z]+", other, text)
