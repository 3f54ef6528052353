"""What a function computes, as a text that is the same in every process and differs where it does.

A checkpoint holds gains of one metric. Two lambdas have the same name: what tells them apart is
their code, the values that they close over, and what they call.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
import types
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

__all__ = ["UnknownError", "fingerprint"]

_DEEPEST = 12


class UnknownError(ValueError):
    """Something has no form that is the same in every process."""


def fingerprint(function: Any) -> str:
    """A digest of the code and the values of a callable.

    Raises:
        UnknownError: It holds an object that says nothing of itself.
    """
    text = repr(_form(function, set(), 0))
    return blake2b(text.encode("utf8", "surrogatepass"), digest_size=16).hexdigest()


def _form(value: Any, seen: set[int], depth: int) -> Any:
    if value is None or isinstance(value, bool | int | str | bytes | complex | type(Ellipsis)):
        return repr(value)
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value.hex()
    if depth > _DEEPEST:
        raise UnknownError("it is nested too deeply")
    if id(value) in seen:
        return "again"
    inner = functools.partial(_form, seen=seen | {id(value)}, depth=depth + 1)
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(inner, value)]
    if isinstance(value, set | frozenset):
        return ["set", *sorted(repr(inner(item)) for item in value)]
    if isinstance(value, Mapping):
        return ["map", *sorted((repr(inner(k)), inner(v)) for k, v in value.items())]
    return _form_of_callable(value, inner)


def _form_of_callable(value: Any, inner: Any) -> Any:
    if isinstance(value, functools.partial):
        return ["partial", inner(value.func), inner(value.args), inner(value.keywords)]
    if isinstance(value, types.MethodType):
        return ["method", inner(value.__func__), inner(value.__self__)]
    if _is_of_library(value):
        return ["name", value.__module__, value.__qualname__]
    if isinstance(value, types.FunctionType):
        return ["function", *_function(value, inner)]
    if isinstance(value, type):
        return ["class", value.__qualname__, *_methods(value, inner)]
    if isinstance(value, types.CodeType):
        return ["code", value.co_code.hex(), value.co_names, inner(value.co_consts)]
    if isinstance(value, types.ModuleType):
        return ["module", value.__name__]
    if inspect.isroutine(value):
        owner = getattr(value, "__self__", None)
        if isinstance(value, types.BuiltinFunctionType) and not isinstance(
            owner, types.ModuleType | type(None)
        ):
            return ["of", inner(owner), value.__name__]
        return ["name", getattr(value, "__module__", None), value.__qualname__]
    return _state(value, inner)


def _function(function: types.FunctionType, inner: Any) -> list[Any]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    known = {
        name: function.__globals__[name]
        for name in sorted(_names(function.__code__))
        if name in function.__globals__
    }
    return [
        inner(function.__code__),
        inner(function.__defaults__),
        inner(function.__kwdefaults__),
        inner(cells),
        inner(known),
    ]


def _names(code: types.CodeType) -> set[str]:
    """Names that code may look up, also in what it defines."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _is_of_library(value: Any) -> bool:
    """Whether it is a function or a class that somebody installed: its name says what it does."""
    if not isinstance(value, types.FunctionType | type):
        return False
    root = (value.__module__ or "").partition(".")[0]
    if root in sys.stdlib_module_names or root == "structq":
        return root != "__main__"
    file = getattr(sys.modules.get(root), "__file__", None) or ""
    return "site-packages" in file or "dist-packages" in file


def _methods(kind: type, inner: Any) -> list[Any]:
    """What a class and those it is made from define."""
    own = {
        name: getattr(one, "__func__", getattr(one, "fget", one))
        for name, one in sorted(vars(kind).items())
        if isinstance(one, types.FunctionType | staticmethod | classmethod | property)
    }
    plain = {
        name: one
        for name, one in sorted(vars(kind).items())
        if isinstance(one, bool | int | float | str) and not name.startswith("__")
    }
    return [inner(own), inner(plain), inner(list(kind.__bases__))]


def _state(value: Any, inner: Any) -> Any:
    """An object by its type and what it holds."""
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    if hasattr(value, "tobytes") and hasattr(value, "dtype"):
        return ["array", str(value.dtype), str(getattr(value, "shape", "")), value.tobytes().hex()]
    for say in ("describe", "dump_state"):
        if callable(getattr(value, say, None)):
            return ["object", name, inner(getattr(value, say)())]
    if kind.__module__ == "re" and hasattr(value, "pattern"):
        return ["pattern", inner(value.pattern), value.flags]
    if hasattr(value, "__dict__"):
        return ["object", inner(kind), inner(vars(value))]
    raise UnknownError(f"it holds an object of {name}, which says nothing of itself")
