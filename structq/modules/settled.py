"""Modules whose settings are attributes: checked when they change, saved with a program."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspy.predict.parameter import Parameter

from .settings import Settings

__all__ = ["SavedSettings", "Settled"]


@dataclass
class SavedSettings(Parameter):  # type: ignore[misc]
    """Settings as a DSPy parameter: saved, loaded and copied, tuned by no optimizer."""

    values: Settings
    """The settings, checked."""

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The settings as JSON values."""
        return self.values.model_dump(mode="json")

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes over saved settings; those that the file does not know are default.

        Raises:
            InputError: A value is wrong, or a name is unknown.
        """
        self.values = type(self.values)(**state)

    def reset(self) -> None:
        """Nothing: a reset program keeps its settings, as it keeps its signatures."""


class _Setting:
    """A module attribute that lives in ``module.settings``."""

    def __init__(self, name: str, doc: str | None) -> None:
        self.name, self.__doc__ = name, doc

    def __get__(self, module: Any, owner: type | None = None) -> Any:
        return self if module is None else getattr(module.settings.values, self.name)

    def __set__(self, module: Any, value: Any) -> None:
        module.change(**{self.name: value})


class Settled:
    """Gives a module an attribute for each field of ``settings=``, and its docs their lines.

    What the constructor takes besides (the texts that optimizers tune) is in ``options=``.
    """

    settings: SavedSettings

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Any of the settings."""

    def __init_subclass__(
        cls,
        *,
        settings: type[Settings] | None = None,
        options: type[Settings] | None = None,
        **others: Any,
    ) -> None:
        super().__init_subclass__(**others)
        if settings is None or options is None:
            return
        for name, field in settings.model_fields.items():
            setattr(cls, name, _Setting(name, field.description))
        lines = (f"{name}: {field.description}" for name, field in options.model_fields.items())
        # From Python 3.13 on docstrings come without their indentation.
        doc = inspect.cleandoc(cls.__doc__ or "")
        cls.__doc__ = doc.replace("settings: {settings}", "\n    ".join(lines))

    def change(self, **changes: Any) -> None:
        """Sets several settings at once; they are checked together.

        Raises:
            InputError: A value is wrong, or a name is unknown; nothing has changed then.
        """
        self.settings = SavedSettings(self.settings.values.with_(**changes))
