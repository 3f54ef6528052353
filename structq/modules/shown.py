"""What an LM was asked for an evolution, said again from what a run notes of its program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from structq.adapter import StructAdapter
from structq.templates.marks import choose_heading_mark, choose_mark

from .checks import EvolveCheck
from .evol_quality import EvolQuality
from .preserve import literals_of
from .settings import EvolSettings

__all__ = ["INSTRUCTION", "RESPONSE", "EvolvePrompts"]

INSTRUCTION, RESPONSE = "\ue000", "\ue001"
"""Stand in a prompt for the texts of a row, where a row changes nothing else in it."""
_NAME = re.compile(r"(?:evolve\.)?mutations\['(.*)'\]")
Prompt = tuple[tuple[str, str], ...]
"""Role and text of each message."""


class EvolvePrompts:
    """The prompts of a program's evolutions, letter by letter.

    Args:
        told: The program as :func:`structq.runs.facts.told_program` tells it.

    Raises:
        InputError: It is none of a program that evolves.
    """

    def __init__(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        states = {found[1]: told[part] for part in told if (found := _NAME.fullmatch(part))}
        settings = told.get("evolve.settings") or told.get("settings") or {}
        known = {name: settings[name] for name in EvolSettings.model_fields if name in settings}
        texts = {name: state["signature"]["instructions"] for name, state in states.items()}
        self._evolve = EvolQuality(mutation_templates=texts, **known)
        for name, state in states.items():
            self._evolve.mutations[name].demos = list(state.get("demos") or ())
        self._frames: dict[tuple[Any, ...], Prompt] = {}

    def prompt(
        self, mutation: str, *, instruction: str, response: str, original: str, form: Any
    ) -> Prompt:
        """What was asked first for one step; see ``INSTRUCTION`` and ``RESPONSE``.

        Args:
            mutation: Its name.
            instruction: Of the row.
            response: What was evolved in this step.
            original: The response of the row.
            form: How the LM was asked to answer, as its record says.
        """
        texts = instruction, response
        plain = choose_mark(texts) == choose_heading_mark(texts, ("Instruction", "Response")) == ""
        plain = plain and not any(c in text for text in texts for c in (INSTRUCTION, RESPONSE))
        evolve, literals = self._evolve, literals_of(original, self._evolve.preserve)
        limits = evolve._length.sentence(response)
        key = (mutation, form, limits, bool(literals))
        if plain and key in self._frames:
            return self._frames[key]
        check = EvolveCheck(
            instruction=instruction, response=response, original=original, template="",
            literals=literals, anchored=evolve.preserve == "all", length=evolve._length,
        )  # fmt: skip
        ask = evolve._question(mutation, check)
        adapter = StructAdapter(
            **{**evolve._caller().adapter_options, **ask.adapter_options, "form": form}
        )
        shown = dict(zip(ask.inputs, (INSTRUCTION, RESPONSE) if plain else texts, strict=True))
        messages = adapter.format(ask.predict.signature, ask.predict.demos, shown)
        prompt = tuple((message["role"], message["content"]) for message in messages)
        if plain:
            self._frames[key] = prompt
        return prompt
