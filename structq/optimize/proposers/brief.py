"""What a proposer is told and what it must do."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from structq.optimize.sentences import join_sentences

__all__ = ["EVOLVING", "Brief", "Case", "Proposals", "Proposer", "Whole", "Worth"]

EVOLVING = "The writer gets a question and a response to it, and rewrites the response."
"""What the LM does whose instruction is written, for mutations."""


class Whole(str):
    """A proposed text that takes the place of the purpose sentence, in one mutation."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row that the template was tried on: texts of a row and of an LM, untrusted."""

    instruction: str
    """Of the row; its inputs, where it is no question."""
    response: str
    """The original; what was expected, where there is none."""
    evolved: str
    """What the template made of it."""
    gain: float
    """By the metric."""
    feedback: str | None = None
    """What the metric said."""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """A text and what is believed of it."""

    text: str
    """A sentence."""
    gain: float
    """Expected difference in the metric."""


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What is known when new texts are wanted."""

    mutation: str
    """Name of the mutation, or of the predictor."""
    purpose: str
    """Its purpose sentence, which stays."""
    sentences: tuple[str, ...]
    """What follows in its best template so far."""
    helped: tuple[Worth, ...] = ()
    """Sentences that seem to help, best first."""
    harmed: tuple[Worth, ...] = ()
    """Sentences that seem to harm, worst first."""
    won: tuple[Case, ...] = ()
    """Rows that the template did well on."""
    lost: tuple[Case, ...] = ()
    """Rows that it did badly on."""
    task: str = EVOLVING
    """What the LM does whose instruction is written."""
    seed: int = 0
    """Fixes every choice of the proposer."""

    @property
    def template(self) -> str:
        """The best template so far, in one line."""
        return join_sentences([self.purpose, *self.sentences])


Proposals = Generator[str, str | None, list[str]]
"""Yields prompts for the proposer's LM, is sent replies (``None`` on failure), returns texts."""


class Proposer(Protocol):
    """Writes new texts for a mutation.

    What it returns is what should follow the purpose sentence; the purpose sentence in front is
    allowed, and a ``Whole`` takes its place. It draws from the brief's seed alone. Its texts are
    untrusted: every one goes through the gate. None is fine.
    """

    def propose(self, brief: Brief) -> Proposals:
        """The generator of one round of proposals."""
        ...
