"""What came back from one LM call, whether or not it can be used."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dspy.lm15 import Request, Response, TokenLogprob, TopLogprob

from structq.errors import shorten
from structq.schemas import AnswerFormatError, Form, LabelDistribution, Score

__all__ = ["Answer", "read_answer", "read_lines"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer as it came."""

    raw: str
    """The text."""
    model: str
    """The model string of the LM."""
    finish_reason: str
    """Why the LM stopped."""
    input_tokens: int | None = None
    """Tokens of the prompt, where the LM counts."""
    output_tokens: int | None = None
    """Tokens of the answer, where the LM counts."""
    n_passes: int | None = None
    """Forward passes that the answer took, where the LM counts."""
    measurement: tuple[LabelDistribution, ...] | None = None
    """One a score, where the LM measures them or shows its log probabilities."""
    unmeasured: str | None = None
    """Why there are none, where they were asked for."""
    label_mass: tuple[float, ...] = ()
    """Probability that was seen to fall on labels: one a score, measured or not."""
    masked: bool | None = None
    """Whether the log probabilities were taken behind the mask of the schema, where a mass of 1
    proves nothing; ``None`` where that is not known."""
    n_requests: int = 1
    """Requests that the answer took: 0 for one that was kept from before."""
    elsewhere: str | None = None
    """The part of the reply in which the text came, where that is not its content."""
    form: Form = "json"
    """How the LM was asked to write it."""
    constrained: bool = False
    """Whether it was held to its form and rules while it was decoded, and not only checked."""
    cut: Mapping[str, str] | None = None
    """What the LM said behind the end of its answer: ``text``, and as ``reason`` that it was more
    than the text may hold (``length``) or said again what it had said (``repetition``)."""
    refused: bool = False
    """Whether the LM declined to answer, and `raw` is what it said instead."""

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Answer:
        """From what ``dataclasses.asdict`` gave, by way of JSON."""
        given = dict(values)
        if given["measurement"] is not None:
            given["measurement"] = tuple(
                LabelDistribution(**{name: _tuples(value) for name, value in one.items()})
                for one in given["measurement"]
            )
        return cls(**{**given, "label_mass": tuple(given["label_mass"])})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def read_answer(
    response: Response,
    request: Request,
    *,
    n_scores: int,
    labels: tuple[int, ...],
    form: Form = "json",
    constrained: bool = False,
    masked: bool | None = None,
) -> Answer:
    """The facts of a response.

    Args:
        response: What the LM returned.
        request: What it was asked.
        n_scores: Scores that a measurement must cover; 0 where none was asked for.
        labels: Labels that it must be over.
        form: How the LM was asked to write.
        constrained: Whether the LM declares that it decodes under the form and rules.
        masked: Whether it takes log probabilities behind the mask of the schema, where it says so.

    Raises:
        AnswerFormatError: A measurement of another shape.
    """
    data = response.provider_data
    facts = data.get("structq") if isinstance(data, Mapping) else None
    facts = facts if isinstance(facts, Mapping) else {}
    measurement, unmeasured = None, None
    mass: tuple[float, ...] = ()
    if n_scores and "distributions" in facts:
        measurement = _read_measurement(facts, n_scores, labels)
        mass = tuple(one.label_mass for one in measurement if one.label_mass is not None)
    elif n_scores and request.config.logprobs is not None:
        measurement, unmeasured, mass = _read_logprobs(response, n_scores, labels)
        unmeasured = facts.get("unmeasured", unmeasured)
    elsewhere, text = facts.get("elsewhere") or (None, response.text or "")
    refusals = [part.text for part in response.message.parts if part.type == "refusal"]
    return Answer(
        raw="".join(refusals) or text,
        refused=bool(refusals),
        model=request.model,
        finish_reason=facts.get("finish_reason", response.finish_reason),
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        n_passes=facts.get("n_passes"),
        measurement=measurement,
        unmeasured=unmeasured,
        label_mass=mass,
        form=form,
        constrained=constrained,
        cut=facts.get("cut"),
        masked=masked if mass else None,
        n_requests=facts.get("n_requests", 1),
        elsewhere=elsewhere,
    )


def _read_measurement(
    facts: Mapping[str, Any], n_scores: int, labels: tuple[int, ...]
) -> tuple[LabelDistribution, ...]:
    rows = tuple(tuple(float(p) for p in row) for row in facts["distributions"])
    fits = tuple(facts.get("labels", ())) == labels and len(rows) == n_scores
    if not fits or any(len(row) != len(labels) or abs(sum(row) - 1) > 1e-6 for row in rows):
        raise AnswerFormatError(
            f"the measurement does not cover {n_scores} scores over {shorten(labels)}"
        )
    return _distributions(labels, rows, tuple(float(m) for m in facts.get("label_mass", ())))


def _distributions(
    labels: tuple[int, ...], rows: Sequence[tuple[float, ...]], mass: tuple[float, ...]
) -> tuple[LabelDistribution, ...]:
    masses = mass or (None,) * len(rows)
    return tuple(
        LabelDistribution(labels=labels, probabilities=row, label_mass=m)
        for row, m in zip(rows, masses, strict=True)
    )


def _read_logprobs(
    response: Response, n_scores: int, labels: tuple[int, ...]
) -> tuple[tuple[LabelDistribution, ...] | None, str | None, tuple[float, ...]]:
    """The distributions, why there are none, and the label mass."""
    if not response.logprobs:
        return None, "the server returned no logprobs", ()
    # Engines of this process bring a measurement: their users need not load grammars for this.
    from structq.decoding import TokenScore, read_slots

    tokens = [
        TokenScore(
            text=_bytes(token),
            logprob=token.logprob,
            top=tuple((_bytes(other), other.logprob) for other in token.top),
        )
        for token in response.logprobs
    ]
    found = read_slots(response.text or "", tokens, labels, n_scores)
    if found.distributions is None:
        return None, found.reason, found.label_mass
    rows = _distributions(labels, found.distributions, found.label_mass)
    return rows, None, found.label_mass


def _bytes(token: TokenLogprob | TopLogprob) -> bytes:
    """A token's bytes; its text stands for them where the server sends none."""
    return token.token.encode() if token.bytes is None else bytes(token.bytes)


_LINE_END = re.compile(r"\r\n|\r|\n")
# A line's marks (of a list, a quotation, a heading), the index, the word, the number.
_LINE = re.compile(
    r"\s*(?:(?:[-+•>#|–]|\d{1,3}[.)])\s*)*(?:response\s*)?\[\s*(\d{1,6})\s*\]\s*[:.–-]?\s*"
    r"score\s*[:=]\s*([+-]?\d{1,9}(?:[.,]\d+)?)(?!\w)(.*)",
    re.IGNORECASE,
)
_MARKS = str.maketrans({"*": "", "_": "", "`": "", "−": "-", "【": "[", "】": "]"})
_RANGE = re.compile(r"\s*(?:-|–|to\b|or\b)\s*\d", re.IGNORECASE)


def read_lines(text: str, n_scores: int, labels: Sequence[int]) -> list[Score]:
    """The scores of a text such as ``[2] Score: 4``, by index and never by position.

    Bold, bullets and what follows the number change nothing; the number of a list (``1. Score: 3``)
    is a position and no index. A response without a line, with a score off the scale, or with two
    lines that differ has no score, and the reason why.
    """
    found: dict[int, set[str]] = {}
    # A score may stand in full-width signs; other ends of lines are text of a row that it quotes.
    for line in _LINE_END.split(unicodedata.normalize("NFKC", text)):
        if said := _LINE.match(line.translate(_MARKS)):
            wrong = _RANGE.match(said[3])
            number = said[2] + (wrong[0] if wrong else "")
            found.setdefault(int(said[1]), set()).add(_plain(number))
    return [_score(i + 1, found.get(i + 1, set()), labels) for i in range(n_scores)]


def _plain(number: str) -> str:
    """A whole number without its zeros behind the point; what is none as it stands."""
    try:
        return str(int(re.sub(r"[.,]0+\Z", "", number)))
    except ValueError:
        return number


def _score(index: int, said: set[str], labels: Sequence[int]) -> Score:
    known = {str(label): label for label in labels}
    if len(said) == 1 and (number := next(iter(said))) in known:
        return Score(value=known[number])
    if not said:
        reason = f"the answer has no line such as '[{index}] Score: {labels[0]}'"
    elif len(said) > 1:
        reason = f"the answer has lines that differ: {' and '.join(sorted(said))}"
    else:
        reason = f"the score {next(iter(said))} is off the scale ({labels[0]} to {labels[-1]})"
    return Score(value=None, reason=reason)
