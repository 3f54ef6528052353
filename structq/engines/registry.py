"""Local LMs that this process has open: one copy of the weights for each spec.

A spec is a kind, a place, and what else decides how the weights are opened:
``transformers:ORG/NAME?dtype=bfloat16&revision=main``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from structq.engines.kinds import NANO, Backend, backend_of
from structq.engines.options import check_options
from structq.engines.sharing import Shared
from structq.engines.store import CATALOGUE, name_of, path_of
from structq.errors import InputError, StructqError, shorten

if TYPE_CHECKING:
    from structq.engines.local import LocalLM, LocalRuntime

__all__ = ["backend_for", "is_local", "open_headless", "open_lm"]

_OPEN: Shared[str, LocalLM] = Shared(is_open=lambda lm: bool(lm.close.alive))


def backend_for(spec: str) -> Backend | None:
    """What opens a spec; ``None`` for those of servers and of DSPy, and for unknown ones.

    Raises:
        InputError: A package that says it knows the kind is broken.
    """
    kind, colon, _ = spec.partition(":")
    if _is_pulled_by_name(spec):
        kind, colon = "gguf", ":"
    return backend_of(kind) if (colon and kind != "nano") or spec == "nano" else None


def is_local(spec: str) -> bool:
    """Whether the spec names an LM that runs in this process; raises as `backend_for`."""
    backend = backend_for(spec)
    return backend is not None and backend.open is not None


def open_lm(spec: str, **options: Any) -> LocalLM:
    """The open LM of a spec, opened on first use.

    Args:
        spec: ``"smollm2"``, ``"nano"``, ``"gguf:<file or hub id>"``, ``"onnx:<folder or hub id>"``,
            ``"transformers:<folder or hub id>"``, or of a kind that another package adds.
        options: As they may also stand behind a ``?`` in the spec.

    Raises:
        InputError: The spec names no LM that can be opened, or an option is wrong.
    """
    kind, place, options = _parse(spec, options)
    return _OPEN.get(_key(kind, place, options), lambda: _opened(kind, place, options))


def open_headless(spec: str) -> LocalRuntime:
    """A runtime of the caller's own, with the LM's last hidden states in the place of logits.

    Args:
        spec: As for `open_lm`.

    Raises:
        InputError: It names no LM of this process, or one that does not show its hidden states.
    """
    backend = backend_for(spec)
    if backend is None or backend.headless is None:
        raise InputError(
            f"{shorten(spec)} gives no embeddings: it is no LM of this process that shows its "
            "hidden states ('smollm2', 'nano', 'gguf:<file or hub id>', 'onnx:<folder or hub id>' "
            "and 'transformers:<folder or hub id>' are allowed)",
            field="lm",
        )
    kind, place, options = _parse(spec, {})
    with _faults_of(kind, place):
        return backend.headless(place, options)


def _opened(kind: str, place: str, options: Mapping[str, Any]) -> LocalLM:
    # Outlines takes a second to import, and the users of servers ask here what is local.
    from structq.engines.local import LocalLM, Origin

    backend = backend_of(kind)
    if backend is None or backend.open is None:
        raise InputError(f"not a local LM: {kind!r}", field="lm")
    with _faults_of(kind, place):
        opener = partial(backend.open, place, options)
        runtime = opener()
        if (n_tokens := runtime.tokenizer.get_vocab_size()) > runtime.n_vocab:
            raise InputError(
                f"{kind}:{place} has a tokenizer of {n_tokens} tokens, and logits for "
                f"{runtime.n_vocab} (as many at least are needed)",
                field="lm",
            )
        origin = Origin(spec=_key(kind, place, options), open_lm=open_lm, open_runtime=opener)
        return LocalLM(runtime, origin=origin)


@contextmanager
def _faults_of(kind: str, place: str) -> Iterator[None]:
    try:
        yield
    except (StructqError, OSError):
        raise
    except Exception as error:  # a model's files are input: what nobody foresaw is still theirs
        raise InputError(
            f"{kind}:{place} cannot be opened: {type(error).__name__}: {shorten(str(error), 200)}",
            field="lm",
        ) from error


def _parse(spec: str, given: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Kind, place and options of a spec; folders are absolute."""
    kind, _, rest = ("nano", "", str(NANO)) if spec == "nano" else spec.partition(":")
    place, _, query = rest.partition("?")
    if _is_pulled_by_name(spec):
        name, _, query = spec.partition("?")
        kind, place = "gguf", str(path_of(name))
    backend = backend_for(spec)
    if backend is None or backend.open is None or not place:
        raise InputError(
            f"not a local LM: {spec!r} ('smollm2', 'nano', 'gguf:<file or hub id>', "
            "'onnx:<folder or hub id>' and 'transformers:<folder or hub id>' are allowed)",
            field="lm",
        )
    known, told = backend.options, dict(parse_qsl(query))
    parsed = {k: known[k].parse(k, text) if k in known else text for k, text in told.items()}
    options = check_options(kind, known, {**parsed, **given})
    place = backend.locate(place)
    if kind == "onnx" and place == str(NANO) and not options:
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
