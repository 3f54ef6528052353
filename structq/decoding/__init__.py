"""Schema to mask, forced runs and label distributions; knows neither DSPy nor models.

What an answer may be is decided here, token by token:

* :class:`Grammars` compiles a JSON Schema once for one vocabulary and hands out a
  :class:`RowMatcher` a row, or a :class:`TextMatcher` where the answer is one text with rules.
* :class:`SlotPlan` says which part of an answer is fixed text and where it has a choice among
  labels, when that is all there is.
* :class:`LabelTrie` turns unmasked logits into the exact distribution over the labels of such a
  slot.
* :func:`read_slots` reads that distribution from what a server returns beside its answer.
* :class:`RowwiseProcessor` is the same masks as an Outlines logits processor, with a schema of its
  own for every row; ``backend`` makes such processors as an Outlines backend, one for each row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structq.decoding.bounds import guarded
from structq.decoding.grammar import Grammars, RowMatcher, schema_text
from structq.decoding.labels import LabelTrie, Measurement, token_paths
from structq.decoding.logprobs import SlotReading, TokenScore, read_slots
from structq.decoding.slots import Slot, SlotPlan
from structq.decoding.text import Cut, TextMatcher, TextRules
from structq.decoding.vocabulary import Vocabulary

if TYPE_CHECKING:
    from structq.decoding.processor import RowwiseProcessor

__all__ = [
    "Cut",
    "Grammars",
    "LabelTrie",
    "Measurement",
    "RowMatcher",
    "RowwiseProcessor",
    "Slot",
    "SlotPlan",
    "SlotReading",
    "TextMatcher",
    "TextRules",
    "TokenScore",
    "Vocabulary",
    "guarded",
    "read_slots",
    "schema_text",
    "token_paths",
]


def __getattr__(name: str) -> Any:
    # Outlines takes half a second to import, and only its users need the processor.
    if name == "RowwiseProcessor":
        from structq.decoding.processor import RowwiseProcessor

        return RowwiseProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
