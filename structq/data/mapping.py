"""Columns of other people's files as structq names them; knows nothing of files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from structq.data.contracts import Fault
from structq.errors import InputError, shorten
from structq.modules.turns import conversation_of, read_conversation

__all__ = ["ColumnMap", "hint_for"]

_NEAR = {
    "instruction": ("prompt", "question", "query", "input", "user", "task", "text"),
    "response": ("completion", "answer", "output", "assistant", "reply", "chosen", "generation"),
    "responses": ("completions", "answers", "outputs", "generations", "candidates"),
}
"""What others call the same, the likeliest first."""
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """Where each column comes from.

    A row with ``messages`` (or ShareGPT's ``conversations``) and no ``instruction`` has its
    columns from them: the last answer is the ``response``, all turns before it are the
    ``instruction``, and a system message is the ``system_prompt``.
    """

    places: Mapping[str, str] = field(default_factory=dict)
    """Column to where it is found: another column, or a place in one, ``messages[0].content``."""

    @classmethod
    def parse(cls, text: str) -> ColumnMap:
        """From ``instruction=prompt,response=choices[0].text``.

        Raises:
            InputError: It is something else.
        """
        places: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, place = (side.strip() for side in part.partition("="))
            if not equals or not name or not place or _steps(place) is None:
                raise InputError(
                    f"map: {part!r} (must be COLUMN=PLACE, such as instruction=prompt or "
                    "response=messages[1].content)",
                    field="map",
                )
            places[name] = place
        return cls(places=places)

    def apply(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], Fault | None]:
        """The row with the mapped columns, and why it has not all of them."""
        found = dict(values)
        for name, place in self.places.items():
            value, reason = _find(values, place)
            if reason is not None:
                return found, Fault(field=place, reason=reason)
            found[name] = value
        if "instruction" in found:
            return found, None
        messages = conversation_of(found)
        return (found, None) if messages is None else _from_turns(found, messages)


def hint_for(values: Mapping[str, Any], missing: str) -> str | None:
    """The option that would find a missing column under a name that others use."""
    pairs = []
    for name in dict.fromkeys((missing, "instruction", "response")):
        if name in values:
            continue
        near = next((other for other in _NEAR.get(name, ()) if other in values), None)
        if near is None:
            folded = {str(key).lower().strip(): key for key in values}
            near = folded.get(name) or folded.get(f"{name}s") or folded.get(name.rstrip("s"))
        if near is not None:
            pairs.append(f"{name}={near}")
    return f"--map {','.join(pairs)}" if pairs else None


def _steps(place: str) -> list[str | int] | None:
    steps: list[str | int] = []
    at = 0
    while at < len(place):
        step = _STEP.match(place, at)
        if step is None:
            return None
        steps.append(step[1] if step[1] is not None else int(step[2]))
        at = step.end()
    return steps or None


def _find(values: Mapping[str, Any], place: str) -> tuple[Any, str | None]:
    """The value at a place, or why there is none."""
    if place in values:  # a name may hold dots
        return values[place], None
    value: Any = values
    for step in _steps(place) or []:
        if isinstance(step, int):
            if not isinstance(value, list) or not -len(value) <= step < len(value):
                return None, f"nothing at [{step}] of {shorten(value)}"
        elif not isinstance(value, Mapping) or step not in value:
            known = list(value) if isinstance(value, Mapping) else value
            return None, f"missing {step!r} (there is {shorten(known)})"
        value = value[step]
    return value, None


def _from_turns(found: dict[str, Any], messages: Any) -> tuple[dict[str, Any], Fault | None]:
    try:
        said = read_conversation(messages)
    except InputError as error:
        reason = str(error).removeprefix(f"{error.field}: ")
        return found, Fault(field=error.field, reason=reason)
    if said.system_prompt is not None and found.get("system_prompt") is None:
        found["system_prompt"] = said.system_prompt
    found["instruction"], found["response"] = said.answers[-1]
    return found, None
