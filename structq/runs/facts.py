"""What the answers of a run depend on, for its journal; never a key."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, Protocol

from structq.journal import describe_lm
from structq.version import __version__

__all__ = ["answers_depend_on", "shape_of", "told_program"]

_SHAPING = ("num_evolutions", "store_evolutions", "include_original_response")
"""Settings that add questions or columns, and change no answer that is there."""
_FREE = (*_SHAPING, "max_attempts")
_OF_PREDICTORS = ("lm", "lm_state", "traces", "train")


class Program(Protocol):
    """A module, as far as its journal is concerned."""

    def dump_state(self) -> dict[str, Any]:
        """What it is made of."""

    def answering_lms(self) -> list[Any]:
        """The LMs that answer."""


def answers_depend_on(program: Program) -> dict[str, Any]:
    """Facts by name: structq's version, the settings, the templates, the LMs."""
    facts: dict[str, Any] = {"structq": __version__, "module": type(program).__name__}
    for part, state in _parts(program):
        if "signature" in state:
            told = {name: value for name, value in state.items() if name not in _OF_PREDICTORS}
            facts[part] = _digest(told)
        else:
            facts |= {f"{part}.{n}": v for n, v in state.items() if n not in _FREE}
    for i, lm in enumerate(program.answering_lms()):
        facts["lm" if i == 0 else f"lm {i + 1}"] = describe_lm(lm)
    return facts


def shape_of(program: Program) -> str:
    """What the output is made with beyond these facts."""
    found = {
        f"{part}.{name}": value
        for part, state in _parts(program)
        for name, value in state.items()
        if name in _SHAPING
    }
    return json.dumps(found, sort_keys=True)


def told_program(program: Program) -> dict[str, dict[str, Any]]:
    """Its settings, and the texts of its predictors, for whoever shows what was asked."""
    return {
        part: {name: value for name, value in state.items() if name not in _OF_PREDICTORS}
        for part, state in _parts(program)
    }


def _parts(program: Program) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for part, state in program.dump_state().items():
        if isinstance(state, Mapping) and part != "metadata":
            yield part, state


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=repr, ensure_ascii=False)
    return blake2b(text.encode("utf8", "surrogatepass"), digest_size=8).hexdigest()
