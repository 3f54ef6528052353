"""What the LM is asked, as DSPy signatures; knows nothing of prompts, schemas and LMs.

``EvolveResponse`` and ``ScoreResponses`` are what predictors register. A score call needs a
signature of its own, because the schema of K responses has exactly K items: ``score_signature``
derives it and remembers it.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Literal, cast
from weakref import WeakKeyDictionary

import dspy
from pydantic import Field

__all__ = [
    "EvolveResponse",
    "ReadResponse",
    "ScoreCall",
    "ScoreResponses",
    "registered",
    "score_call",
    "score_signature",
]


class EvolveResponse(dspy.Signature):  # type: ignore[misc]
    """Rewrite the response so that it answers the instruction better."""

    instruction: str = dspy.InputField(desc="what was asked")
    response: str = dspy.InputField(desc="the answer to improve; may be empty")
    evolved_response: str = dspy.OutputField(desc="the improved answer")


class ScoreResponses(dspy.Signature):  # type: ignore[misc]
    """Judge how well each response answers the instruction."""

    instruction: str = dspy.InputField(desc="what was asked")
    responses: list[str] = dspy.InputField(desc="the candidate answers, in order")
    scores: list[int] = dspy.OutputField(desc="one score a response, in order; higher is better")


class ReadResponse(dspy.Signature):  # type: ignore[misc]
    """How likely the response is as the answer to the instruction: read, and not asked."""

    instruction: str = dspy.InputField(desc="what was asked; may be empty")
    response: str = dspy.InputField(desc="the text that is read; may be empty")
    log_probability: float = dspy.OutputField(desc="natural logarithm, of all tokens")
    n_tokens: int = dspy.OutputField(desc="so many tokens, the one that ends an answer included")


@dataclass(frozen=True)
class ScoreCall:
    """How one score call differs from the signature that its predictor registers."""

    n_responses: int
    """Candidates of this call: K."""
    labels: tuple[int, ...] | None
    """Allowed scores, ascending; ``None`` for the list-wise scale 1..K+1."""
    rubric: tuple[str, ...] = ()
    """One description a label, or nothing."""
    prefers: bool = False
    """Asks for the number of the better response, and not for a score of each."""

    @property
    def n_scores(self) -> int:
        """Numbers in the answer."""
        return 1 if self.prefers else self.n_responses

    @property
    def scale(self) -> tuple[int, ...]:
        """Allowed scores, ascending."""
        return self.labels if self.labels is not None else tuple(range(1, self.n_responses + 2))

    def of(self, n_responses: int) -> ScoreCall:
        """The same scale for another number of responses."""
        return replace(self, n_responses=n_responses)


_CALLS: WeakKeyDictionary[type[dspy.Signature], tuple[type[dspy.Signature], ScoreCall]] = (
    WeakKeyDictionary()
)


def score_signature(base: type[dspy.Signature], call: ScoreCall) -> type[dspy.Signature]:
    """The signature of one score call: ``base`` with exactly K scores out of the call's labels.

    The 512 last ones are kept, so that a run builds one for each K and not one for each row.

    Args:
        base: The signature that the predictor registers: its instructions are the criteria.
        call: The number of responses and the scale.
    """
    # A signature's instructions can be set in place, so the class alone is no key.
    return _derive(cast(Hashable, base), base.instructions, call)


def score_call(signature: type[dspy.Signature]) -> ScoreCall | None:
    """What ``score_signature`` was asked for, or ``None`` where it did not make this signature."""
    found = _CALLS.get(signature)
    return found[1] if found else None


def registered(signature: type[dspy.Signature]) -> type[dspy.Signature]:
    """The signature that the predictor registers: optimizers know a call by it."""
    found = _CALLS.get(signature)
    return found[0] if found else signature


@lru_cache(maxsize=512)
def _derive(base: Any, instructions: str, call: ScoreCall) -> type[dspy.Signature]:
    label: Any = cast(Any, Literal)[call.scale]
    size = Field(min_length=call.n_scores, max_length=call.n_scores)
    scores = Annotated[list[label], size]
    lines = (f"{label}: {text}" for label, text in zip(call.scale, call.rubric, strict=False))
    fields = {name: (field.annotation, field) for name, field in base.input_fields.items()}
    told = "the number of the better response" if call.prefers else "one score a response, in order"
    fields["scores"] = (scores, dspy.OutputField(desc=told))
    derived = cast(
        "type[dspy.Signature]", dspy.Signature(fields, "\n".join((instructions, *lines)))
    )
    _CALLS[derived] = (base, call)
    return derived
