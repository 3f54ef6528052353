"""What one generation does from its prompt to its completion; knows nothing of the others.

Whoever drives it may join the passes of many into one; nothing that a generation asks for depends
on its neighbours, so neither does its completion.

A text is chosen token by token, with forced tokens appended unsampled. Label slots are *measured*:
all fixed text is forced, and at a slot the unmasked logits give the exact distribution over the
labels. So K slots cost K passes: the prompt's pass is the first, and each later one carries the
label before it, the text between, and a *draft*. The draft is the beginning that labels of several
tokens share (the ``1`` of ``1`` and ``10``): its logits come with the same pass, and it is dropped
again. Labels that branch more than once (1..100) need one more pass for each further branch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from structq.decoding import Cut, Measurement, TokenPlan, TokenSlot
from structq.decoding.processor import MatcherProcessor
from structq.engines.calls import (
    Append,
    Completion,
    Extend,
    Generation,
    Logits,
    MeasuredSlot,
    ReadText,
)
from structq.engines.sampling import Sampler, Sampling

__all__ = ["TextLimits", "generate_text", "measure_labels", "read_text"]

_READ_TOKENS = 128
"""Tokens of a text that are read in one pass: each has logits over the whole vocabulary."""


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


def generate_text(
    prompt: Sequence[int],
    processor: MatcherProcessor,
    *,
    limits: TextLimits,
    sampling: Sampling,
    decode: Callable[[Sequence[int]], str],
    draw: str = "",
    listen: Callable[[Sequence[int]], None] | None = None,
) -> Generation:
    """A row that answers token by token, with forced tokens appended unsampled.

    Forced tokens ride on the next pass that is needed anyway: at the start they join the prompt's
    pass, at the end they cost none.

    Args:
        prompt: Tokens of the prompt; at least one.
        processor: What the row may say.
        limits: Where the text ends at the latest.
        sampling: How a token is chosen.
        decode: Tokens to text.
        draw: Which of several answers to the prompt it is.
        listen: Called with the tokens of the answer whenever there are new ones.
    """
    sampler = Sampler(sampling, limits.breakers, prompt=prompt, draw=draw)
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
        logits = yield Extend(pending) if alone else Append(pending[0])
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
    return Completion(
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


def measure_labels(
    prompt: Sequence[int],
    plan: TokenPlan,
    *,
    max_tokens: int | None,
    sampling: Sampling,
    decode: Callable[[Sequence[int]], str],
    draw: str = "",
) -> Generation:
    """A row that measures the label distribution at each slot.

    At temperature 0 the label of highest probability is taken, the first of them on a tie;
    otherwise one is drawn. Each slot sees the labels taken before it.
    """
    sampler, counter = Sampler(sampling, prompt=prompt, draw=draw), _Passes()
    pending, output = tuple(prompt), list[int]()
    measured: list[MeasuredSlot] = []
    choices: list[int] = []
    drop = 0
    for slot in plan.slots:
        found, drop = yield from _measure(slot, (*pending, *slot.forced), drop, counter)
        choices.append(_choose(found.probabilities, sampler))
        pending = slot.paths[choices[-1]]
        output += [*slot.forced, *pending]
        measured.append(
            MeasuredSlot(labels=slot.labels, probabilities=found.probabilities, mass=found.mass)
        )
    n_labels = sum(len(slot.paths[at]) for slot, at in zip(plan.slots, choices, strict=True))
    output += plan.tail
    cut = max_tokens is not None and len(output) > max_tokens
    return Completion(
        text=decode(output[:max_tokens]) if cut else plan.plan.render(choices),
        finish_reason="length" if cut else "stop",
        n_prompt_tokens=len(prompt),
        n_output_tokens=min(len(output), max_tokens or len(output)),
        n_passes=counter.n,
        n_forced_tokens=len(output) - n_labels,
        slots=tuple(measured),
    )


def read_text(prompt: Sequence[int], text: Sequence[int], eos_token_id: int) -> Generation:
    """A row that says nothing: it measures how likely a text is as the whole answer to the prompt.

    Prefill alone; texts behind one prompt share its columns where the runtime shares beginnings.

    Args:
        prompt: Tokens of the prompt; at least one.
        text: Tokens of the text; may be none.
        eos_token_id: The token that ends an answer, and is counted as its last.
    """
    said = [*text, eos_token_id]
    total, n_passes, behind = 0.0, 0, list(prompt)
    for first in range(0, len(said), _READ_TOKENS):
        part = said[first : first + _READ_TOKENS]
        logits = yield Extend([*behind, *part[:-1]], n_logits=len(part))
        n_passes += 1
        total += float(_logprobs_of(logits, part).sum())
        behind = part[-1:]
    return Completion(
        text="",
        finish_reason="stop",
        n_prompt_tokens=len(prompt),
        n_output_tokens=len(text),
        n_passes=n_passes,
        n_forced_tokens=len(text),
        read=ReadText(logprob=total, n_tokens=len(said)),
    )


def _logprobs_of(logits: Logits, tokens: Sequence[int]) -> NDArray[np.float64]:
    """The log probability of each token under the logits before it."""
    chosen = logits[np.arange(len(tokens)), tokens].astype(np.float64)
    peak = logits.max(axis=1, keepdims=True)
    sums = np.exp(logits - peak).sum(axis=1, dtype=np.float64)
    found: NDArray[np.float64] = chosen - peak[:, 0] - np.log(sums)
    return found


@dataclass
class _Passes:
    n: int = 0


def _measure(
    slot: TokenSlot, tokens: tuple[int, ...], drop: int, counter: _Passes
) -> Generator[Extend | Append, Logits, tuple[Measurement, int]]:
    """The measurement of one slot, and how many columns the next pass has to drop."""
    draft = slot.draft
    logits = yield Extend((*tokens, *draft), n_logits=len(draft) + 1, drop=drop)
    counter.n += 1
    seen = {draft[:at]: logits[at] for at in range(len(draft) + 1)}
    drop = len(draft)
    for node in slot.trie.nodes:
        if node not in seen:
            logits = yield Extend(node, drop=drop)
            counter.n += 1
            seen[node] = logits[-1]
            drop = len(node)
    return slot.trie.measure(seen), drop


def _choose(probabilities: NDArray[np.float64], sampler: Sampler) -> int:
    with np.errstate(divide="ignore"):
        return sampler.choose(np.log(probabilities))
