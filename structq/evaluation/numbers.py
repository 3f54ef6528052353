"""Numbers as the functions of this room take them; what is none of them is refused by place."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError, shorten

__all__ = ["Floats", "finite", "library", "same_length"]

Floats = NDArray[np.float64]


def finite(values: Iterable[Any], name: str) -> Floats:
    """The values as an array of floats, shape ``(n,)``.

    Raises:
        InputError: One of them is no finite number; says which.
    """
    found = list(values)
    for i, value in enumerate(found):
        number = isinstance(value, int | float | np.number | np.bool_)
        if not number or not np.isfinite(value):
            raise InputError(
                f"{name}[{i}]: must be a finite number, found {shorten(value)}", field=name
            )
    return np.array(found, dtype=np.float64)


def same_length(one: Floats, other: Floats, names: tuple[str, str]) -> None:
    """Raises ``InputError`` unless both have as many numbers, one at least."""
    if not len(one) == len(other) > 0:
        raise InputError(
            f"{names[1]}: must have as many numbers as {names[0]}, one at least: "
            f"found {len(other)} and {len(one)}",
            field=names[1],
        )


def library(name: str) -> Any:
    """A module of scipy or scikit-learn.

    Raises:
        InputError: It is not installed; says how to.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(
            f"{name.partition('.')[0]} is needed here and is not installed "
            "(pip install 'structq[evaluation]')"
        ) from error
