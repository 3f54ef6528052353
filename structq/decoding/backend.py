"""An Outlines backend on llguidance that refuses what it cannot guarantee; knows no models.

Outlines' default backend drops bounds on numbers without a word; this one raises by name.
"""

from __future__ import annotations

import json

from outlines.backends.base import BaseBackend

from structq.decoding.grammar import Grammars
from structq.decoding.processor import RowProcessor
from structq.decoding.text import TextRules
from structq.errors import SchemaError, shorten

__all__ = ["StructqBackend"]


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
    ) -> RowProcessor:
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
        return RowProcessor(self._grammars.matcher(schema, spaced=self._spaced))

    def get_regex_logits_processor(self, regex: str) -> RowProcessor:
        """The processor of an answer that a regular expression matches as a whole.

        Raises:
            SchemaError: Look-around, back references, or anything else that llguidance lacks.
        """
        return RowProcessor(self._grammars.regex_matcher(regex))

    def get_cfg_logits_processor(self, grammar: str) -> RowProcessor:
        """The processor of an answer of a context-free grammar in Lark's notation.

        Raises:
            SchemaError: The grammar is not one that llguidance reads.
        """
        return RowProcessor(self._grammars.lark_matcher(grammar))

    def get_text_logits_processor(self, rules: TextRules) -> RowProcessor:
        """The processor of an answer that is one text and keeps its rules.

        Raises:
            SchemaError: A literal is not valid Unicode.
        """
        return RowProcessor(self._grammars.text_matcher(rules, spaced=self._spaced))
