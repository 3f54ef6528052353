"""What one row does from its prompt to its answer; knows nothing of the other rows of its batch.

A row is a Python generator. It yields the pass that it needs next, `Extend` or `Step`, is sent the
logits of that pass, and returns an `Answer`. Whoever drives it may join the steps of many rows into
one pass; nothing that a row asks for depends on its neighbours, so neither does its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from structq.decoding import Cut
from structq.decoding.processor import RowProcessor
from structq.engines.sampling import Sampler, Sampling

__all__ = [
    "Answer",
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
    cut: Cut | None = None
    """What was said behind the end of the answer, if anything."""
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
    processor: RowProcessor,
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
        processor: What the row may say.
        limits: Where the text ends at the latest.
        sampling: How a token is chosen.
        decode: Tokens to text.
        listen: Called with the tokens of the answer whenever there are new ones.
    """
    sampler = Sampler(sampling, limits.breakers)
    said, output, pending = _Said(prompt, limits.max_tokens), list[int](), list(prompt)
    n_passes = n_forced = 0
    text: str | None = None
    reason: Literal["stop", "length"] = "stop"
    while True:
        forced = processor.forced(said.ids)[: limits.max_tokens - len(output)]
        said.add(forced)
        sampler.said(forced)
        n_forced += len(forced)
        output += forced
        pending += forced
        if listen is not None and output:
            listen(output)
        if processor.is_complete(said.ids):
            break
        if len(output) >= limits.max_tokens:
            reason = "length"
            break
        alone = len(pending) > 1 or not n_passes
        logits = yield Extend(pending) if alone else Step(pending[0])
        n_passes += 1
        sampler.penalise(logits[-1])
        # Outlines types ids and logits as one and the same kind of tensor.
        masked: Any = cast(Any, processor)(said.ids[None], logits[-1:])
        token = sampler.choose(masked[0])
        if token == limits.eos_token_id:
            break
        said.add((token,))
        sampler.said((token,))
        output.append(token)
        pending = [token]
        text = _stopped(output, limits.stop, decode)
        if text is not None:
            break
    cut: Cut | None = None
    answer = decode(output) if text is None else text
    if text is None and reason == "stop":
        answer, cut = processor.finish(answer)
    return Answer(
        text=answer,
        finish_reason=reason,
        n_prompt_tokens=len(prompt),
        n_output_tokens=len(output),
        n_passes=n_passes,
        n_forced_tokens=n_forced,
        cut=cut,
    )


class _Said:
    """The tokens of a row, prompt included, in one array that only grows."""

    def __init__(self, prompt: Sequence[int], n_most: int) -> None:
        self._n = len(prompt)
        self._tokens = np.empty(len(prompt) + n_most + 1, np.int64)
        self._tokens[: self._n] = prompt

    @property
    def ids(self) -> NDArray[np.int64]:
        """Shape ``(n,)``; a view."""
        return self._tokens[: self._n]

    def add(self, tokens: Sequence[int]) -> None:
        """Appends tokens."""
        end = self._n + len(tokens)
        self._tokens[self._n : end] = tokens
        self._n = end


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
