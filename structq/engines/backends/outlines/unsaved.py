"""What the engines of objects have in common that no spec names: they are shared, never saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from structq.errors import InputError

__all__ = ["Unsaved"]


class Unsaved:
    """An engine on a model that the caller made."""

    kind: str
    """The type of the model."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # A copied program shares the engine.
        return self

    def __reduce__(self) -> NoReturn:
        self._refuse()

    def dump_state(self) -> dict[str, Any]:
        """Nothing that could be opened again.

        Raises:
            InputError: Always.
        """
        self._refuse()

    @classmethod
    def load_state(cls, state: Mapping[str, Any]) -> Any:
        """Never has a state to load.

        Raises:
            InputError: Always.
        """
        raise InputError(f"no LM can be opened from {dict(state)!r}", field="lm")

    def _refuse(self) -> NoReturn:
        raise InputError(
            f"an LM made of an Outlines model cannot be saved: found {self.kind} (save the program "
            "without its LM, and set the LM again after loading)",
            field="lm",
        )
