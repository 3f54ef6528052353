"""Programs as numbers: which columns the regression of ``credit`` has, and what stands in them.

The columns of a layout are, in this order: the number of sentences, its square, each sentence, each
sentence in each mutation, pairs of sentences, whole texts. At most some hundred: what is least
promising or least often seen gets none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .votes import Hopes

__all__ = ["GROUPS", "Layout", "make_layout"]

Floats = NDArray[np.float64]
Text = tuple[int, ...]
Key = TypeVar("Key", bound=Any)

GROUPS = ("count", "bend", "sentence", "specific", "pair", "text")
BEND_UNIT = 8.0
_MOST_SENTENCES, _MOST_SPECIFIC, _MOST_PAIRS, _MOST_TEXTS = 64, 30, 48, 32
_FEWEST_SEEN = 3


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the columns stand for."""

    n_mutations: int
    """How many mutations share their evidence."""
    sentences: tuple[int, ...]
    """Sentences with a column."""
    specific: tuple[int, ...]
    """Places in ``sentences`` of those that have one for each mutation too."""
    pairs: tuple[tuple[int, int], ...]
    """Two places in ``sentences`` each."""
    texts: tuple[Text, ...]
    """Whole texts."""

    @cached_property
    def place(self) -> dict[int, int]:
        """Sentence to its place."""
        return {sentence: i for i, sentence in enumerate(self.sentences)}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Columns of each group."""
        n_specific = self.n_mutations * len(self.specific)
        counts = (1, 1, len(self.sentences), n_specific, len(self.pairs), len(self.texts))
        return dict(zip(GROUPS, counts, strict=True))

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Number of its group for each column."""
        return np.repeat(np.arange(len(GROUPS)), list(self.sizes.values()))

    def part(self, group: str) -> slice:
        """Where the columns of a group are."""
        start = int(np.searchsorted(self.groups, GROUPS.index(group)))
        return slice(start, start + self.sizes[group])

    def rows(self, texts: Sequence[Text], mutations: Sequence[int]) -> Floats:
        """One row for each text in its mutation."""
        n = len(texts)
        inside = np.zeros((n, len(self.sentences)))
        for row, text in enumerate(texts):
            for sentence in text:
                if (place := self.place.get(sentence)) is not None:
                    inside[row, place] = 1.0
        size = np.array([float(len(text)) for text in texts]).reshape(n, 1)
        here = np.asarray(mutations, dtype=np.int64)[:, None] == np.arange(self.n_mutations)
        special = inside[:, list(self.specific)]
        ends = np.array(self.pairs, dtype=np.int64).reshape(-1, 2)
        whole = np.zeros((n, len(self.texts)))
        numbers = {text: i for i, text in enumerate(self.texts)}
        for row, text in enumerate(texts):
            if text in numbers:
                whole[row, numbers[text]] = 1.0
        return np.hstack([
            size, size**2 / BEND_UNIT, inside,
            (here[:, :, None] * special[:, None, :]).reshape(n, self.sizes["specific"]),
            inside[:, ends[:, 0]] * inside[:, ends[:, 1]],
            whole,
        ])  # fmt: skip

    def lift(self, hopes: Hopes) -> Floats:
        """What one unit of trust in proposers adds to each column; shape (columns, 2)."""
        lift = np.zeros((len(self.groups), 2))
        alone = [hopes.alone.get(sentence, 0.0) for sentence in self.sentences]
        lift[self.part("sentence"), 0] = alone
        for row, (i, j) in enumerate(self.pairs, start=self.part("pair").start):
            pair = sorted((self.sentences[i], self.sentences[j]))
            lift[row, 1] = hopes.together.get((pair[0], pair[1]), 0.0)
        return lift


def make_layout(
    seen: Mapping[Text, int],
    n_sentences: int,
    hopes: Hopes,
    promise: Floats,
    *,
    n_mutations: int,
    specific: bool,
) -> Layout:
    """The columns that are worth having.

    Args:
        seen: How often each text was tried.
        n_sentences: How many sentences there are.
        hopes: What proposers stand behind.
        promise: What was believed of each sentence before; the least promising go first.
        n_mutations: How many mutations share their evidence.
        specific: Whether sentences may be worth something else in each mutation.
    """
    kept = np.argsort(-promise, kind="stable")[:_MOST_SENTENCES]
    sentences = tuple(sorted(int(i) for i in kept))
    place = {sentence: i for i, sentence in enumerate(sentences)}
    often: Counter[int] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    for text, n in seen.items():
        inside = [place[i] for i in text if i in place]
        often.update(dict.fromkeys(inside, n))
        for k, i in enumerate(inside):
            for j in inside[k + 1 :]:
                pairs[i, j] += n
    hoped = {
        (place[i], place[j]): 1e6 * hope
        for (i, j), hope in hopes.together.items()
        if i in place and j in place
    }
    rank = {pair: n + hoped.get(pair, 0.0) for pair, n in pairs.items()} | {
        pair: hope + pairs[pair] for pair, hope in hoped.items()
    }
    whole = [text for text, n in seen.items() if n >= _FEWEST_SEEN and len(text) > 1]
    return Layout(
        n_mutations=n_mutations,
        sentences=sentences,
        specific=tuple(sorted(_first(often, _MOST_SPECIFIC))) if specific else (),
        pairs=tuple(_first(rank, _MOST_PAIRS)),
        texts=tuple(sorted(whole, key=lambda text: (-seen[text], text))[:_MOST_TEXTS]),
    )


def _first(rank: Mapping[Key, float], n: int) -> list[Key]:
    """The keys of the highest values; on a tie the smaller key."""
    return sorted(rank, key=lambda key: (-rank[key], key))[:n]
