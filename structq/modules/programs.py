"""Saved programs as strangers may send them: what they may hold is bounded before it is used."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from structq.errors import InputError, StructqError, shorten

__all__ = ["check_state", "reading_program"]

_LOG = logging.getLogger("structq")

MAX_BYTES = 64 * 2**20
MAX_PREDICTORS = 1000
MAX_NAME = 200
MAX_DEPTH = 32
MAX_VALUES = 1_000_000
MAX_BITS = 64


@contextmanager
def reading_program(path: Any, **_: Any) -> Iterator[None]:
    """Refuses a file that is too large to be one, and says in one way that it is no program.

    Raises:
        InputError: It is too large, or is no saved program of this kind.
    """
    size = Path(path).stat().st_size if Path(path).is_file() else 0
    if size > MAX_BYTES:
        raise InputError(
            f"program: {str(path)!r} has {size} bytes (at most {MAX_BYTES})", field="program"
        )
    try:
        yield
    except (StructqError, OSError):
        raise
    except Exception as error:  # what a file that is something else breaks in DSPy is anything
        reason = f"{type(error).__name__}: {shorten(str(error), 200)}"
        raise InputError(
            f"program: {str(path)!r} is no saved program: {reason}", field="program"
        ) from error


def check_state(state: Any, *, trusted: bool) -> None:
    """Checks the shape and the size of a saved state.

    Args:
        state: Name to the state of a predictor or of settings.
        trusted: Whether LMs in it are to be restored; else it is said that they are ignored, where
            DSPy would have asked them.

    Raises:
        InputError: It is no state of a program, or holds more than a program does.
    """
    if not isinstance(state, Mapping) or not all(isinstance(v, Mapping) for v in state.values()):
        raise _fault(f"holds no states, found {shorten(state)}")
    if len(state) > MAX_PREDICTORS:
        raise _fault(f"has {len(state)} parts (at most {MAX_PREDICTORS})")
    for name in state:
        if len(name) > MAX_NAME:
            raise _fault(f"{shorten(name)} is no name (at most {MAX_NAME} characters)")
    _check_size(state)
    named = [part["lm"] for part in state.values() if isinstance(part.get("lm"), Mapping)]
    if named and not trusted:
        _LOG.warning(
            "the program names the LM %s, which is not taken over: a file chooses no LM "
            "(allow_unsafe_lm_state=True, for files that you trust)",
            shorten(named[0].get("model")),
        )


def _check_size(state: Any) -> None:
    """Refuses what is nested too deep, has too many values, or an integer without bounds."""
    level, n_values = [state], 0
    for _ in range(MAX_DEPTH):
        n_values += len(level)
        if n_values > MAX_VALUES:
            raise _fault(f"holds more than {MAX_VALUES} values")
        for value in level:
            if isinstance(value, int) and value.bit_length() > MAX_BITS:
                raise _fault(f"holds an integer of more than {MAX_BITS} bits")
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return
    raise _fault(f"is nested deeper than {MAX_DEPTH} levels")


def _inner(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _fault(reason: str) -> InputError:
    return InputError(f"program: {reason}", field="program")
