"""The exact distribution over labels of one or several tokens; knows nothing of schemas.

A label is a path of tokens. Its probability under the model is the product of the *unmasked*
probabilities along that path, so that a label of two tokens is not favoured by what a mask would
take away from its rivals. A label whose path is the beginning of a longer one (``1`` and ``10`` in
single digits) also needs the model to stop there: its product is multiplied by the probability
that the next token *closes* the label. A token closes if its bytes start with the byte that
follows the label in the answer (``,`` or ``]`` after a score), whatever else it holds. Normalised
once, at the end: to renormalise at every token, as masked sampling does, is another distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from structq.decoding.slots import Slot, SlotPlan
from structq.decoding.vocabulary import Vocabulary
from structq.errors import InputError, LMError

__all__ = ["LabelTrie", "Measurement", "TokenPlan", "TokenSlot", "token_paths"]

Path = tuple[int, ...]


@dataclass(frozen=True)
class Measurement:
    """What one slot's logits say about its labels."""

    probabilities: NDArray[np.float64]
    """Shape ``(n_labels,)``, in the order of the labels; sums to 1."""

    mass: float
    """Unmasked probability, 0 to 1, of all labels: low where the model meant something else."""


class LabelTrie:
    """Turns unmasked logits into the distribution over the labels.

    Args:
        paths: The tokens of each label, canonical; all different, none empty.
        closing: Ids of the tokens that end a label which is the beginning of a longer one. Needed
            only then.

    Raises:
        InputError: A path is empty or given twice, or ``closing`` is empty where it is needed or
            continues a label.
    """

    def __init__(
        self, paths: Sequence[Path], *, closing: NDArray[np.intp] | int | None = None
    ) -> None:
        self._paths = tuple(tuple(path) for path in paths)
        self._closing = np.unique(np.asarray([] if closing is None else closing, dtype=np.intp))
        if not self._paths or () in self._paths:
            raise InputError("a label needs at least one token", field="paths")
        if len(set(self._paths)) < len(self._paths):
            raise InputError("two labels have the same tokens", field="paths")
        inner = {path[:length] for path in self._paths for length in range(len(path))}
        self._nodes = tuple(sorted(inner, key=lambda node: (len(node), node)))
        self._stops = frozenset(inner.intersection(self._paths))
        self._check_closing()

    @property
    def nodes(self) -> tuple[Path, ...]:
        """The token prefixes after which logits are needed: the empty one first, then by length."""
        return self._nodes

    def measure(self, logits: Mapping[Path, NDArray[np.float32]]) -> Measurement:
        """The distribution over the labels.

        Args:
            logits: For every one of :attr:`nodes` the unmasked logits of the token after it, shape
                ``(n_vocab,)``.

        Raises:
            LMError: The logits give no label any probability, or are not numbers.
        """
        scores = {node: _log_softmax(logits[node]) for node in self._nodes}
        logs = np.array([self._log_probability(path, scores) for path in self._paths])
        log_mass = _log_sum_exp(logs)
        if not np.isfinite(log_mass):
            raise LMError(f"the logits give no label any probability: log mass {log_mass}")
        probabilities = np.exp(logs - log_mass)
        return Measurement(probabilities / probabilities.sum(), min(float(np.exp(log_mass)), 1.0))

    def _log_probability(self, path: Path, scores: Mapping[Path, NDArray[np.float64]]) -> float:
        total = sum(float(scores[path[:at]][token]) for at, token in enumerate(path))
        if path in self._stops:
            total += _log_sum_exp(scores[path][self._closing])
        return total

    def _check_closing(self) -> None:
        if self._stops and not self._closing.size:
            raise InputError(
                "a label is the beginning of another: closing tokens are needed", field="closing"
            )
        following = {
            path[len(stop)]
            for stop in self._stops
            for path in self._paths
            if len(path) > len(stop) and path[: len(stop)] == stop
        }
        if following.intersection(self._closing.tolist()):
            raise InputError("a closing token goes on with a label", field="closing")


def token_paths(
    tokenize: Callable[[str], Sequence[int]], before: str, labels: Sequence[str]
) -> tuple[list[int], list[Path]]:
    """Tokens to force before a slot, and the path of each label after them.

    Each label is tokenized together with the text before it, and only what all of them share is
    forced. So a token that covers the end of that text and the beginning of a label is scored and
    not cut in two.

    Args:
        tokenize: Text to canonical tokens, for a text that goes on from another
            (:meth:`Vocabulary.tokenize`).
        before: The fixed text between the slot before (or the start of the answer) and this one.
        labels: The text of each label.

    Returns:
        The shared tokens and one path a label, none of them empty.
    """
    whole = [tuple(tokenize(before + label)) for label in labels]
    most = min(len(path) for path in whole) - 1
    shared = next((at for at in range(most) if len({path[at] for path in whole}) > 1), most)
    return list(whole[0][:shared]), [path[shared:] for path in whole]


@dataclass(frozen=True, kw_only=True)
class TokenSlot:
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


def _token_slot(before: str, slot: Slot, after: str, vocabulary: Vocabulary) -> TokenSlot:
    forced, paths = token_paths(vocabulary.tokenize, before, slot.labels)
    closing: NDArray[np.intp] | int = (
        vocabulary.starting_with(after.encode()[:1]) if after else vocabulary.eos_token_id
    )
    trie = LabelTrie(paths, closing=closing)
    return TokenSlot(
        forced=tuple(forced),
        labels=slot.labels,
        paths=tuple(paths),
        trie=trie,
        draft=max(trie.nodes, key=len),
    )


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = np.asarray(logits, dtype=np.float64)
    return wide - _log_sum_exp(wide)


def _log_sum_exp(values: NDArray[np.float64]) -> float:
    """Stable for any size of the values; minus infinity where they all are."""
    highest = float(np.max(values))
    if not np.isfinite(highest):
        return highest
    return highest + float(np.log(np.sum(np.exp(values - highest))))
