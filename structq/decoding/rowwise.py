"""The masks of a whole batch as one Outlines logits processor, with a schema for every row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from outlines.processors import OutlinesLogitsProcessor

from structq.decoding.grammar import Grammars
from structq.decoding.processor import Matcher, MatcherProcessor
from structq.decoding.rules import Cut
from structq.decoding.tensors import check_library, from_numpy, ids_to_numpy, to_numpy
from structq.errors import InputError

__all__ = ["RowwiseProcessor"]


class RowwiseProcessor(OutlinesLogitsProcessor):
    """Holds every row of a batch to a schema of its own: a `MatcherProcessor` for each.

    Follows the protocol of Outlines: ``reset`` before a generation, then one call a step with the
    tokens so far and the logits. Tokens that were there at the first call are the prompt; whatever
    a row gained since the call before is consumed, be it one sampled token or a forced run. A row
    that took the end-of-answer token may only take it again, so rows end when they end. Not for
    beam search, which reorders rows, nor for two generations at once.

    Args:
        grammars: The grammars of the model's tokenizer.
        schemas: One schema a row, in the order of the batch; ``None`` leaves a row free. A single
            one serves every row.
        tensor_library_name: ``"numpy"``, ``"torch"`` or ``"mlx"``: what the model computes with.

    Raises:
        InputError: No schema, or another tensor library.
        SchemaError: A schema cannot be guaranteed.
    """

    def __init__(
        self,
        grammars: Grammars,
        schemas: Sequence[Mapping[str, Any] | None],
        *,
        tensor_library_name: str = "numpy",
    ) -> None:
        check_library(tensor_library_name)
        if not schemas:
            raise InputError("schemas is empty: one a row is needed", field="schemas")
        super().__init__(tensor_library_name)
        self._library = tensor_library_name
        self._grammars = grammars
        self._schemas = tuple(schemas)
        self._rows: list[MatcherProcessor] = []
        self._n_seen = 0
        # A bad schema fails here and not in the middle of a generation.
        for schema in self._schemas:
            self._row(schema)

    def reset(self) -> None:
        """Forget the generation; the next call starts another one."""
        self._rows = []
        self._n_seen = 0

    def process_logits(self, input_ids: Any, logits: Any) -> Any:
        """The logits with minus infinity wherever a row's schema forbids the token.

        Args:
            input_ids: Shape ``(n_rows, n_tokens)``.
            logits: Shape ``(n_rows, n_vocab)``; left as they are.

        Raises:
            InputError: Another number of rows or columns than expected, or no new token since the
                last call.
            LMError: A row took a token that it was not allowed.
        """
        n_rows, n_tokens = input_ids.shape
        if not self._rows:
            self._start(n_rows)
        elif n_tokens <= self._n_seen:
            raise InputError("no new token since the last step (reset starts a generation)")
        self._n_seen = n_tokens
        expected = (len(self._rows), self._grammars.vocabulary.n_vocab)
        if tuple(logits.shape) != expected:
            raise InputError(f"logits have shape {tuple(logits.shape)} ({expected} expected)")
        said, masked = ids_to_numpy(input_ids, self._library), to_numpy(logits, self._library)
        for at, row in enumerate(self._rows):
            row.process_logits(said[at : at + 1], masked[at : at + 1])
        return from_numpy(masked, logits, self._library)

    def _start(self, n_rows: int) -> None:
        schemas = self._schemas * n_rows if len(self._schemas) == 1 else self._schemas
        if len(schemas) != n_rows:
            raise InputError(
                f"the batch has {n_rows} rows ({len(schemas)} schemas)", field="schemas"
            )
        self._rows = [self._row(schema) for schema in schemas]

    def _row(self, schema: Mapping[str, Any] | None) -> MatcherProcessor:
        matcher = None if schema is None else self._grammars.matcher(schema)
        return MatcherProcessor(_UntilEnd(matcher, self._grammars.vocabulary.eos_token_id))


class _UntilEnd:
    """A matcher that goes on behind the end: models pad the rows that ended while others go on.

    Args:
        matcher: What holds until then; ``None`` allows everything.
        eos_token_id: The end.
    """

    def __init__(self, matcher: Matcher | None, eos_token_id: int) -> None:
        self._matcher = matcher
        self._end = eos_token_id
        self._ended = False

    @property
    def is_complete(self) -> bool:
        return self._ended or (self._matcher is not None and self._matcher.is_complete)

    def apply(self, logits: NDArray[np.float32]) -> None:
        if self._ended:
            logits.fill(-np.inf)
            logits[self._end] = 0.0
        elif self._matcher is not None:
            self._matcher.apply(logits)

    def consume(self, token: int) -> None:
        if self._ended:
            return
        if self._matcher is not None:
            self._matcher.consume(token)
        self._ended = token == self._end

    def forced(self) -> list[int]:
        return [] if self._ended or self._matcher is None else self._matcher.forced()

    def finish(self, text: str) -> tuple[str, Cut | None]:
        return (text, None) if self._matcher is None else self._matcher.finish(text)
