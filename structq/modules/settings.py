"""Settings as a DSPy parameter: saved, loaded and copied with a program, tuned by no optimizer."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TypeVar, cast

from dspy.predict.parameter import Parameter

from structq.errors import InputError, shorten

__all__ = ["Setting", "Settings", "check_bool", "check_choice", "check_count", "check_seed"]

Value = TypeVar("Value")


class Settings(Parameter):  # type: ignore[misc]
    """Base of a keyword-only dataclass of settings, checked at each change."""

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The settings as JSON values."""
        return dataclasses.asdict(cast(Any, self))

    def load_state(self, state: dict[str, Any]) -> None:
        """Takes over saved settings.

        Raises:
            InputError: A value is wrong, or a name is unknown.
        """
        names = {field.name for field in dataclasses.fields(cast(Any, self))}
        if unknown := sorted(state.keys() - names):
            raise InputError(
                f"unknown setting {unknown[0]!r} (there are {', '.join(sorted(names))})",
                field=unknown[0],
            )
        self.__dict__.update(type(self)(**state).__dict__)

    def reset(self) -> None:
        """Nothing: a reset program keeps its settings, as it keeps its signatures."""


class Setting(Generic[Value]):
    """A module attribute that lives in ``module.settings``."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, module: Any, owner: type | None = None) -> Value:
        return cast(Value, self if module is None else getattr(module.settings, self.name))

    def __set__(self, module: Any, value: Value) -> None:
        module.settings = dataclasses.replace(module.settings, **{self.name: value})


def check_count(value: object, name: str) -> None:
    """Raises ``InputError`` unless the value is an integer of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(
            f"{name}: must be an integer of at least 1, found {shorten(value)}", field=name
        )


def check_seed(value: object, name: str = "seed") -> None:
    """Raises ``InputError`` unless the value is an integer of at least 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(
            f"{name}: must be an integer of at least 0, found {shorten(value)}", field=name
        )


def check_bool(value: object, name: str) -> None:
    """Raises ``InputError`` unless the value is ``True`` or ``False``."""
    if not isinstance(value, bool):
        raise InputError(f"{name}: must be True or False, found {shorten(value)}", field=name)


def check_choice(value: object, name: str, choices: tuple[str, ...]) -> None:
    """Raises ``InputError`` unless the value is one of the choices."""
    if value not in choices:
        allowed = ", ".join(map(repr, choices))
        raise InputError(f"{name}: must be one of {allowed}, found {shorten(value)}", field=name)
