"""What came back from one LM call, whether or not it can be used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dspy.lm15 import Request, Response, TokenLogprob, TopLogprob

from structq.errors import shorten
from structq.schemas import AnswerFormatError, Form

__all__ = ["Answer", "Measurement", "read_answer", "read_lines"]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The LM's own distribution over the labels of each score, in the order of the scores."""

    labels: tuple[int, ...]
    """Labels of a distribution, ascending: shape ``(n_labels,)``."""
    distributions: tuple[tuple[float, ...], ...]
    """Probabilities of shape ``(n_scores, n_labels)``; each row sums to 1."""
    label_mass: tuple[float, ...]
    """Probability that fell on labels at all, before normalising: shape ``(n_scores,)``."""


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
    measurement: Measurement | None = None
    """Label distributions, where the LM measures them or shows its log probabilities."""
    unmeasured: str | None = None
    """Why there are none, where they were asked for."""
    label_mass: tuple[float, ...] = ()
    """Probability that was seen to fall on labels: one a score, measured or not."""
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
            given["measurement"] = Measurement(
                **{k: _tuples(v) for k, v in given["measurement"].items()}
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
) -> Answer:
    """The facts of a response.

    Args:
        response: What the LM returned.
        request: What it was asked.
        n_scores: Scores that a measurement must cover; 0 where none was asked for.
        labels: Labels that it must be over.
        form: How the LM was asked to write.
        constrained: Whether the LM declares that it decodes under the form and rules.

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
        mass = measurement.label_mass
    elif n_scores and request.config.logprobs is not None:
        measurement, unmeasured, mass = _read_logprobs(response, n_scores, labels)
    refusals = [part.text for part in response.message.parts if part.type == "refusal"]
    return Answer(
        raw="".join(refusals) or response.text or "",
        refused=bool(refusals),
        model=request.model,
        finish_reason=response.finish_reason,
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        n_passes=facts.get("n_passes"),
        measurement=measurement,
        unmeasured=unmeasured,
        label_mass=mass,
        form=form,
        constrained=constrained,
        cut=facts.get("cut"),
    )


def _read_measurement(
    facts: Mapping[str, Any], n_scores: int, labels: tuple[int, ...]
) -> Measurement:
    rows = tuple(tuple(float(p) for p in row) for row in facts["distributions"])
    fits = tuple(facts.get("labels", ())) == labels and len(rows) == n_scores
    if not fits or any(len(row) != len(labels) or abs(sum(row) - 1) > 1e-6 for row in rows):
        raise AnswerFormatError(
            f"the measurement does not cover {n_scores} scores over {shorten(labels)}"
        )
    mass = tuple(float(m) for m in facts.get("label_mass", ()))
    return Measurement(labels=labels, distributions=rows, label_mass=mass)


def _read_logprobs(
    response: Response, n_scores: int, labels: tuple[int, ...]
) -> tuple[Measurement | None, str | None, tuple[float, ...]]:
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
    measurement = Measurement(
        labels=labels, distributions=found.distributions, label_mass=found.label_mass
    )
    return measurement, None, found.label_mass


def _bytes(token: TokenLogprob | TopLogprob) -> bytes:
    """A token's bytes; its text stands for them where the server sends none."""
    return token.token.encode() if token.bytes is None else bytes(token.bytes)


_LINE = re.compile(
    r"^[ \t]*\[(\d{1,6})\][ \t]*Score:[ \t]*(-?\d{1,9})[ \t]*$", re.MULTILINE | re.IGNORECASE
)


def read_lines(text: str, n_scores: int, labels: Sequence[int]) -> list[int | None]:
    """The scores of a text such as ``[2] Score: 4``, by index and never by position.

    A response without a line, with a score off the scale, or with two lines that differ has no
    score.
    """
    found: dict[int, set[int]] = {}
    for index, score in _LINE.findall(text):
        found.setdefault(int(index), set()).add(int(score))
    values = [found.get(i + 1, set()) for i in range(n_scores)]
    return [next(iter(v)) if len(v) == 1 and v <= set(labels) else None for v in values]
