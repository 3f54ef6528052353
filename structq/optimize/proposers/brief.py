"""What a proposer is told and what it must do."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

from structq.optimize.sentences import join_sentences

__all__ = ["Brief", "Case", "Proposals", "Proposer", "Worth"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row that the template was tried on: texts of a row and of an LM, untrusted."""

    instruction: str
    """Of the row."""
    response: str
    """The original."""
    evolved: str
    """What the template made of it."""
    gain: float
    """By the metric."""


@dataclass(frozen=True, kw_only=True)
class Worth:
    """A text and what is believed of it."""

    text: str
    """A sentence, or what follows the purpose sentence of a template."""
    gain: float
    """Expected difference in the metric."""


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What is known when new texts are wanted."""

    mutation: str
    """Name of the mutation."""
    purpose: str
    """Its purpose sentence, which stays."""
    sentences: tuple[str, ...]
    """What follows in its best template so far."""
    helped: tuple[Worth, ...] = ()
    """Sentences that seem to help, best first."""
    harmed: tuple[Worth, ...] = ()
    """Sentences that seem to harm, worst first."""
    texts: tuple[Worth, ...] = ()
    """Whole texts that were tried, best first."""
    won: tuple[Case, ...] = ()
    """Rows that the template did well on."""
    lost: tuple[Case, ...] = ()
    """Rows that it did badly on."""
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
    allowed. It draws from the brief's seed alone. Its texts are untrusted: every one goes through
    the gate. None is fine.
    """

    def propose(self, brief: Brief) -> Proposals:
        """The generator of one round of proposals."""
        ...
