"""The kinds of LMs that ``structq.lm("<kind>:<place>")`` knows: structq's own, and those of others.

A package adds a kind by an entry point of the group ``structq.engines``: its name is the kind, and
the object that it names is a `Backend`. structq's own kinds are such objects too, in a table here:
a source checkout has no entry points. Of another package only the kind that a spec names is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from structq.engines.hub import hub_file, hub_folder, looks_like_hub_id
from structq.engines.options import (
    ANY_CALL,
    DSPY,
    LOCAL,
    LOCAL_CALL,
    OTHERS,
    REMOTE_CALL,
    Option,
)
from structq.errors import InputError, shorten

if TYPE_CHECKING:
    import dspy

    from structq.engines.local import LocalRuntime

__all__ = ["GROUP", "NANO", "Backend", "all_options", "backend_of", "kinds"]

GROUP = "structq.engines"
"""The group of entry points by which other packages add a kind."""

NANO = Path(__file__).resolve().parent.parent / "nano"
"""The folder of the LM in this package."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One kind of LMs: what an entry point names. Either ``open`` or ``lm`` is given."""

    options: Mapping[str, Option] = field(default_factory=dict)
    """What may be said about opening an LM, behind a ``?`` or as a keyword; checked before use."""
    open: Callable[[str, Mapping[str, Any]], LocalRuntime] | None = None
    """Place and options to a runtime of this process (`structq.engines.scheduler.Runtime` and
    `structq.engines.local.TextRuntime`): structq brings schemas, batches and measuring."""
    headless: Callable[[str, Mapping[str, Any]], LocalRuntime] | None = None
    """As ``open``, with the LM's last hidden states in the place of logits, for embeddings; without
    it there are none."""
    lm: Callable[[str, Mapping[str, Any]], dspy.LM] | None = None
    """The whole spec, and all options, to any other LM of DSPy."""
    locate: Callable[[str], str] = str
    """A place to the one spelling of it under which its LM is shared."""


def backend_of(kind: str) -> Backend | None:
    """What opens LMs of a kind; ``None`` where no package knows it.

    Raises:
        InputError: A package that says it knows the kind is broken, or two do.
    """
    found = entry_points(group=GROUP, name=kind)
    if not found:
        return _OWN.get(kind)
    claims = sorted({_package(one) for one in found} | ({"structq"} if kind in _OWN else set()))
    if len(claims) > 1:
        raise InputError(
            f"the kind {kind!r} of LMs is claimed by several packages: {', '.join(claims)} "
            "(one is allowed: uninstall the others)",
            field="lm",
        )
    return _load(next(iter(found)))


def kinds() -> list[str]:
    """Every kind, structq's own first; loads none."""
    return list(dict.fromkeys([*_OWN, *sorted(entry_points(group=GROUP).names)]))


def all_options() -> dict[str, Mapping[str, Option]]:
    """Every option by kind; what many kinds take stands under ``local LMs``, ``every LM``, ..."""
    found: dict[str, Mapping[str, Option]] = {**LOCAL, **OTHERS}
    for kind in kinds():
        if kind in _OWN:
            continue
        try:
            backend = backend_of(kind)
            found[kind] = backend.options if backend else {}
        except InputError as error:  # one package that is broken hides no other
            found[kind] = {"-": Option(type=object, default="", help=f"{error}.")}
    shared = {"every LM": ANY_CALL, "local LMs": LOCAL_CALL, "remote LMs": REMOTE_CALL}
    return {**found, **shared, "DSPy's model strings": DSPY}


def _load(entry: EntryPoint) -> Backend:
    package = f"the package {_package(entry)!r}, which adds {entry.name!r} to structq's LMs"
    try:
        found = entry.load()
    except Exception as error:  # a module may raise whatever its author likes
        raise InputError(
            f"{package}, cannot be loaded from {entry.value!r}: "
            f"{type(error).__name__}: {shorten(str(error), 200)}",
            field="lm",
        ) from error
    if not isinstance(found, Backend):
        raise InputError(
            f"{package}, names {entry.value!r}: found {type(found).__name__} "
            "(a structq.engines.kinds.Backend is allowed)",
            field="lm",
        )
    if (found.open is None) == (found.lm is None):
        raise InputError(
            f"{package}, has to give its Backend one of open and lm: found "
            f"{'neither' if found.open is None else 'both'}",
            field="lm",
        )
    return found


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.module


# structq's own.


def _located(place: str) -> str:
    path = Path(place).expanduser()
    return place if not path.exists() and looks_like_hub_id(place) else str(path.resolve())


def _nano(place: str, options: Mapping[str, Any], *, headless: bool = False) -> LocalRuntime:
    from structq.engines.backends.onnx.runtime import OnnxRuntime

    return OnnxRuntime(place, headless=headless)


def _onnx(place: str, options: Mapping[str, Any], *, headless: bool = False) -> LocalRuntime:
    """A graph of structq's own form, which its folder says, or of the hub's."""
    from structq.engines.backends.onnx import growing, runtime, vetting

    options, folder = dict(options), Path(place)
    revision, file = options.pop("revision", None), options.get("file", "model")
    if not folder.is_dir() and looks_like_hub_id(place):
        folder = hub_folder(place, patterns=growing.graph_patterns(file), revision=revision)
    is_own = (folder / runtime.FACTS).is_file()
    if is_own and (unused := sorted(options.keys() - {"n_slots", "n_threads", "window"})):
        raise InputError(
            f"{place!r} says itself what {' and '.join(unused)} would say: leave it out",
            field=unused[0],
        )
    make: Any = runtime.OnnxRuntime if is_own else growing.GrowingOnnxRuntime
    graph = folder / runtime.GRAPHS["float32"] if is_own else growing.graph_file(folder, file)
    if graph.is_file() and folder.resolve() != NANO:
        files = [*vetting.check_graph(graph), *sorted(folder.glob("*.json"))]
        vetting.try_out(files, f"{make.__module__}:{make.__name__}", folder, options)
    options |= {"headless": headless} if is_own else {"headless": headless, "name": place}
    return cast("LocalRuntime", make(folder, **options))


def _gguf(place: str, options: Mapping[str, Any], *, headless: bool = False) -> LocalRuntime:
    """A GGUF file of this machine or of the hub, converted on first use."""
    from structq.engines.backends.gguf import convert
    from structq.engines.backends.onnx.runtime import OnnxRuntime

    options, path = dict(options), Path(place)
    file, revision = options.pop("file", None), options.pop("revision", None)
    if not path.exists() and looks_like_hub_id(place) and path.suffix != ".gguf":
        path = hub_file(place, file=file, ending=".gguf", revision=revision)
    elif file or revision:
        raise InputError(
            f"{place!r} is a file here: file and revision are for models of the hub",
            field="file" if file else "revision",
        )
    return OnnxRuntime(convert(path), name=path.stem, headless=headless, **options)


def _transformers(
    place: str, options: Mapping[str, Any], *, headless: bool = False
) -> LocalRuntime:
    try:
        from structq.engines.backends.transformers.runtime import TransformersRuntime
    except ImportError as error:
        raise InputError(
            f'transformers LMs need another package ({error}): pip install "structq[transformers]"',
            field="lm",
        ) from error
    return TransformersRuntime(place, headless=headless, **options)


def _llamacpp(spec: str, options: Mapping[str, Any]) -> dspy.LM:
    from structq.engines.backends.llamacpp import LlamaCppLM

    return LlamaCppLM(spec, **options)


_SERVED = {name: option for name, option in OTHERS["servers"].items() if name[:4] != "api_"}


def _here(kind: str, open_runtime: Callable[..., LocalRuntime], **more: Any) -> Backend:
    headless = partial(open_runtime, headless=True)
    return Backend(options=LOCAL[kind], open=open_runtime, headless=headless, **more)


_OWN: Mapping[str, Backend] = {
    "nano": _here("nano", _nano),
    "gguf": _here("gguf", _gguf, locate=_located),
    "onnx": _here("onnx", _onnx, locate=_located),
    "transformers": _here("transformers", _transformers, locate=_located),
    "llamacpp": Backend(options={**OTHERS["llamacpp"], **_SERVED}, lm=_llamacpp),
}
