"""The metadata of a GGUF file, read with their types checked; what nobody reads is refused."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any, NoReturn

import numpy as np

from structq.errors import InputError, shorten

__all__ = ["ARCHITECTURES", "Values"]

ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma3")
"""What ``general.architecture`` may say."""

_HARMLESS = frozenset({"vocab_size", "tensor_data_layout"})
"""Values of an architecture that change no number."""

_ZERO = frozenset(
    {
        "expert_count",
        "expert_used_count",
        "attn_logit_softcapping",
        "final_logit_softcapping",
        "attention.clamp_kqv",
        "attention.max_alibi_bias",
        "pooling_type",
    }
)
"""Values of an architecture that must be nought: what they ask for is not done here."""


class Values:
    """The metadata of one file, read with their types checked.

    Args:
        values: By their full names.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.architecture = values.get("general.architecture")
        self._values = values
        self._read: set[str] = set()
        if self.architecture not in ARCHITECTURES:
            raise InputError(
                f"structq cannot run the architecture {shorten(self.architecture)} "
                f"({', '.join(ARCHITECTURES)} are allowed)",
                field="lm",
            )

    def number(self, name: str, default: float | None = None) -> float:
        """A number above nought, under its name without the architecture.

        Raises:
            InputError: It is missing and has no default, or is no such number.
        """
        found = self._take(name, default)
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found < inf:
            self.fail(name, found, "a number above 0 is allowed")
        return float(found)

    def count(self, name: str, default: int | None = None, most: int = 1 << 24) -> int:
        """As `number`, for whole numbers up to ``most``."""
        found = self.number(name, default)
        if found != int(found) or found > most:
            self.fail(name, found, f"a whole number of 1 to {most} is allowed")
        return int(found)

    def text(self, name: str, default: str) -> str:
        """A text, under its name without the architecture."""
        found = self._take(name, default)
        return found if isinstance(found, str) else self.fail(name, found, "a text is allowed")

    def any(self, name: str) -> Any:
        """Whatever stands under the name, or ``None``."""
        return self._take(name, None)

    def check_all_read(self) -> None:
        """That nothing was said which nobody read.

        Raises:
            InputError: There is such a value; it may change every number of the LM.
        """
        prefix = f"{self.architecture}."
        for name, value in self._values.items():
            short = name.removeprefix(prefix)
            if not name.startswith(prefix) or short in self._read | _HARMLESS:
                continue
            if short not in _ZERO or np.any(value):
                self.fail(short, value, "structq does not know what it asks for")

    def fail(self, name: str, found: Any, allowed: str) -> NoReturn:
        """Raises an `InputError` about a value."""
        raise InputError(
            f"{self.architecture}.{name} of the GGUF file: found {shorten(found)} ({allowed})",
            field="lm",
        )

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        return self._values.get(f"{self.architecture}.{name}", default)
