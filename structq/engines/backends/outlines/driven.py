"""Lets rows run in generations that belong to somebody else: one at a time, through a processor.

A row asks for passes and is sent their logits (`structq.engines.calls`). Where the loop over tokens
is a model's own, a logits processor can give the row the logits of each step and leave the model
one token to choose: the next that the row says. So schemas, forced text, measured slots and
sampling are those of every other local LM; the model's own sampling has nothing left to decide.

A row that takes tokens back (a draft that turned out to be none of its answer) cannot be followed
by a generation that only goes on. It is ended, and another one begins with what the row holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from outlines.processors import OutlinesLogitsProcessor

from structq.decoding.tensors import check_library, from_numpy, ids_to_numpy, to_numpy
from structq.engines.calls import Append, Completion, Extend, Generation, Logits
from structq.errors import ClosedError, LMError

__all__ = ["Generations", "Generator", "RowDriver"]


class Generator(Protocol):
    """A model with a loop of its own over tokens."""

    name: str
    """Names the model."""
    eos_token_id: int
    """The token that ends a generation."""
    tensor_library_name: str
    """What its logits are."""
    window: int
    """Most tokens of a row."""

    def generate(
        self, prompt: Sequence[int], processor: OutlinesLogitsProcessor, n_most: int
    ) -> None:
        """Runs one generation of at most ``n_most`` tokens; ``processor`` says what they are."""


class RowDriver(OutlinesLogitsProcessor):
    """Steers generations by a row, until the row has its answer.

    ``reset`` begins a generation, whose prompt has to be ``prompt``; `is_done` says when no other
    one is needed.

    Args:
        row: Not started yet.
        eos_token_id: The token that ends a generation.
        tensor_library_name: What the model's logits are.
    """

    def __init__(self, row: Generation, *, eos_token_id: int, tensor_library_name: str) -> None:
        check_library(tensor_library_name)
        super().__init__(tensor_library_name)
        self._row = row
        self._end = eos_token_id
        self._library = tensor_library_name
        self._held: list[int] = []
        self._queue: deque[int] = deque()
        self._seen: deque[Logits] = deque()
        self._is_over = False
        self.prompt: list[int] = []
        """What the next generation has to begin with."""
        self.answer: Completion | None = None
        """The row's answer, once it has one."""
        self.error: Exception | None = None
        """What went wrong in the row or in the generation."""
        self._plan(next(row), [])

    @property
    def is_done(self) -> bool:
        """Whether the row has its answer or has failed."""
        return self.answer is not None or self.error is not None

    @property
    def is_over(self) -> bool:
        """Whether the generation has done its part."""
        return self._is_over

    def reset(self) -> None:
        """Begins the next generation."""
        self._held = list(self.prompt)
        self._is_over = False

    def process_logits(self, input_ids: Any, logits: Any) -> Any:
        """Minus infinity for every token but the one that the row says next.

        Args:
            input_ids: All tokens of the generation, its prompt included; shape ``(1, n_tokens)``.
            logits: Shape ``(1, n_vocab)``; left as they are.
        """
        only = np.full(tuple(logits.shape), -np.inf, dtype=np.float32)
        only[0, self._next(input_ids, logits)] = 0.0
        return from_numpy(only, logits, self._library)

    def fail(self, reason: str) -> None:
        """Takes note of what the generation did wrong."""
        self.error = LMError(reason)
        self._is_over = True

    def _next(self, input_ids: Any, logits: Any) -> int:
        # mlx-lm computes one step more than it needs.
        if not self._is_over and self._is_obeyed(ids_to_numpy(input_ids, self._library)[0]):
            self._seen.append(to_numpy(logits, self._library)[0])
            if not self._queue:
                self._advance()
        if self._is_over:
            return self._end
        token = self._queue.popleft()
        self._held.append(token)
        return token

    def _is_obeyed(self, said: Any) -> bool:
        # Something behind this processor may have chosen otherwise: nothing would be guaranteed.
        if len(said) == len(self._held) and said[-1] == self._held[-1]:
            return True
        self.fail(
            f"the model does not say what its logits processor leaves it: it is at token "
            f"{len(said)}, {said[-1]} ({self._held[-1]} at {len(self._held)} was left)"
        )
        return False

    def _advance(self) -> None:
        """Gives the row the logits that it asked for, and takes its next wish."""
        try:
            need = self._row.send(np.stack(self._seen))
        except StopIteration as end:
            self.answer, self._is_over = end.value, True
        except Exception as error:  # in a callback of llama.cpp it would be lost
            self.error, self._is_over = error, True
        else:
            self._follow(need if isinstance(need, Extend) else _extended(need))

    def _follow(self, need: Extend) -> None:
        n_kept = len(self._held) - need.drop
        dropped, tokens = self._held[n_kept:], list(need.tokens)
        goes_on = tokens[: need.drop] == dropped and len(tokens) - need.drop >= need.n_logits
        if goes_on:
            self._queue.extend(tokens[need.drop :])
            self._seen = deque(maxlen=need.n_logits)
        else:
            self._plan(need, self._held[:n_kept])
            self._is_over = True

    def _plan(self, need: Extend | Append, held: list[int]) -> None:
        """Plans a generation that begins with what the row holds."""
        wish = need if isinstance(need, Extend) else _extended(need)
        whole = [*held, *wish.tokens]
        n_prompt = len(whole) - wish.n_logits + 1
        self.prompt, self._queue = whole[:n_prompt], deque(whole[n_prompt:])
        self._seen = deque(maxlen=wish.n_logits)


class Generations:
    """Runs rows as generations of one model, one after the other; safe to use from any thread.

    A future can be cancelled until its row has begun.
    """

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._worker = ThreadPoolExecutor(1, thread_name_prefix=f"structq-{generator.name}")
        self._closed = False

    def submit(self, row: Generation) -> Future[Completion]:
        """Queues a row.

        Raises:
            ClosedError: It is closed.
        """
        try:
            return self._worker.submit(self._run, row)
        except RuntimeError as error:
            raise ClosedError from error

    def submit_all(self, rows: Sequence[Generation]) -> list[Future[Completion]]:
        """Queues rows; futures in order."""
        return [self.submit(row) for row in rows]

    def close(self) -> None:
        """Ends the rows that wait with `ClosedError`; may be called twice."""
        self._closed = True
        self._worker.shutdown(wait=False)

    def _run(self, row: Generation) -> Completion:
        if self._closed:
            raise ClosedError
        model = self._generator
        driver = RowDriver(
            row,
            eos_token_id=model.eos_token_id,
            tensor_library_name=model.tensor_library_name,
        )
        while not driver.is_done:
            model.generate(driver.prompt, driver, model.window - len(driver.prompt) + 1)
            if not driver.is_over:
                driver.fail("the model ended its text before its logits processor did")
        if driver.error is not None:
            raise driver.error
        if driver.answer is None:
            raise LMError("the row has no answer")
        return driver.answer


def _extended(step: Append) -> Extend:
    return Extend((step.token,))
