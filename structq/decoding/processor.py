"""The masks of rows as Outlines logits processors; knows nothing of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from outlines.processors import OutlinesLogitsProcessor

from structq.decoding.grammar import Grammars, RowMatcher
from structq.decoding.text import Cut
from structq.errors import InputError

__all__ = ["ForeignProcessor", "Matcher", "RowProcessor", "RowwiseProcessor"]


class Matcher(Protocol):
    """What one row may say next; `RowMatcher` and `TextMatcher` are two."""

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


class RowProcessor(OutlinesLogitsProcessor):
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


class ForeignProcessor(RowProcessor):
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


class RowwiseProcessor(OutlinesLogitsProcessor):
    """Holds every row of a batch to a schema of its own.

    Follows the protocol of Outlines: ``reset`` before a generation, then one call a step with the
    tokens so far and the logits. Tokens that were there at the first call are the prompt; whatever
    a row gained since the call before is consumed, be it one sampled token or a forced run. A row
    that took the end-of-answer token may only take it again, so rows end when they end. Not for
    beam search, which reorders rows, nor for two generations at once.

    Args:
        grammars: The grammars of the model's tokenizer.
        schemas: One schema a row, in the order of the batch; ``None`` leaves a row free. A single
            one serves every row.
        tensor_library_name: ``"numpy"`` or ``"torch"``: what the model computes with.

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
        if tensor_library_name not in {"numpy", "torch"}:
            raise InputError(
                f"unknown tensor library: {tensor_library_name!r} (numpy or torch)",
                field="tensor_library_name",
            )
        if not schemas:
            raise InputError("schemas is empty: one a row is needed", field="schemas")
        super().__init__(tensor_library_name)
        self._adapter: Any = self.tensor_adapter  # Outlines gives its methods no types
        self._grammars = grammars
        self._schemas = tuple(schemas)
        self._rows: list[_Row] = []
        self._n_seen = 0
        # A bad schema fails here and not in the middle of a generation.
        for schema in self._schemas:
            _Row(grammars, schema)

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
        if not self._rows:
            self._start(input_ids)
        elif input_ids.shape[1] <= self._n_seen:
            raise InputError("no new token since the last step (reset starts a generation)")
        else:
            self._consume(self._adapter.to_list(input_ids[:, self._n_seen :]))
        self._n_seen = input_ids.shape[1]
        expected = (len(self._rows), self._grammars.vocabulary.n_vocab)
        if tuple(logits.shape) != expected:
            raise InputError(f"logits have shape {tuple(logits.shape)} ({expected} expected)")
        return self._masked(logits, ~np.stack([row.allowed() for row in self._rows]))

    def _start(self, input_ids: Any) -> None:
        n_rows = input_ids.shape[0]
        schemas = self._schemas * n_rows if len(self._schemas) == 1 else self._schemas
        if len(schemas) != n_rows:
            raise InputError(
                f"the batch has {n_rows} rows ({len(schemas)} schemas)", field="schemas"
            )
        self._rows = [_Row(self._grammars, schema) for schema in schemas]

    def _consume(self, new: list[list[int]]) -> None:
        for row, tokens in zip(self._rows, new, strict=True):
            for token in tokens:
                row.consume(token)

    def _masked(self, logits: Any, forbidden: NDArray[np.bool_]) -> Any:
        mask: Any = forbidden
        if self._adapter.library_name == "torch":
            mask = self._adapter.torch.from_numpy(forbidden).to(logits.device)
        return self._adapter.apply_mask(logits, mask, -np.inf)


class _Row:
    """One row of a generation: its matcher, and whether it has ended."""

    def __init__(self, grammars: Grammars, schema: Mapping[str, Any] | None) -> None:
        self._vocabulary = grammars.vocabulary
        self._matcher: RowMatcher | None = None if schema is None else grammars.matcher(schema)
        self._ended = False

    def consume(self, token: int) -> None:
        # Models pad the rows that ended while others go on.
        if self._ended:
            return
        if self._matcher is not None:
            self._matcher.consume(token)
        self._ended = token == self._vocabulary.eos_token_id

    def allowed(self) -> NDArray[np.bool_]:
        """Shape ``(n_vocab,)``."""
        if not self._ended and self._matcher is not None:
            return self._matcher.allowed
        allowed = np.full(self._vocabulary.n_vocab, not self._ended)
        allowed[self._vocabulary.eos_token_id] = True
        return allowed
