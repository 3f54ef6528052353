"""What a run does around the questions of a row: it keeps their answers, and sends them at a pace.

Knows nothing of where they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, Protocol, Self

import dspy

from structq.adapter import Answer

__all__ = ["KEEPER", "Keeper", "Kept", "Tokens", "question_key"]


Tokens = tuple[int, int]
"""Of a prompt and of its answer; 0 where the LM does not count."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """An answer that obeyed its schema and its checks."""

    fields: dict[str, Any]
    """Output fields."""
    answer: Answer
    """It, as it came."""
    record: dict[str, Any]
    """Its part of ``metadata["calls"]``."""

    def dump(self) -> dict[str, Any]:
        """As JSON values."""
        answer = vars(self.answer)
        if (measured := self.answer.measurement) is not None:
            answer = {**answer, "measurement": [asdict(one) for one in measured]}
        return {"fields": self.fields, "answer": answer, "record": self.record}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Self:
        """From what `dump` gave."""
        answer = Answer.load(values["answer"])
        return cls(fields=dict(values["fields"]), answer=answer, record=dict(values["record"]))


class Keeper(Protocol):
    """What a run does around the questions of one row."""

    def recall(self, key: bytes) -> Kept | None:
        """The answer of an earlier run to this question; asked once a question, in their order."""

    def keep(self, key: bytes, kept: Kept) -> None:
        """Takes an answer, before anything depends on it."""

    async def send(
        self, lm: dspy.BaseLM, call: Callable[[], Awaitable[Any]], used: Callable[[], Tokens]
    ) -> Any:
        """What the call returns, at a time and as often as the run sees fit.

        Args:
            lm: Who is asked.
            call: Asks once.
            used: Tokens in and out of the last answer that came.
        """


KEEPER: ContextVar[Keeper | None] = ContextVar("structq-keeper", default=None)
"""Of the row that is worked on; ``None`` outside of a run."""


def question_key(
    predict: dspy.Predict, inputs: Mapping[str, Any], options: Mapping[str, Any]
) -> bytes:
    """What tells the questions of one row apart: the template, the inputs, the options."""
    told = {name: value for name, value in options.items() if not callable(value)}
    asked = [predict.signature.instructions, inputs, told]
    text = json.dumps(asked, sort_keys=True, default=repr, ensure_ascii=False)
    return blake2b(text.encode("utf8", "surrogatepass"), digest_size=16).digest()
