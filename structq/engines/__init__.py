"""What answers one DSPy request in this process; knows nothing of signatures and modules."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from structq.errors import InputError, StructqError

if TYPE_CHECKING:
    import dspy
    from outlines.models.base import AsyncModel, Model

__all__ = ["lm"]

DRY_MULTIPLIER = 0.8
"""Of local LMs that were not made for structq: small ones loop without it."""
_ALLOWED = (
    "'smollm2' (structq pull smollm2), 'nano', 'gguf:<file or hub id>', 'onnx:<folder or hub id>', "
    "'transformers:<folder or hub id>', 'llamacpp:<file.gguf>', "
    "'vllm/<model>' and other servers, or a DSPy model string such as 'openai/gpt-4o-mini'"
)


def lm(spec: str | Model | AsyncModel, **options: Any) -> dspy.LM:
    """A `dspy.LM` for a spec, or for a model of Outlines.

    Local LMs are opened once a process and shared: every ``lm("nano")`` uses the same weights and
    the same batches.

    Args:
        spec: ``"smollm2"`` (after ``structq pull smollm2``; nothing is fetched here), ``"nano"``
            (the LM in this package, for tests), ``"gguf:<file or hub id>"`` (any GGUF file, on
            structq's own engine), ``"onnx:<folder or hub id>"``,
            ``"transformers:<folder or hub id>"``, ``"llamacpp:<file.gguf>"``; ``"vllm/<model>"``,
            ``"sglang/<model>"``, ``"llamacpp-server/<model>"``, ``"ollama/<model>"`` or
            ``"openai-server/<model>"`` for a server of one's own, which is sent a strict schema; or
            any DSPy model string. Or what ``outlines.from_transformers`` and the like give: see
            `backends.outlines.lm` for what each kind of model can do, and for its options.
        options: Passed to `dspy.LM`: ``temperature``, ``max_tokens``, ``cache``, ... What else each
            kind of LM takes, such as ``window``, ``n_slots``, ``device`` or ``dry_multiplier``, is
            listed by ``structq models --options`` and by `structq.engines.options`.
            A local LM does not use DSPy's response cache unless ``cache=True``.

    Raises:
        InputError: The spec names no LM that can be opened, a package for it is missing, or an
            option is wrong.

    Example:
        >>> import structq
        >>> structq.lm("nano", temperature=0.7).model  # doctest: +SKIP
        'structq/nano-0123456789ab'
    """
    if _is_outlines(spec):
        return _of_outlines(spec, options)
    if not isinstance(spec, str) or not spec.strip():
        raise InputError(f"the LM is missing: found {spec!r} ({_ALLOWED} are allowed)", field="lm")
    # Only what a spec needs is loaded: dspy alone takes most of a second.
    from structq.engines.registry import is_local

    if not is_local(spec) and "/" not in spec and not _is_gguf(spec):
        raise InputError(f"unknown LM: {spec!r}{_hint(spec)} ({_ALLOWED} are allowed)", field="lm")
    try:
        return _local(spec, options) if is_local(spec) else _remote(spec, options)
    except StructqError:
        raise
    except (TypeError, ValueError) as error:  # of dspy.LM, about one of its options
        raise InputError(f"{spec!r}: {error}", field="lm") from error


def _is_outlines(spec: object) -> bool:
    # Who has a model of Outlines has imported it; nobody else should wait for it.
    known = sys.modules.get("outlines.models.base")
    return known is not None and isinstance(spec, known.Model | known.AsyncModel)


def _of_outlines(model: Any, options: dict[str, Any]) -> dspy.LM:
    from structq.engines.backends.outlines.lm import outlines_lm

    kind = type(model).__name__
    try:
        return outlines_lm(model, penalties=_penalties(options), **options)
    except StructqError:
        raise
    except (TypeError, ValueError) as error:  # of dspy.LM, about one of its options
        raise InputError(f"{kind}: {error}", field="lm") from error


def _remote(spec: str, options: dict[str, Any]) -> dspy.LM:
    import dspy

    from structq.engines.backends.servers import ServerLM, is_server

    if _is_gguf(spec):
        from structq.engines.backends.llamacpp import LlamaCppLM

        return LlamaCppLM(spec, **options)
    return (
        ServerLM(spec, **options)
        if is_server(spec, options.get("api_base"))
        else dspy.LM(spec, **options)
    )


def _hint(spec: str) -> str:
    """What a mistyped name, or the part of a spec before its ``:``, was probably meant to be."""
    from difflib import get_close_matches

    from structq.engines.options import LOCAL, OTHERS
    from structq.engines.store import CATALOGUE

    name, colon, rest = spec.partition(":")
    known = [*LOCAL, *OTHERS] if colon else ["nano", *CATALOGUE]
    close = get_close_matches(name.lower(), known, n=1)
    return f": did you mean {close[0] + colon + rest!r}?" if close else ""


def _is_gguf(spec: str) -> bool:
    return spec.partition(":")[0] == "llamacpp"


def _local(spec: str, options: dict[str, Any]) -> dspy.LM:
    import dspy

    from structq.engines.pair import AsyncLocalEngine, LocalEngine
    from structq.engines.registry import open_lm, opening_options

    opening = {name: options.pop(name) for name in opening_options(spec) & options.keys()}
    penalties = _penalties(options)
    local = open_lm(spec, **opening)
    if local.form != "compact":
        penalties.setdefault("dry_multiplier", DRY_MULTIPLIER)
    # The weights are part of the name: DSPy's cache knows a response by model string and messages.
    # Nothing fails by chance here, so nothing is worth a retry. And DSPy's cache on disk outlives
    # the code that decodes: an answer of an older structq must not pass for one of this.
    settings = {"num_retries": 0, "cache": False, **options}
    return dspy.LM(
        f"structq/{local.name}",
        engine=LocalEngine(local, penalties=penalties),
        async_engine=AsyncLocalEngine(local, penalties=penalties),
        **settings,
    )


def _penalties(options: dict[str, Any]) -> dict[str, float]:
    """Takes the settings of sampling that no request carries out of the options; checked."""
    from structq.engines.sampling import PENALTIES, Sampling

    found = {name: options.pop(name) for name in PENALTIES & options.keys()}
    Sampling(**found)
    return found
