"""Local LMs that this process has open: one copy of the weights for each spec.

A spec is a kind, a place, and what else decides how the weights are opened:
``transformers:ORG/NAME?dtype=bfloat16&revision=main``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from structq.engines.hub import hub_file, hub_folder, looks_like_hub_id
from structq.engines.options import LOCAL
from structq.engines.store import CATALOGUE, name_of, path_of
from structq.errors import InputError
from structq.forks import Lock

if TYPE_CHECKING:
    from structq.engines.local import LocalLM, LocalRuntime

__all__ = ["is_local", "open_lm", "opening_options"]

_NANO = Path(__file__).resolve().parent.parent / "nano"
_OPEN: dict[str, LocalLM] = {}
_LOCK = Lock()

_OPTIONS = LOCAL
"""What may be said about opening each kind of LM."""

_ALLOWED = (
    "'smollm2', 'nano', 'gguf:<file or hub id>', 'onnx:<folder or hub id>' and "
    "'transformers:<folder or hub id>' are allowed"
)


def is_local(spec: str) -> bool:
    """Whether the spec names an LM that runs in this process."""
    kind = spec.partition(":")[0]
    return spec == "nano" if kind == "nano" else kind in _OPTIONS or _is_pulled_by_name(spec)


def opening_options(spec: str) -> frozenset[str]:
    """Names of the options that belong to opening the LM and not to its calls."""
    kind = "gguf" if _is_pulled_by_name(spec) else spec.partition(":")[0]
    return frozenset(_OPTIONS.get(kind, ()))


def open_lm(spec: str, **options: Any) -> LocalLM:
    """The open LM of a spec, opened on first use.

    Args:
        spec: ``"smollm2"``, ``"nano"``, ``"gguf:<file or hub id>"``, ``"onnx:<folder or hub id>"``
            or ``"transformers:<folder or hub id>"``.
        options: As they may also stand behind a ``?`` in the spec.

    Raises:
        InputError: The spec names no LM that can be opened, or an option is wrong.
    """
    # Outlines takes a second to import, and the users of servers ask here what is local.
    from structq.engines.local import LocalLM, Origin

    kind, place, options = _parse(spec, options)
    key = _key(kind, place, options)
    with _LOCK:
        lm = _OPEN.get(key)
        if lm is None or not lm.close.alive:
            opener = partial(_open, kind, place, options)
            origin = Origin(spec=key, open_lm=open_lm, open_runtime=opener)
            lm = _OPEN[key] = LocalLM(opener(), origin=origin)
        return lm


def _parse(spec: str, given: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Kind, place and options of a spec; folders are absolute."""
    kind, _, rest = ("nano", "", str(_NANO)) if spec == "nano" else spec.partition(":")
    place, _, query = rest.partition("?")
    if _is_pulled_by_name(spec):
        name, _, query = spec.partition("?")
        kind, place = "gguf", str(path_of(name))
    if not is_local(spec) or not place:
        raise InputError(f"not a local LM: {spec!r} ({_ALLOWED})", field="lm")
    known = _OPTIONS[kind]
    options: dict[str, Any] = {}
    for name, value in [*parse_qsl(query), *given.items()]:
        if value is None:
            continue
        if name not in known:
            raise InputError(
                f"unknown option of {kind} LMs: {name!r} ({', '.join(known) or 'none'} allowed)",
                field=name,
            )
        try:
            options[name] = known[name].parse(value)
        except ValueError as error:
            raise InputError(
                f"{name} is no {known[name].type.__name__}: {value!r}", field=name
            ) from error
    path = Path(place).expanduser()
    if path.exists() or not looks_like_hub_id(place):
        place = str(path.resolve())
    if kind == "onnx" and place == str(_NANO) and not options:
        kind = "nano"
    return kind, place, options


def _key(kind: str, place: str, options: Mapping[str, Any]) -> str:
    if kind == "nano":
        return "nano"
    query = urlencode(sorted(options.items()))
    # A program that is saved under the name opens on another machine, where the path differs.
    name = name_of(Path(place)) if kind == "gguf" else None
    return (name or f"{kind}:{place}") + (f"?{query}" if query else "")


def _is_pulled_by_name(spec: str) -> bool:
    return spec.partition("?")[0] in CATALOGUE


def _open(kind: str, place: str, options: Mapping[str, Any]) -> LocalRuntime:
    if kind == "transformers":
        return _open_transformers(place, options)
    if kind == "onnx":
        return _open_onnx(place, options)
    if kind == "gguf":
        return _open_gguf(place, options)
    from structq.engines.backends.onnx.runtime import OnnxRuntime

    return OnnxRuntime(place)


def _open_onnx(place: str, options: Mapping[str, Any]) -> LocalRuntime:
    """A graph of structq's own form, which its folder says, or of the hub's."""
    from structq.engines.backends.onnx.growing import GrowingOnnxRuntime, graph_patterns
    from structq.engines.backends.onnx.runtime import FACTS, OnnxRuntime

    options, folder = dict(options), Path(place)
    revision = options.pop("revision", None)
    if not folder.is_dir() and looks_like_hub_id(place):
        patterns = graph_patterns(options.get("file", "model"))
        folder = hub_folder(place, patterns=patterns, revision=revision)
    if not (folder / FACTS).is_file():
        return GrowingOnnxRuntime(folder, name=place, **options)
    if unused := sorted(options.keys() - {"n_slots", "n_threads", "window"}):
        raise InputError(
            f"{place!r} says itself what {' and '.join(unused)} would say: leave it out",
            field=unused[0],
        )
    return OnnxRuntime(folder, **options)


def _open_gguf(place: str, options: Mapping[str, Any]) -> LocalRuntime:
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
    return OnnxRuntime(convert(path), name=path.stem, **options)


def _open_transformers(place: str, options: Mapping[str, Any]) -> LocalRuntime:
    try:
        from structq.engines.backends.transformers.runtime import TransformersRuntime
    except ImportError as error:
        raise InputError(
            f'transformers LMs need another package ({error}): pip install "structq[transformers]"',
            field="lm",
        ) from error
    return TransformersRuntime(place, **options)
