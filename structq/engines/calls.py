"""What is asked of a local LM, what it ends with, and the passes between; holds values alone.

A `Generation` is a Python generator. It yields the pass that it needs next, `Extend` or `Append`,
is sent the logits of that pass, and returns a `Completion`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from outlines.processors import OutlinesLogitsProcessor
from outlines.types import JsonSchema

from structq.decoding import Cut, SlotPlan, TextRules
from structq.engines.sampling import Sampling

__all__ = [
    "Append",
    "Call",
    "Completion",
    "Extend",
    "Generation",
    "Logits",
    "MeasuredSlot",
    "ReadText",
]


@dataclass(frozen=True, kw_only=True)
class Call:
    """One prompt and what may answer it."""

    messages: Sequence[tuple[str, str]]
    """``(role, text)`` turns, the oldest first."""
    output_type: JsonSchema | None = None
    """The JSON Schema of the answer as Outlines' output type; free text without one."""
    text: TextRules | None = None
    """What the text of the answer must be; with the schema of that one text, or none."""
    spaced: bool = True
    """JSON as ``json.dumps`` spaces it; else compact."""
    processor: OutlinesLogitsProcessor | None = None
    """In place of a schema: a processor of the caller's own, for numpy. Serves this call alone."""
    measure: bool = False
    """Measure the label slots of the schema instead of generating."""
    slots: SlotPlan | None = None
    """In place of a schema: the fixed text and the slots of an answer to be measured."""
    read: str | None = None
    """In place of an answer: a text whose log probability as the answer is measured."""
    sampling: Sampling = field(default_factory=Sampling)
    """How tokens, or labels, are chosen."""
    draw: str = ""
    """Which of several answers to the prompt is asked for: another one is drawn otherwise."""
    max_tokens: int | None = None
    """Most tokens of the answer; the window limits it in any case."""
    stop: tuple[str, ...] = ()
    """Free text ends before the first of these."""
    listen: Callable[[Sequence[int]], None] | None = None
    """Called in the worker with the tokens so far whenever the row has new ones."""


Logits = NDArray[np.float32]


class Extend(NamedTuple):
    """A pass over this row alone: drop columns from the end of its slot, then append tokens."""

    tokens: Sequence[int]
    n_logits: int = 1
    drop: int = 0


class Append(NamedTuple):
    """A pass that appends one token and may be shared with other rows."""

    token: int


@dataclass(frozen=True, kw_only=True)
class Completion:
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
    read: ReadText | None = None
    """What was measured of a text that was read."""


@dataclass(frozen=True, kw_only=True)
class ReadText:
    """How likely a text is as the answer to a prompt."""

    logprob: float
    """Natural logarithm of the probability of its tokens, the one that ends an answer included."""
    n_tokens: int
    """So many of them."""


@dataclass(frozen=True, kw_only=True)
class MeasuredSlot:
    """One label slot of a measured answer."""

    labels: tuple[str, ...]
    """The labels as they stand in the text."""
    probabilities: NDArray[np.float64]
    """Shape ``(n_labels,)``, in the order of the labels; sums to 1."""
    mass: float
    """Unmasked probability that fell on the labels before normalising."""


Generation = Generator[Extend | Append, Logits, Completion]
