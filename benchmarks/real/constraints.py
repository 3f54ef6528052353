"""IFEval's constraints that plain code can check; the kinds that it cannot are left out.

Kinds and their arguments are those of IFEval (Zhou and others, 2023, arXiv 2311.07911); the checks
are our own and stricter in nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import dspy

from structq.optimize.metrics import kept
from structq.texts import content_words, n_words, sentences

__all__ = ["CHECKS", "keeps_constraints", "met"]

Check = Callable[[str, Mapping[str, Any]], float]


def _near(found: int, relation: str, wanted: int) -> float:
    """1 where it holds, and less the further it is off."""
    holds = found >= wanted if relation == "at least" else found < wanted
    if holds:
        return 1.0
    return max(0.0, 1 - abs(found - wanted) / max(1, wanted)) * 0.9


def _share(found: list[bool]) -> float:
    return sum(found) / len(found) if found else 1.0


def _count(text: str, word: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))


def _case(text: str, wanted: Callable[[str], bool]) -> float:
    letters = [letter for letter in text if letter.lower() != letter.upper()]
    return float(all(wanted(letter) for letter in letters))


def _is_json(text: str) -> float:
    body = re.sub(r"\A\s*```(?:json)?|```\s*\Z", "", text, flags=re.IGNORECASE)
    try:
        json.loads(body)
    except ValueError:
        return 0.0
    return 1.0


def _two(text: str) -> float:
    parts = [part.strip() for part in text.split("******")]
    return float(len([p for p in parts if p]) == 2 and len(set(parts)) == len(parts))


def _paragraphs(text: str) -> list[str]:
    return [p for p in re.split(r"\s*\*\*\*\s*|\n\s*\n", text) if p.strip()]


CHECKS: dict[str, Check] = {
    "punctuation:no_comma": lambda t, a: float("," not in t),
    "length_constraints:number_sentences": lambda t, a: _near(
        len(sentences(t)), a["relation"], a["num_sentences"]
    ),
    "length_constraints:number_words": lambda t, a: _near(
        n_words(t), a["relation"], a["num_words"]
    ),
    "length_constraints:number_paragraphs": lambda t, a: float(
        len(_paragraphs(t)) == a["num_paragraphs"]
    ),
    "keywords:forbidden_words": lambda t, a: _share(
        [_count(t, word) == 0 for word in a["forbidden_words"]]
    ),
    "keywords:existence": lambda t, a: _share([_count(t, word) > 0 for word in a["keywords"]]),
    "keywords:frequency": lambda t, a: _near(
        _count(t, a["keyword"]), a["relation"], a["frequency"]
    ),
    "keywords:letter_frequency": lambda t, a: _near(
        t.lower().count(a["letter"].lower()), a["let_relation"], a["let_frequency"]
    ),
    "detectable_format:number_highlighted_sections": lambda t, a: _near(
        len(re.findall(r"\*[^\n*]+\*", t)), "at least", a["num_highlights"]
    ),
    "detectable_format:number_bullet_lists": lambda t, a: float(
        len(re.findall(r"^\s*(?:[-+]|\*(?!\*))\s*\S", t, re.MULTILINE)) == a["num_bullets"]
    ),
    "detectable_format:title": lambda t, a: float(re.search(r"<<[^\n>]+>>", t) is not None),
    "detectable_format:json_format": lambda t, a: _is_json(t),
    "detectable_content:postscript": lambda t, a: float(
        re.search(
            r"p\.\s?p\.\s?s" if a["postscript_marker"] == "P.P.S" else r"p\.\s?s\.", t.lower()
        )
        is not None
    ),
    "detectable_content:number_placeholders": lambda t, a: _near(
        len(re.findall(r"\[[^\]]+\]", t)), "at least", a["num_placeholders"]
    ),
    "startend:quotation": lambda t, a: float(
        len(t.strip()) > 1 and t.strip()[0] == '"' == t.strip()[-1]
    ),
    "startend:end_checker": lambda t, a: float(
        t.strip().strip('"').lower().endswith(a["end_phrase"].strip().lower())
    ),
    "combination:repeat_prompt": lambda t, a: float(
        t.strip().lower().startswith(a["prompt_to_repeat"].strip().lower())
    ),
    "combination:two_responses": lambda t, a: _two(t),
    "change_case:english_lowercase": lambda t, a: _case(t, lambda c: c == c.lower()),
    "change_case:english_capital": lambda t, a: _case(t, lambda c: c == c.upper()),
    "change_case:capital_word_frequency": lambda t, a: _near(
        sum(len(w) > 1 and w.isupper() for w in re.findall(r"\w+", t)),
        a["capital_relation"],
        a["capital_frequency"],
    ),
}


def met(text: str, constraints: list[Mapping[str, Any]]) -> float | None:
    """How far the constraints that can be checked are met, from 0 to 1; ``None`` if none can."""
    known = [one for one in constraints if one["kind"] in CHECKS]
    if not known or not text.strip():
        return None if not known else 0.0
    found = [CHECKS[one["kind"]](text, one) for one in known]
    return sum(found) / len(found)


def keeps_constraints(example: Any, prediction: Any, *_: object) -> dspy.Prediction:
    """The instruction's constraints hold, what the original says is there, and something is new.

    Five content words that the original lacks are new enough: without, an original that is handed
    back would be best.
    """
    evolved = getattr(prediction, "evolved_response", None) or ""
    held = met(evolved, example["constraints"]) or 0.0
    share, lost = kept(example["response"], evolved, least=0.6)
    new = set(content_words(evolved)) - set(content_words(example["response"]))
    n_new = sum(len(word) > 3 for word in new)
    score = held**2 * share * (0.5 + 0.1 * min(5, n_new))
    return dspy.Prediction(
        score=score,
        feedback=f"It meets {held:.2f} of the instruction's limits, and has {n_new} new words "
        f"(5 are asked for).{lost}",
    )
