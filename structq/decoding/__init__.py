"""Schema to mask, forced runs and label distributions; knows neither DSPy nor models.

What an answer may be is decided here, token by token:

* :class:`Grammars` compiles a JSON Schema once for one vocabulary and hands out a
  :class:`GrammarMatcher` a row, or a :class:`TextMatcher` where the answer is one text with rules.
* :class:`SlotPlan` says which part of an answer is fixed text and where it has a choice among
  labels, when that is all there is.
* :class:`LabelTrie` turns unmasked logits into the exact distribution over the labels of such a
  slot.
* :func:`read_slots` reads that distribution from what a server returns beside its answer.
* ``processor`` is the same masks as Outlines logits processors, and the Outlines backend that makes
  them; :class:`RowwiseProcessor` holds a whole batch, with a schema of its own for every row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structq.decoding.grammar import GrammarMatcher, Grammars, schema_text
from structq.decoding.labels import LabelTrie, Measurement, TokenPlan, TokenSlot, token_paths
from structq.decoding.logprobs import SlotReading, TokenScore, read_slots
from structq.decoding.rules import Cut, TextRules
from structq.decoding.schema_grammar import guarded
from structq.decoding.slots import Slot, SlotPlan
from structq.decoding.text import TextMatcher
from structq.decoding.vocabulary import Vocabulary

if TYPE_CHECKING:
    from structq.decoding.rowwise import RowwiseProcessor

__all__ = [
    "Cut",
    "GrammarMatcher",
    "Grammars",
    "LabelTrie",
    "Measurement",
    "RowwiseProcessor",
    "Slot",
    "SlotPlan",
    "SlotReading",
    "TextMatcher",
    "TextRules",
    "TokenPlan",
    "TokenScore",
    "TokenSlot",
    "Vocabulary",
    "guarded",
    "read_slots",
    "schema_text",
    "token_paths",
]


def __getattr__(name: str) -> Any:
    # Outlines takes half a second to import, and only its users need the processor.
    if name == "RowwiseProcessor":
        from structq.decoding.rowwise import RowwiseProcessor

        return RowwiseProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
