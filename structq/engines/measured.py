"""A row whose answer is fixed text around label slots: each slot is measured, nothing is sampled.

All fixed text is forced. At a slot the unmasked logits give the exact distribution over the labels,
so K slots cost K passes: the prompt's pass is the first, and each later one carries the label
before it, the text between, and a *draft*. The draft is the beginning that labels of several tokens
share (the ``1`` of ``1`` and ``10``): its logits come with the same pass, and it is dropped again.
Labels that branch more than once (1..100) need one more pass for each further branch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from structq.decoding import LabelTrie, Measurement, Slot, SlotPlan, Vocabulary, token_paths
from structq.engines.rows import Answer, Extend, Logits, MeasuredSlot, Row, Step
from structq.engines.sampling import Sampler, Sampling

__all__ = ["TokenPlan", "measure_row"]

Path = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _TokenSlot:
    """One slot in tokens."""

    forced: tuple[int, ...]
    """Fixed tokens between the label before (or the prompt) and this slot."""
    labels: tuple[str, ...]
    paths: tuple[Path, ...]
    """The tokens of each label."""
    trie: LabelTrie
    draft: Path
    """The longest chain of tokens after which logits are needed."""

    @property
    def n_most(self) -> int:
        """Most columns that the slot's passes write."""
        return len(self.forced) + max(len(path) for path in self.paths)


class TokenPlan:
    """A `SlotPlan` in the tokens of one vocabulary; may be shared between rows and threads.

    Args:
        plan: Texts and slots.
        vocabulary: Of the LM's tokenizer.
    """

    def __init__(self, plan: SlotPlan, vocabulary: Vocabulary) -> None:
        self.plan = plan
        *steps, self._tail = _paired(plan)
        afters = [before for before, _ in steps[1:]] + [self._tail[0]]
        self.slots = tuple(
            _token_slot(before, slot, after, vocabulary)
            for (before, slot), after in zip(steps, afters, strict=True)
            if slot is not None
        )
        self.tail: tuple[int, ...] = tuple(vocabulary.tokenize(self._tail[0]))
        """Tokens of the text after the last slot; no pass is spent on them."""

    @property
    def n_columns(self) -> int:
        """Columns that an answer needs behind its prompt, at most."""
        return sum(slot.n_most for slot in self.slots)


def measure_row(
    prompt: Sequence[int],
    plan: TokenPlan,
    *,
    max_tokens: int | None,
    sampling: Sampling,
    decode: Callable[[Sequence[int]], str],
) -> Row:
    """A row that measures the label distribution at each slot.

    At temperature 0 the label of highest probability is taken, the first of them on a tie;
    otherwise one is drawn. Each slot sees the labels taken before it.
    """
    sampler, counter = Sampler(sampling), _Passes()
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
    return Answer(
        text=decode(output[:max_tokens]) if cut else plan.plan.render(choices),
        finish_reason="length" if cut else "stop",
        n_prompt_tokens=len(prompt),
        n_output_tokens=min(len(output), max_tokens or len(output)),
        n_passes=counter.n,
        n_forced_tokens=len(output) - n_labels,
        slots=tuple(measured),
    )


@dataclass
class _Passes:
    n: int = 0


def _measure(
    slot: _TokenSlot, tokens: Path, drop: int, counter: _Passes
) -> Generator[Extend | Step, Logits, tuple[Measurement, int]]:
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


def _paired(plan: SlotPlan) -> list[tuple[str, Slot | None]]:
    """Each slot with the text before it, and the text after the last slot with ``None``."""
    pairs: list[tuple[str, Slot | None]] = []
    text = ""
    for step in plan.steps:
        if isinstance(step, str):
            text = step
        else:
            pairs.append((text, step))
            text = ""
    return [*pairs, (text, None)]


def _token_slot(before: str, slot: Slot, after: str, vocabulary: Vocabulary) -> _TokenSlot:
    forced, paths = token_paths(vocabulary.tokenize, before, slot.labels)
    closing: NDArray[np.intp] | int = (
        vocabulary.starting_with(after.encode()[:1]) if after else vocabulary.eos_token_id
    )
    trie = LabelTrie(paths, closing=closing)
    return _TokenSlot(
        forced=tuple(forced),
        labels=slot.labels,
        paths=tuple(paths),
        trie=trie,
        draft=max(trie.nodes, key=len),
    )
