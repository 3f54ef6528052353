"""Whether an evolved response is one: no refusal, no echo, no fragment, not the same again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from structq.errors import shorten
from structq.strays import code_lines, has_open_fence, holds_code, lone_fence, speaker_from
from structq.templates import added_words
from structq.texts import circling_from, content_words, n_words, sentences

from .length import Length
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
_HERE_IS = re.compile(
    r"^\W*here(?:[’']s| is) (?:a|the|your|my) (?:\w+ )?(?:rewritten|revised|improved|evolved) ",
    re.IGNORECASE | re.MULTILINE,
)
# An instruction that asks for a revision may get one by that name.
_ASKS_TO_REVISE = re.compile(
    r"\b(?:re-?writ\w+|revis\w+|improv\w+|edit\w*|correct\w*|fix\w*|proofread\w*|paraphras\w+)\b",
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
    re.compile(r"Reply with (?:JSON|the (?:re|e)\w+ response|the whole response)", re.IGNORECASE),
    re.compile(r"Keep everything in the response that is right", re.IGNORECASE),
    re.compile(r"(?:Use|Add) at (?:most|least) \d+ words", re.IGNORECASE),
    re.compile(r"^\W*(?:the )?(?:rewritten|evolved) response\b[*_]*\s*(?::|$)", re.I | re.M),
    # What was wrong with the answer before, which the next attempt is told.
    re.compile(
        r"\bevolved response (?:is|has|lost|repeats)\b|\boriginal(?: response)? unchanged\b",
        re.IGNORECASE,
    ),
    _HERE_IS,
)
# A text that speaks about the response instead of being it.
_COMMENT = re.compile(
    r"(?:^|[.!?]\s+)(?:(?:this|your) (?:\w+ )?(?:response|answer|version|rewrite)|the response) "
    r"(?:is (?:too|more|now|very|written|not)|has been|was re\w+|includes|provides|should|needs|"
    r"can be)|\b(?:rewrite|rewriting|revised?|rewritten)[\"'”’]* response\b|"
    r"\bI(?: would| will|[’']ll|[’']ve| have)? (?:suggest |recommend )?rew?r[io]t\w+ "
    r"(?:it|this|that|the (?:response|answer|text))\b",
    re.IGNORECASE | re.MULTILINE,
)
# A text that praises or describes an answer, where none was asked for.
_PRAISE = (
    r"(?:a |an |the )?(?:(?:very|quite|also|both|really|truly|indeed|already|generally) )*"
    r"(?:great|good|excellent|perfect|clear|concise|well[- ]\w+|informative|helpful|detailed|"
    r"comprehensive|thorough|accurate|engaging|structured|easy to (?:read|follow|understand))"
)
_ABOUT = re.compile(
    rf"(?:^|[.!?]\s+)(?:this|your|the|my|overall, the) (?:\w+ )?"
    rf"(?:response|answer|explanation|reply|rewrite) (?:is|was|seems|looks) {_PRAISE}\b"
    r"|\bthe only (?:\w+ )?(?:improvement|change) (?:is|would be|was)\b"
    r"|\b(?:the|your|this) (?:response|answer) (?:was|is|has been) "
    r"(?:re(?:word|phras|writ|vis|work)\w+|changed|edited)\b",
    re.IGNORECASE | re.MULTILINE,
)
_ASKS_ABOUT_TEXT = re.compile(
    r"\b(?:review\w*|feedback|critiqu\w+|evaluat\w+|assess\w*|rat(?:e|es|ing)|grad(?:e|es|ing)|judg\w+|"
    r"compar\w+|opinions?|comments?|which (?:of|is|response|answer)\w*|better|best)\b",
    re.IGNORECASE,
)
# What stands for a text that was never written.
_PLACEHOLDER = re.compile(
    r"\W*(?:<[\w ]{1,40}>|(?:your|the|a)? ?(?:\w+ )?(?:response|text|answer) (?:goes )?here|"
    r"lorem ipsum.*|evolved[_ ]response|rewritten response|string|text)?\W*",
    re.IGNORECASE,
)
# A text that breaks off here says that more was to come.
_BROKEN_OFF = re.compile(
    r"(?:[,(\[{，、،]|(?P<prose>;|\b(?:and|or|the|a|an|of|to|with|such as)))\s*\Z", re.IGNORECASE
)
# A line of code may end with a semicolon, and a short answer with any word.
_CODE = re.compile(r"[(){}\[\]<>=$\"'`*\\]")
_LEAST_PROSE = 5
_SHORTENS = re.compile(
    r"\b(?:short(?:en|er)?|brief(?:ly|er)?|concise(?:ly)?|conden[sc]\w*|compress\w*|summar\w+|trim|"
    r"terse|tighten|succinct\w*|(?:fewer|less) words|cut (?:it|the|out|down)|reduce|remove|delete|"
    r"one sentence|a sentence|a single|only the)\b",
    re.IGNORECASE,
)
_ASKS_FOR_MORE = re.compile(
    r"\b(?:add|more|expand|extend|elaborate|enrich|deepen|include|give)\b", re.IGNORECASE
)
_CHARS_A_WORD, _LEAST_WORDS = 12, 40
"""A text of signs without words is bounded by its characters."""
_LEAST_NEW = 5
"""Different words that a mutation which asks for more has to bring."""
# Fewer words of a template may stand in a good answer by chance.
_MIN_METHOD_WORDS = 4
_MIN_COPIED_WORDS = 5
_COPIED = 0.8
_MIN_CODE_LINES = 2


@dataclass(frozen=True, kw_only=True)
class EvolveCheck:
    """What one step asked and had, to judge its answer by."""

    instruction: str
    """The instruction of the row."""
    response: str
    """The response that the step evolves."""
    original: str
    """The response of the row, before the first step."""
    template: str
    """The mutation template of the step."""
    literals: Sequence[str] = ()
    """What the evolved response must hold."""
    anchored: bool = False
    """It must begin with the first of them."""
    length: Length = field(default_factory=Length)
    """How many words it must and may have."""
    judge: bool = True
    """Look for what is no evolution too."""

    def rules(self) -> dict[str, Any]:
        """What an LM that can is held to while it decodes, as `structq.decoding.TextRules`."""
        rules: dict[str, Any] = {"min_words": self._least, "max_words": self._most}
        if self.literals:
            rules |= {"literals": list(self.literals), "anchored": self.anchored}
        if self.judge:
            rules |= {"guard": True, "known": self.response}
        if self._most is not None:
            spare = _CHARS_A_WORD * max(self._most, _LEAST_WORDS)
            rules["max_chars"] = spare + len(self.response) + len(self.original)
        if self.judge and _ASKS_FOR_MORE.search(self.template) and not self._shortens:
            rules["min_new_words"] = _LEAST_NEW
        return rules

    @property
    def _shortens(self) -> bool:
        return _SHORTENS.search(self.template) is not None

    @property
    def _least(self) -> int:
        return self.length.least(
            self.response,
            self.original,
            anchored=self.anchored and bool(self.literals),
            shortens=not self.judge or self._shortens,
        )

    @property
    def _most(self) -> int | None:
        most = self.length.most(self.response)
        return most if most is None else max(most, self._least)

    def fault(self, evolved: str) -> str | None:
        """What is wrong with the evolved response, in words for the LM and the user, or ``None``.

        Args:
            evolved: Text that is not blank.
        """
        found = self._lost(evolved) or self._too_long(evolved) or self._too_short(evolved)
        if found or not self.judge:
            return found
        looks = (
            self._unchanged, self._refused, self._empty, self._halved, self._echoed,
            self._commented, self._strayed, self._lost_code, self._circled,
        )  # fmt: skip
        for look in looks:
            if found := look(evolved):
                return found
        return None

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
        n_added, most = n_words(evolved) - n_words(self.response), self.length.max_added
        if most is None or n_added <= most:
            return None
        return (
            f"the evolved response has {n_added} words more than the response "
            f"(at most {most} are allowed)"
        )

    def _too_short(self, evolved: str) -> str | None:
        n_added, least = n_words(evolved) - n_words(self.response), self.length.min_added
        if least is None or n_added >= least:
            return None
        return (
            f"the evolved response has {n_added} words more than the response "
            f"(at least {least} are asked for)"
        )

    def _empty(self, evolved: str) -> str | None:
        if _PLACEHOLDER.fullmatch(evolved) and not _PLACEHOLDER.fullmatch(self.response):
            return "the evolved response is a placeholder"
        if _breaks_off(evolved) and not _breaks_off(self.response):
            return f"the evolved response is a fragment: it ends with {shorten(evolved[-40:])}"
        return None

    def _halved(self, evolved: str) -> str | None:
        n_new, n_old = n_words(evolved), n_words(self.response)
        if 2 * n_new >= n_old or self._shortens:
            return None
        return f"the evolved response has {n_new} words, less than half of the response's {n_old}"

    def _unchanged(self, evolved: str) -> str | None:
        # A step that finds nothing to add to the one before it costs the row nothing.
        same = evolved.split() == self.original.split()
        return "the evolved response is the original unchanged" if same else None

    def _refused(self, evolved: str) -> str | None:
        if not is_refusal(evolved) or _REFUSAL.match(self.response):
            return None
        return "the evolved response is a refusal"

    def _echoed(self, evolved: str) -> str | None:
        known = f"{self.instruction}\n{self.response}"
        for pattern in _ECHOES:
            found = pattern.search(evolved)
            if (
                found
                and not pattern.search(known)
                and not (pattern is _HERE_IS and _ASKS_TO_REVISE.search(self.instruction))
            ):
                return f"the evolved response repeats the prompt: {shorten(found[0])}"
        old = _fold(known)
        folded = _fold(evolved)
        for part in _EXAMPLE:
            if part in folded and part not in old:
                return f"the evolved response repeats the example of the prompt: {shorten(part)}"
        return self._repeated_method(evolved, old)

    def _commented(self, evolved: str) -> str | None:
        known = f"{self.instruction}\n{self.response}"
        found = _COMMENT.search(evolved)
        if found is None and not _ASKS_ABOUT_TEXT.search(self.instruction):
            found = _ABOUT.search(evolved)
        if found is None or found.re.search(known):
            return None
        return f"the evolved response speaks about itself: {shorten(found[0].strip('.!? '))}"

    def _strayed(self, evolved: str) -> str | None:
        """A turn of a transcript, half a code block, or the instruction once more."""
        known = f"{self.instruction}\n{self.response}"
        for at in (speaker_from(evolved, known), lone_fence(evolved, self.response)):
            if at is not None:
                line = evolved[at:].partition("\n")[0]
                return f"the evolved response goes on as something else: {shorten(line)}"
        if has_open_fence(evolved) and not has_open_fence(self.response):
            return "the evolved response has a code fence without its partner"
        return self._copied(evolved)

    def _copied(self, evolved: str) -> str | None:
        """The first sentence of the instruction in place of that of an answer."""
        asked, said, was = (
            next((text[a:b] for a, b in sentences(text)), "")
            for text in (self.instruction, evolved, self.response)
        )
        words, theirs = list(content_words(said)), list(content_words(asked))
        if len(words) < max(_MIN_COPIED_WORDS, _COPIED * len(theirs)):
            return None
        if not set(theirs).issuperset(words) or set(theirs).issuperset(content_words(was)):
            return None
        return f"the evolved response begins with the instruction: {shorten(said)}"

    def _lost_code(self, evolved: str) -> str | None:
        code = code_lines(self.response)
        if len(code) < _MIN_CODE_LINES or self._shortens or holds_code(evolved):
            return None
        return f"the evolved response lost the code of the response: {shorten(code[0])}"

    def _circled(self, evolved: str) -> str | None:
        if (at := circling_from(evolved, self.response)) is None:
            return None
        return f"the evolved response says the same again: {shorten(evolved[at : at + 80])}"

    def _repeated_method(self, evolved: str, known: str) -> str | None:
        """A sentence that has no word but those of the template, in whatever order."""
        words = set(content_words(self.template))
        for start, end in sentences(evolved):
            said = list(content_words(evolved[start:end]))
            is_theirs = len(said) >= _MIN_METHOD_WORDS and words.issuperset(said)
            if is_theirs and _fold(evolved[start:end]) not in known:
                return f"the evolved response repeats the prompt: {shorten(evolved[start:end])}"
        return None


def is_refusal(text: str) -> bool:
    """Whether a text is a short one that begins by refusing to do what was asked."""
    return len(text) <= _MAX_REFUSAL and _REFUSAL.match(text) is not None


def _breaks_off(text: str) -> bool:
    found = _BROKEN_OFF.search(text)
    if found is None or found["prose"] is None:
        return found is not None
    line = text.rstrip().rsplit("\n", 1)[-1]
    return n_words(line) >= _LEAST_PROSE and _CODE.search(line) is None


def _fold(text: str) -> str:
    return " ".join(text.split()).casefold()


_EXAMPLE = [_fold(added_words()[a:b]) for a, b in sentences(added_words())]
