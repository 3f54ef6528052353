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

from .sentences import split_sentences, units_of

__all__ = ["MAX_CHARS", "MAX_SENTENCE_CHARS", "Proposal", "check_proposal", "praises_itself"]

MAX_CHARS = 2_000
MAX_SENTENCE_CHARS = 400
MAX_SENTENCES = 24

# "The answer is:", and nothing behind it: a label, and no instruction.
_LABEL = re.compile(r"[^\n]*[:,;：，；、]\s*\Z")
_FIELD = re.compile(r"\{[{%#]|[}%#]\}|\{[a-z_]\w*\}|<(?:PROMPT|RESPONSE)>|<\|", re.IGNORECASE)

# Who decides how good a response is, what is given for it, and what one does to get that.
_JUDGE = r"(?:scorer|grader|judge|evaluator|rater|assessor|examiner|reviewer|marker)s?"
_MARKS = r"(?:scores?|grades?|ratings?|marks?|stars?)\b"
_GET = (
    r"(?:get|earn|deserve|receive|win|maximi[sz]e|raise|increase|boost|secure|guarantee|obtain|"
    r"achieve|reach|merit|aim\s+for|worth|(?:assign|award|give)(?=\s+(?:it|this|your|my|the\s+"
    r"(?:response|answer|reply|text))\b))(?:s|d|ed|ing)?"
)
_TEXT = r"(?:response|answer|reply|text|output|rewrite|version|explanation)"
_SCORER = re.compile(
    rf"\b(?:pleas|convinc|impress|persuad|satisf|appeal|flatter|fool|trick|tell|address|remind|ask|"
    rf"assur|influenc|bias|sway)\w*\b.{{0,30}}\b{_JUDGE}\b"
    rf"|\b(?:what|whatever|as|like|for|by|to|that)\s+(?:an?|the|any|every|your)\s+(?:\w+\s+)?{_JUDGE}\b"
    r"(?!'s|’s|\s+(?:of|whether|if|how|ruled|decided|in\s+the\s+case))"
    rf"|\b{_JUDGE}\s+(?:want|like|prefer|look|reward|expect|will|would|should|must)s?\b"
    r"|\b(?:scoring|grading|judging|evaluation|rating)\s+(?:criteri\w+|rubric\w*|prompt|guide\w*|scale|"
    rf"system|process)|\brubrics?\b|\b(?:scores?|rates?|ranks?)\s+(?:\w+\s+)?(?:high|highly|well|higher|best|full|top)\b"
    rf"|\b(?:be|is|are|being|gets?)\s+(?:\w+\s+)?(?:scored|graded|judged|evaluated|assessed)\b"
    rf"|\b(?:rate|score|grade|rank|judge|evaluate|assess)\s+(?:this|it|your|the|my|our)\s+(?:own\s+)?"
    rf"(?:{_TEXT}\b|(?:as\s+|with\s+|at\s+)?(?:high|full|top|\d))"
    rf"|\b{_GET}\s+(?:\w+\s+){{0,4}}?{_MARKS}"
    r"|\b(?:full|top|high(?:est)?|maxim(?:um|al)|max|best|perfect)\s+"
    r"(?:possible\s+)?(?:marks?|points?|scor\w+|grades?|ratings?|quality|standard)\b"
    r"|\b(5|6|10|100)\s*(?:/|out\s+of)\s*\1\b|\b(?:five|\d)[\s-]+stars?\b",
    re.IGNORECASE,
)
# Words by which a text calls itself good.
_GLORY = (
    r"(?:perfect(?!\s+(?:squares?|tense|numbers?|competition|gas|fifth|pitch))\w*|flawless\w*|outstanding|"
    r"excellent|excellence|superb|exceptional\w*|impeccabl\w*"
    r"|masterful\w*|world[- ]class|unsurpass\w*|unbeatable|unmatched|faultless\w*|superior\w*"
    r"|best\s+(?:possible|answer|response|reply)|(?:could|can)\s*(?:not|n't)\s+be\s+improved"
    r"|(?:cannot|nothing\b.{0,40})\s*be\s+improved|highest\s+quality|ideal\s+(?:answer|response))"
)
# Said of the response: what it is to be made, called or left as.
_PERFECTION = re.compile(
    rf"\b(?:it|this|that|{_TEXT}|itself|everything|be|is|as|sounds?|seems?|looks?|appears?|nothing|"
    rf"claim|declare|aim\s+for|strive\s+for)\s+(?:\w+\s+){{0,2}}?{_GLORY}\b"
    rf"|\b{_GLORY}\s+(?:\w+\s+){{0,2}}?{_TEXT}\b|\b(?:best\s+possible|highest\s+quality|ideal\s+answer)"
    r"|\b(?:could|can)\s*(?:not|n't)\s+be\s+improved|\bcannot\s+be\s+improved",
    re.IGNORECASE,
)
# The same in other languages: marks to get, judges to please, praise, orders to forget others.
_OTHERS = re.compile(
    r"满分|滿分|高分|评委|評審|评审|评分者|评判者|打.{0,4}分|最高(?:分|评分|評分)|完美|无可挑剔|最佳(?:答案|回答)|"
    r"(?:忽略|无视|忘记).{0,12}(?:指令|指示|说明|规则|提示)|"
    r"満点|審査員|採点|評価者|高得点|高評価|完璧|最高の(?:回答|答え)|(?:指示|命令|ルール).{0,6}無視|"
    r"만점|심사위원|채점|평가자|높은 점수|최고 점수|완벽|(?:지시|명령).{0,6}무시|"
    r"\b(?:evaluador|calificador|avaliador|valutator|évaluateur|correcteur|bewerter|gutachter|"
    r"beoordelaar|değerlendir)\w*|\bjurado\b|\bjury\b|"
    r"\b(?:puntuaci[oó]n|calificaci[oó]n|nota|note|punteggio|voto|pontuação|punktzahl|bewertung|"
    r"punkte|oceny?)\s+(?:m[aá]xim|parfait|maximal|massim|perfect|más alta|più alt|mais alta|"
    r"najwyższ)\w*|\b(?:m[aá]xima|meilleure|haute|höchste|beste|volle|massimo|mayor|maior|mejor|melhor|"
    r"najwyższ\w+)\s+(?:puntuaci[oó]n|nota|note|notation|bewertung|punktzahl|punkte|punteggio|"
    r"calificaci[oó]n|pontuação|ocen\w+)|\bhöchst(?:note|punktzahl|wertung)\w*|"
    r"\b(?:respuesta|resposta|risposta|réponse|antwort)\w*\b.{0,24}\b(?:perfekt|perfect|parfait|perfett|"
    r"perfeit|impecable|excelente|excellent|makellos|hervorragend)\w*|"
    r"\b(?:ignor(?:a|e|ez|er|iere?|ieren|ate)|vergiss|oublie[zr]?|olvida)\b.{0,40}"
    r"\b(?:instruc\w+|instruções|istruzioni|anweisung\w*|regel\w*|règles?|consignes?)|"
    r"оценщик\w*|суд(?:ья|ье|ью|ьям|ей)\b|(?:высш|максимальн|наивысш)\w*\s+(?:балл|оценк)\w*|"
    r"ответ\w*.{0,24}(?:идеал|безупреч|превосход|совершенн)\w*|(?:идеальн|безупречн)\w*\s+ответ\w*|"
    r"(?:игнорируй|забудь)\w*|المقي[ّ]?م|الدرجة (?:الكاملة|القصوى)|أعلى (?:درجة|تقييم)|تجاهل|"
    r"मूल्यांकनकर्ता|पूरे अंक|सर्वोच्च अंक|अनदेखा",
    re.IGNORECASE,
)
_PRAISE_VERB = (
    r"(?:prais\w*|compliment(?:s|ed|ing)?\b|congratulat\w*|commend\w*|boast\w*|brag\w*|"
    r"extol\w*|laud\w*)"
)
_SELF = r"(?:this|the|your|my|its|our)\s+(?:\w+\s+){0,2}?(?:answer|response|reply|text|explanation)"
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
# A small LM tells what it was asked, or begins an answer, where an instruction was wanted.
_STATED = re.compile(
    r"\bthe writer (?:is|was|has|gets?|provides?|rewrites?)\b"
    r"|(?:^|[.!?:] |^[\"'])(?:the|this|your) (?:(?:rewritten|evolved|new) )?"
    rf"(?:{_TEXT}|example|question|instruction|sentence) "
    r"(?:is|was|has|had|does|did|demonstrates?|provides?|shows?|to the question)\b(?!:)"
    r"(?!.{0,60}\b(?:if|when|where|that)\b)"
    rf"|(?:^|[.!?:\"'] )(?:the|this|your) (?:{_TEXT}|result|task) (?:of this task )?"
    r"(?:is (?:to add|not only)\b|is: )"
    r"|(?:^|[.!?:\"'] )(?:the|this|your) (?:\w+ )?(?:instruction|question|prompt|task):"
    r"|(?:^|[.!?:\"'] )this is (?:an?|the) (?:\w+[ ,]+){0,5}?"
    r"(?:way|example|version|instruction|sentence|statement|question)\b",
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
    (_OTHERS, "speaks of marks, judges or perfection, or of forgetting orders"),
    (_ORDERS, "gives orders beyond rewriting the response"),
    (_STATED, "is no instruction but a statement"),
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
    if label := _LABEL.search(text):
        return Proposal(refusal=f"ends with what it does not say: {label.group().strip()[-60:]!r}")
    return Proposal(sentences=tuple(units_of(text)))


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
