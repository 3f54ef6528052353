"""Whether an evolved response is one: no refusal, no echo of the prompt, not the same again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from structq.errors import shorten

from .preserve import missing_literal

__all__ = ["EvolveCheck", "is_refusal"]

# A refusal is short; a long answer that begins like one goes on to say something.
_MAX_REFUSAL = 400
_HELP = (
    r"(?:help(?!\s+(?:but|it|\w+ing)\b)|assist|comply|fulfil|provide|rewrite|answer|continue|"
    r"create|generate|write|respond|produce|do (?:that|this|so)|complete|process|engage|support)"
)
_CANNOT = (
    r"(?:i|we)(?: can(?:no|['’]| no)t| (?:am|are) (?:not able|unable) to|"
    r"['’](?:m|re) (?:not able|unable) to| won['’]t| will not| must decline to)(?: be able to)?"
)
_SORRY = (
    r"(?:i['’]m(?: \w+)? sorry|i am(?: \w+)? sorry|sorry|(?:my )?apologies|i apologi[sz]e|"
    r"unfortunately|as an ai(?: (?:language )?(?:model|assistant))?)\W+(?:(?:but|however)\W+)?"
)
_ASKED = r"(?:you )?(?:with |to )?(?:this|that|your|such|the request)"
# Said with regret, it may be about anything; without, it must be about what was asked.
_REFUSAL = re.compile(
    rf"\W*(?:(?:{_SORRY}){{1,3}}{_CANNOT}(?: {_HELP}\b|\W*$)|{_CANNOT} {_HELP} {_ASKED}\b)",
    re.IGNORECASE,
)
_ECHOES = (
    re.compile(r"\[/?(?:instruction|response)[a-z]{0,2}\]"),
    re.compile(
        r"#+\s?(?:the )?(?:given|rewritten|created|evolved|original|new)\s"
        r"(?:prompt|response|instruction)\s?#",
        re.IGNORECASE,
    ),
    re.compile(r'\{\s*\\?"evolved_response\\?"\s*:'),
    re.compile(r"Reply with JSON in this form", re.IGNORECASE),
)
# A shorter line of a template may stand in a good answer by chance.
_MIN_METHOD = 30


@dataclass(frozen=True, kw_only=True)
class EvolveCheck:
    """What one step asked and had, to judge its answer by."""

    instruction: str
    """The instruction of the row."""
    response: str
    """The response that the step evolves."""
    template: str
    """The mutation template of the step."""
    literals: Sequence[str] = ()
    """What the evolved response must hold."""
    anchored: bool = False
    """It must begin with the first of them."""
    max_added_words: int | None = None
    """How many words longer than the response it may be."""
    judge: bool = True
    """Look for refusals, echoes and no change too."""

    def fault(self, evolved: str) -> str | None:
        """What is wrong with the evolved response, in words for the LM and the user, or ``None``.

        Args:
            evolved: Text that is not blank.
        """
        found = self._lost(evolved) or self._too_long(evolved)
        if found or not self.judge:
            return found
        return self._unchanged(evolved) or self._refused(evolved) or self._echoed(evolved)

    def fields(self, outputs: Mapping[str, Any]) -> str | None:
        """As ``fault``, for the output fields of an answer."""
        return self.fault(outputs["evolved_response"])

    def _lost(self, evolved: str) -> str | None:
        literal = missing_literal(evolved, self.literals, anchored=self.anchored)
        if literal is None:
            return None
        what = "begin with the whole response" if self.anchored else "keep this block verbatim"
        return f"the evolved response does not {what}: {shorten(literal, 120)}"

    def _too_long(self, evolved: str) -> str | None:
        n_added = len(evolved.split()) - len(self.response.split())
        if self.max_added_words is None or n_added <= self.max_added_words:
            return None
        return (
            f"the evolved response has {n_added} words more than the response "
            f"(at most {self.max_added_words} are allowed)"
        )

    def _unchanged(self, evolved: str) -> str | None:
        same = evolved.split() == self.response.split()
        return "the evolved response is the response unchanged" if same else None

    def _refused(self, evolved: str) -> str | None:
        if not is_refusal(evolved) or _REFUSAL.match(self.response):
            return None
        return "the evolved response is a refusal"

    def _echoed(self, evolved: str) -> str | None:
        known = f"{self.instruction}\n{self.response}"
        for pattern in _ECHOES:
            found = pattern.search(evolved)
            if found and not pattern.search(known):
                return f"the evolved response repeats the prompt: {shorten(found[0])}"
        folded, old = _fold(evolved), _fold(known)
        for line in _method_lines(self.template):
            if line in folded and line not in old:
                return f"the evolved response repeats the prompt: {shorten(line)}"
        return None


def is_refusal(text: str) -> bool:
    """Whether a text is a short one that begins by refusing to do what was asked."""
    return len(text) <= _MAX_REFUSAL and _REFUSAL.match(text) is not None


def _method_lines(template: str) -> list[str]:
    folded = (_fold(line) for line in template.splitlines())
    return [line for line in folded if len(line) >= _MIN_METHOD and not re.search(r"\{\{|<", line)]


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()
