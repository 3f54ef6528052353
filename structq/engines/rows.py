"""What one row does from its prompt to its answer; knows nothing of the other rows of its batch.

A row is a Python generator. It yields the pass that it needs next, `Extend` or `Step`, is sent the
logits of that pass, and returns an `Answer`. Whoever drives it may join the steps of many rows into
one pass; nothing that a row asks for depends on its neighbours, so neither does its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from structq.engines.sampling import Sampler, Sampling

__all__ = [
    "Answer",
    "Constraint",
    "Extend",
    "Logits",
    "MeasuredSlot",
    "Row",
    "Step",
    "TextLimits",
    "generate_row",
]

Logits = NDArray[np.float32]


class Extend(NamedTuple):
    """A pass over this row alone: drop columns from the end of its slot, then append tokens."""

    tokens: Sequence[int]
    n_logits: int = 1
    drop: int = 0


class Step(NamedTuple):
    """A pass that appends one token and may be shared with other rows."""

    token: int


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a row ends with."""

    text: str
    """The answer without the end-of-text token."""
    finish_reason: Literal["stop", "length"]
    """``length`` when ``max_tokens`` or the window cut the answer off."""
    n_prompt_tokens: int
    """Tokens of the prompt, those of the chat template included."""
    n_output_tokens: int
    """Tokens of the answer, forced ones included, end-of-text not."""
    n_passes: int
    """Forward passes in which the row took part, the prompt's included."""
    n_forced_tokens: int
    """Tokens of the answer that were appended without being sampled."""
    cut: str = ""
    """What was said behind the end of the answer: a repetition, or more than it may hold."""
    slots: tuple[MeasuredSlot, ...] | None = None
    """The measured label slots in order, or ``None`` if the answer was generated."""


@dataclass(frozen=True, kw_only=True)
class MeasuredSlot:
    """One label slot of a measured answer."""

    labels: tuple[str, ...]
    """The labels as they stand in the text."""
    probabilities: NDArray[np.float64]
    """Shape ``(n_labels,)``, in the order of the labels; sums to 1."""
    mass: float
    """Unmasked probability that fell on the labels before normalising."""


Row = Generator[Extend | Step, Logits, Answer]


class Constraint(Protocol):
    """What a row may say next; `structq.decoding.RowMatcher` is one."""

    def apply(self, logits: Logits) -> None:
        """Writes ``-inf`` over the logits ``(n_vocab,)`` of every token that is not allowed."""

    def consume(self, token: int) -> None:
        """Takes note that the row said this token."""

    def forced(self) -> list[int]:
        """Tokens that can only come next; not consumed by this call."""

    def finish(self, text: str) -> tuple[str, str]:
        """The answer as it counts, and what was cut off its end."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end of the text can follow."""


@dataclass(frozen=True, kw_only=True)
class TextLimits:
    """Where a generated text ends at the latest."""

    max_tokens: int
    """Most tokens of the answer; the window is already taken into account."""
    eos_token_id: int
    """The token by which the LM ends its text."""
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these strings."""
    breakers: frozenset[int] = frozenset()
    """Tokens over which no repeated run goes."""


def generate_row(
    prompt: Sequence[int],
    constraint: Constraint,
    *,
    limits: TextLimits,
    sampling: Sampling,
    decode: Callable[[Sequence[int]], str],
    listen: Callable[[Sequence[int]], None] | None = None,
) -> Row:
    """A row that answers token by token, with forced tokens appended unsampled.

    Forced tokens ride on the next pass that is needed anyway: at the start they join the prompt's
    pass, at the end they cost none.

    Args:
        prompt: Tokens of the prompt; at least one.
        constraint: What the row may say.
        limits: Where the text ends at the latest.
        sampling: How a token is chosen.
        decode: Tokens to text.
        listen: Called with the tokens of the answer whenever there are new ones.
    """
    sampler = Sampler(sampling, limits.breakers)
    output, pending = list[int](), list(prompt)
    n_passes = n_forced = 0
    text: str | None = None
    reason: Literal["stop", "length"] = "stop"
    while True:
        forced = constraint.forced()[: limits.max_tokens - len(output)]
        for token in forced:
            constraint.consume(token)
        sampler.said(forced)
        n_forced += len(forced)
        output += forced
        pending += forced
        if listen is not None and output:
            listen(output)
        if constraint.is_complete:
            break
        if len(output) >= limits.max_tokens:
            reason = "length"
            break
        alone = len(pending) > 1 or not n_passes
        logits = yield Extend(pending) if alone else Step(pending[0])
        n_passes += 1
        token = _choose(logits[-1], constraint, sampler)
        if token == limits.eos_token_id:
            break
        output.append(token)
        pending = [token]
        text = _stopped(output, limits.stop, decode)
        if text is not None:
            break
    said, cut = decode(output) if text is None else text, ""
    if text is None and reason == "stop":
        said, cut = constraint.finish(said)
    return Answer(
        text=said,
        finish_reason=reason,
        n_prompt_tokens=len(prompt),
        n_output_tokens=len(output),
        n_passes=n_passes,
        n_forced_tokens=n_forced,
        cut=cut,
    )


def _choose(logits: Logits, constraint: Constraint, sampler: Sampler) -> int:
    sampler.penalise(logits)
    constraint.apply(logits)
    token = sampler.choose(logits)
    constraint.consume(token)
    sampler.said((token,))
    return token


def _stopped(
    output: Sequence[int], stop: tuple[str, ...], decode: Callable[[Sequence[int]], str]
) -> str | None:
    """The text before the first stop string, or ``None`` if there is none yet."""
    if not stop:
        return None
    # A token is at least one byte, so a stop string that just ended lies in so many tokens.
    recent = decode(output[-max(len(part.encode()) for part in stop) - 4 :])
    if not any(part in recent for part in stop):
        return None
    text = decode(output)
    return text[: min(_places(text, stop), default=len(text))]


def _places(text: str, parts: tuple[str, ...]) -> Iterator[int]:
    return (text.index(part) for part in parts if part in text)
