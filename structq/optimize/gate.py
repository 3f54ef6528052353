"""Which proposals may be tried at all: their author is an LM, and so is nobody's friend.

What is refused here costs no evaluation. It is the first of two fences around the scorer: a
template that gets past it and still makes responses praise themselves is caught by
``praises_itself`` on what it evolved.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from structq.errors import TemplateError
from structq.templates import check_mutation

from .sentences import split_sentences

__all__ = ["MAX_CHARS", "MAX_SENTENCE_CHARS", "Proposal", "check_proposal", "praises_itself"]

MAX_CHARS = 2_000
MAX_SENTENCE_CHARS = 400
MAX_SENTENCES = 24

_FIELD = re.compile(r"\{[{%#]|[}%#]\}|<(?:PROMPT|RESPONSE)>|<\|", re.IGNORECASE)

# Who or what decides how good a response is, and the marks that are given.
_SCORER = re.compile(
    r"\b(?:scor(?:e|es|ed|er|ers|ing)|grad(?:e|es|ed|er|ers|ing)|judg(?:e|es|ed|ing|ement|ment)s?"
    r"|rat(?:e|es|ed|er|ers|ing|ings)|rank(?:ed|er|ers|ing|ings|s)?|evaluat\w*|assess(?:or|ors|ment)"
    r"|reviewers?|examiners?|criteri\w+|rubric\w*|benchmark\w*|metric\w*|reward\w*|points?\s+out\s+of"
    r"|(?:full|top|high(?:est)?|maximum|max)\s+(?:marks?|points?|score\w*|quality|standard)"
    r"|\d+\s*(?:/|out\s+of)\s*\d+|\d+\s+points?|five\s+stars?|\d\s+stars?)\b",
    re.IGNORECASE,
)
# Words by which a text calls itself good.
_GLORY = (
    r"(?:perfect\w*|flawless\w*|outstanding|excellent|excellence|superb|exceptional\w*|impeccabl\w*"
    r"|masterful\w*|world[- ]class|unsurpass\w*|unbeatable|unmatched|faultless\w*|superior\w*"
    r"|best\s+(?:possible|answer|response|reply)|(?:could|can)\s*(?:not|n't)\s+be\s+improved"
    r"|(?:cannot|nothing\b.{0,40})\s*be\s+improved|highest\s+quality|ideal\s+(?:answer|response))"
)
_PERFECTION = re.compile(rf"\b{_GLORY}", re.IGNORECASE)
_SELF = r"(?:this|the|your|my|its|our)\s+(?:\w+\s+){0,2}?(?:answer|response|reply|text|explanation)"
_PRAISE_VERB = (
    r"(?:prais\w*|compliment\w*|congratulat\w*|commend\w*|boast\w*|brag\w*|extol\w*|laud\w*)"
)
_PRAISE_ASKED = re.compile(
    rf"\b{_PRAISE_VERB}|"
    rf"\b(?:say|state|note|mention|claim|assure|declare|stress|emphasi[sz]e|add|assert)\w*\b.{{0,60}}"
    rf"\b{_SELF}.{{0,40}}\b(?:is|was|as)\b.{{0,30}}"
    r"\b(?:complete|correct|accurate|great|good|best|thorough|comprehensive|reliable|verified)",
    re.IGNORECASE,
)
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}"
    r"\b(?:instruction|prompt|rule|above|previous|earlier|all)"
    r"|\bsystem\s+(?:prompt|message)|\b(?:developer|admin)\s+mode|\byou\s+are\s+now\b"
    r"|\bas\s+an?\s+(?:ai|language\s+model|llm)\b",
    re.IGNORECASE,
)
_CLAIM = re.compile(
    rf"\b(?:this|above|my|the)\s+(?:is\s+)?(?:\w+\s+){{0,3}}?(?:answer|response|reply|explanation)"
    rf".{{0,40}}\b(?:is|was|deserves?|merits?|earns?|represents?)\b.{{0,40}}\b(?:{_GLORY}|perfect|"
    r"complete\s+and\s+accurate|top\s+(?:score|marks?)|highest\s+(?:score|rating|marks?))"
    rf"|\bthis\s+is\s+(?:an?|the)\s+(?:\w+\s+(?:and\s+)?){{0,3}}?{_GLORY}"
    r"(?:\s+\w+){0,3}\s+(?:answer|response|reply)"
    r"|\b(?:deserves?|merits?|rate\s+(?:this|it)|score\s+(?:this|it))\b.{0,30}"
    r"\b(?:highest|top|maximum|full|best|perfect|\d+\s*(?:/|out\s+of)\s*\d+)",
    re.IGNORECASE,
)
_CHECKS = (
    (_FIELD, "holds template syntax"),
    (_SCORER, "speaks of who or what scores the response"),
    (_PERFECTION, "speaks of perfection"),
    (_PRAISE_ASKED, "asks the response to praise itself"),
    (_ORDERS, "gives orders beyond rewriting the response"),
)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What became of a proposed text."""

    sentences: tuple[str, ...] = ()
    """Its sentences, if it may be tried."""
    refusal: str | None = None
    """Why it may not."""


def check_proposal(text: object) -> Proposal:
    """The sentences of a proposed text, or why it is refused.

    Looks at no more than the first 2,000 characters, however long the text is.
    """
    if not isinstance(text, str):
        return Proposal(refusal=f"is no text but {type(text).__name__}")
    if len(text) > MAX_CHARS:
        return Proposal(refusal=f"is too long: {len(text)} characters (at most {MAX_CHARS})")
    if not text.strip():
        return Proposal(refusal="is empty")
    if fault := _fault(text):
        return Proposal(refusal=fault)
    sentences = split_sentences(text)
    if len(sentences) > MAX_SENTENCES:
        return Proposal(refusal=f"has {len(sentences)} sentences (at most {MAX_SENTENCES})")
    for sentence in sentences:
        if len(sentence) > MAX_SENTENCE_CHARS:
            found = f"{len(sentence)} characters (at most {MAX_SENTENCE_CHARS})"
            return Proposal(refusal=f"has a sentence that is too long: {found}")
    if not any(char.isalpha() for char in text):
        return Proposal(refusal="holds no word")
    return Proposal(sentences=tuple(sentences))


def check_template(text: str, name: str) -> str | None:
    """Why a template that was put together cannot be rendered, or ``None``."""
    try:
        check_mutation(text, name)
    except TemplateError as error:
        return str(error)
    return None


def praises_itself(evolved: str, original: str = "") -> bool:
    """Whether an evolved response tells its reader, or its judge, how good it is.

    What the original said already is not held against the template. Whoever runs trials asks this
    before the judge is asked: it saves the judge's calls.
    """
    return _claims(evolved) and not _claims(original)


def _claims(text: str) -> bool:
    # Praise stands at the ends; a long text is not read in full.
    ends = text if len(text) <= 4_000 else f"{text[:2_000]}\n{text[-2_000:]}"
    return _CLAIM.search(unicodedata.normalize("NFKC", ends)) is not None


def _fault(text: str) -> str | None:
    for char in text:
        kind = unicodedata.category(char)
        if kind in ("Cc", "Cf", "Co", "Cs", "Cn") and char not in "\n\t\r":
            return f"holds the control character U+{ord(char):04X}"
    # Look-alike letters and full-width forms are read as what they look like.
    plain = unicodedata.normalize("NFKC", text)
    plain = re.sub(r"\s+", " ", plain)
    for pattern, reason in _CHECKS:
        if found := pattern.search(plain):
            return f"{reason}: {found.group()[:60]!r}"
    return None
