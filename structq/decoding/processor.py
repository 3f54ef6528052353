"""What one answer may say as Outlines wants it: logits processors, and a backend that makes them.

Outlines' default backend drops bounds on numbers without a word; this one, on llguidance, refuses
by name what it cannot guarantee. Knows nothing of the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from outlines.backends.base import BaseBackend
from outlines.processors import OutlinesLogitsProcessor
from outlines.types import JsonSchema

from structq.decoding.grammar import Grammars, schema_text
from structq.decoding.rules import Cut, TextRules
from structq.errors import SchemaError, shorten

__all__ = ["ForeignProcessor", "Matcher", "MatcherProcessor", "StructqBackend", "json_schema"]


class Matcher(Protocol):
    """What one row may say next; `GrammarMatcher` and `TextMatcher` are two."""

    def apply(self, logits: NDArray[np.float32]) -> None:
        """Writes ``-inf`` over the logits ``(n_vocab,)`` of every token that is not allowed."""

    def consume(self, token: int) -> None:
        """Takes note that the row said this token."""

    def forced(self) -> list[int]:
        """Tokens that can only come next; not consumed."""

    def finish(self, text: str) -> tuple[str, Cut | None]:
        """The answer as it counts, and what was cut off its end."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing but the end of the text can follow."""


class MatcherProcessor(OutlinesLogitsProcessor):
    """Holds one row to its matcher, for numpy.

    Called as Outlines calls it: with all tokens so far and the logits, which it masks in place.
    What stands before the first call is the prompt. Besides, it can be asked what comes next
    without a pass: see `forced`.

    Args:
        matcher: At the start of an answer.
    """

    def __init__(self, matcher: Matcher) -> None:
        super().__init__("numpy")
        self._matcher = matcher
        self._n_seen = -1
        self.n_needed: int = getattr(matcher, "n_needed", 1)
        """Tokens of the shortest answer, about."""

    def process_logits(self, input_ids: Any, logits: Any) -> Any:
        """The logits ``(1, n_vocab)``, masked in place; ``input_ids`` is ``(1, n_tokens)``.

        Raises:
            LMError: The row took a token that it was not allowed.
        """
        self._see(input_ids[0])
        self._matcher.apply(logits[0])
        return logits

    def forced(self, input_ids: NDArray[np.int64]) -> list[int]:
        """Tokens that can only come behind ``input_ids``, shape ``(n_tokens,)``."""
        self._see(input_ids)
        return self._matcher.forced()

    def is_complete(self, input_ids: NDArray[np.int64]) -> bool:
        """Whether nothing but the end can come behind ``input_ids``, shape ``(n_tokens,)``."""
        self._see(input_ids)
        return self._matcher.is_complete

    def finish(self, text: str) -> tuple[str, Cut | None]:
        """The answer as it counts, and what was cut off its end."""
        return self._matcher.finish(text)

    def _see(self, tokens: NDArray[np.int64]) -> None:
        if self._n_seen < 0:
            self._n_seen = len(tokens)
        for token in tokens[self._n_seen :].tolist():
            self._matcher.consume(token)
        self._n_seen = len(tokens)


class ForeignProcessor(MatcherProcessor):
    """Any Outlines processor for numpy, which can say nothing but its masks."""

    def __init__(self, processor: OutlinesLogitsProcessor) -> None:
        OutlinesLogitsProcessor.__init__(self, "numpy")
        self._processor = processor
        self.n_needed = 1

    def process_logits(self, input_ids: Any, logits: Any) -> Any:
        """What the other makes of the logits."""
        return np.asarray(self._processor(input_ids, logits))

    def forced(self, input_ids: NDArray[np.int64]) -> list[int]:
        """Nothing that is known."""
        return []

    def is_complete(self, input_ids: NDArray[np.int64]) -> bool:
        """Not that it is known."""
        return False

    def finish(self, text: str) -> tuple[str, Cut | None]:
        """The whole text."""
        return text, None


class StructqBackend(BaseBackend):
    """Makes the logits processor of one row from what Outlines calls output types.

    A processor serves one row of one generation: make one for each.

    Args:
        grammars: The grammars of the model's tokenizer.
        spaced: JSON as ``json.dumps`` spaces it; else compact.
    """

    def __init__(self, grammars: Grammars, *, spaced: bool = True) -> None:
        self._grammars = grammars
        self._spaced = spaced

    def get_json_schema_logits_processor(
        self, json_schema: str, whitespace_pattern: str | None = None
    ) -> MatcherProcessor:
        """The processor of an answer that obeys a JSON Schema, keys in its order.

        Raises:
            SchemaError: A keyword that cannot be guaranteed, or a pattern for white space: a
                flexible one lets a model emit it without end.
        """
        if whitespace_pattern is not None:
            raise SchemaError(
                f"white space is fixed: found the pattern {shorten(whitespace_pattern)} (None is "
                "allowed)",
                keyword="whitespace_pattern",
            )
        try:
            schema = json.loads(json_schema)
        except ValueError as error:
            raise SchemaError(f"the schema is not JSON: {error}", keyword="schema") from error
        return MatcherProcessor(self._grammars.matcher(schema, spaced=self._spaced))

    def get_regex_logits_processor(self, regex: str) -> MatcherProcessor:
        """The processor of an answer that a regular expression matches as a whole.

        Raises:
            SchemaError: Look-around, back references, or anything else that llguidance lacks.
        """
        return MatcherProcessor(self._grammars.regex_matcher(regex))

    def get_cfg_logits_processor(self, grammar: str) -> MatcherProcessor:
        """The processor of an answer of a context-free grammar in Lark's notation.

        Raises:
            SchemaError: The grammar is not one that llguidance reads.
        """
        return MatcherProcessor(self._grammars.lark_matcher(grammar))

    def get_text_logits_processor(self, rules: TextRules) -> MatcherProcessor:
        """The processor of an answer that is one text and keeps its rules.

        Raises:
            SchemaError: A literal is not valid Unicode.
        """
        return MatcherProcessor(self._grammars.text_matcher(rules, spaced=self._spaced))


def json_schema(schema: Mapping[str, Any]) -> JsonSchema:
    """A JSON Schema as Outlines' output type, made once for each schema.

    Raises:
        SchemaError: It is not JSON, or no schema.
    """
    return _json_schema(schema_text(schema))


@lru_cache(maxsize=512)
def _json_schema(text: str) -> JsonSchema:
    try:
        return JsonSchema(text)
    except Exception as error:  # of the package that Outlines checks schemas with
        reason = str(error).partition("\n")[0]
        raise SchemaError(f"the schema is no JSON Schema: {reason}", keyword="schema") from error
