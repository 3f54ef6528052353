"""What answers one DSPy request in this process; knows nothing of signatures and modules."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from structq.errors import InputError, StructqError

if TYPE_CHECKING:
    import dspy
    from outlines.models.base import AsyncModel, Model

__all__ = ["lm"]

_ALLOWED = (
    "'smollm2' (structq pull smollm2), 'nano', 'gguf:<file or hub id>', 'onnx:<folder or hub id>', "
    "'transformers:<folder or hub id>', 'llamacpp:<file.gguf>', "
    "'vllm/<model>' and other servers, or a DSPy model string such as 'openai/gpt-4o-mini'"
)
_KEYS = {
    "anthropic": ("ANTHROPIC_API_KEY",),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks_ai": ("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY"),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "mistral": ("MISTRAL_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "together_ai": ("TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY"),
    "xai": ("XAI_API_KEY",),
}
"""Where DSPy's providers look for their key, of those that cannot do without one."""
_OF_A_CLOUD = ("aws_", "azure_", "databricks_", "vertex_", "watsonx_", "litellm_")


def lm(spec: str | Model | AsyncModel, **options: Any) -> dspy.LM:
    """A `dspy.LM` for a spec, or for a model of Outlines.

    Local LMs are opened once a process and shared: every ``lm("nano")`` uses the same weights and
    the same batches.

    Args:
        spec: ``"smollm2"`` (after ``structq pull smollm2``; nothing is fetched here), ``"nano"``
            (the LM in this package, for tests), ``"gguf:<file or hub id>"`` (any GGUF file, on
            structq's own engine), ``"onnx:<folder or hub id>"``,
            ``"transformers:<folder or hub id>"``, ``"llamacpp:<file.gguf>"``, or a kind that
            another package adds (`structq.engines.kinds`); ``"vllm/<model>"``,
            ``"sglang/<model>"``, ``"llamacpp-server/<model>"``, ``"ollama/<model>"`` or
            ``"openai-server/<model>"`` for a server of one's own, which is sent a strict schema; or
            any DSPy model string. Or what ``outlines.from_transformers`` and the like give: see
            `backends.outlines.lm` for what each kind of model can do, and for its options.
        options: ``temperature``, ``max_tokens``, ``cache``, ... What each kind of LM takes, such as
            ``window``, ``n_slots``, ``device`` or ``dry_multiplier``, is listed by
            ``structq models --options`` and by `structq.engines.options`.
            A local LM does not use DSPy's response cache unless ``cache=True``.

    Raises:
        InputError: The spec names no LM that can be opened, a package or a key for it is missing,
            or an option is wrong.

    Example:
        >>> import structq
        >>> structq.lm("nano", temperature=0.7).model  # doctest: +SKIP
        'structq/nano-0123456789ab'
    """
    is_model = _is_outlines(spec)
    if not is_model and (not isinstance(spec, str) or not spec.strip()):
        raise InputError(f"the LM is missing: found {spec!r} ({_ALLOWED} are allowed)", field="lm")
    try:
        return _of_outlines(spec, options) if is_model else _of_spec(str(spec), options)
    except StructqError:
        raise
    except (TypeError, ValueError) as error:  # of dspy.LM, about one of its options
        named = type(spec).__name__ if is_model else repr(spec)
        raise InputError(f"{named}: {error}", field="lm") from error


def _is_outlines(spec: object) -> bool:
    # Who has a model of Outlines has imported it; nobody else should wait for it.
    known = sys.modules.get("outlines.models.base")
    return known is not None and isinstance(spec, known.Model | known.AsyncModel)


def _of_outlines(model: Any, options: Mapping[str, Any]) -> dspy.LM:
    from structq.engines.backends.outlines.lm import outlines_lm
    from structq.engines.options import ANY_CALL, LOCAL_CALL, OTHERS, REMOTE_CALL, check_options

    known = {**OTHERS["Outlines"], **ANY_CALL, **LOCAL_CALL, **REMOTE_CALL}
    options, penalties = _apart(check_options("Outlines", known, options))
    return outlines_lm(model, penalties=penalties, **options)


def _of_spec(spec: str, options: Mapping[str, Any]) -> dspy.LM:
    # Only what a spec needs is loaded: dspy alone takes most of a second.
    from structq.engines.options import ANY_CALL, LOCAL_CALL, REMOTE_CALL, check_options
    from structq.engines.registry import backend_for

    backend = backend_for(spec)
    if backend is None and "/" not in spec:
        raise InputError(f"unknown LM: {spec!r}{_hint(spec)} ({_ALLOWED} are allowed)", field="lm")
    if backend is None:
        return _remote(spec, options)
    calls = REMOTE_CALL if backend.open is None else LOCAL_CALL
    kind = spec.partition(":")[0].partition("?")[0]
    checked = check_options(kind, {**backend.options, **ANY_CALL, **calls}, options)
    if backend.lm is not None:
        return backend.lm(spec, checked)
    opening = {name: checked.pop(name) for name in backend.options.keys() & checked.keys()}
    return _local(spec, opening, checked)


def _remote(spec: str, options: Mapping[str, Any]) -> dspy.LM:
    import dspy

    from structq.engines.backends.servers import ServerLM, is_server
    from structq.engines.options import ANY_CALL, DSPY, OTHERS, REMOTE_CALL, check_options

    provider, calls = spec.partition("/")[0], {**ANY_CALL, **REMOTE_CALL}
    if is_server(spec, options.get("api_base")):
        return ServerLM(spec, **check_options(provider, {**calls, **OTHERS["servers"]}, options))
    # Of one cloud: its words are its own.
    clouds = {name: value for name, value in options.items() if name.startswith(_OF_A_CLOUD)}
    own = {name: value for name, value in options.items() if name not in clouds}
    checked = check_options(provider, {**calls, **DSPY}, own)
    made, variables = dspy.LM(spec, **checked, **clouds), _KEYS.get(provider, ())
    elsewhere = {"api_key", "api_base", "base_url", "headers", "extra_headers", "engine"}
    if variables and not elsewhere & checked.keys() and not _is_known(provider, variables):
        raise InputError(
            f"no key for {spec!r}: found neither api_key nor {' nor '.join(variables)} in the "
            "environment (one of these is needed; with api_base none is)",
            field="api_key",
        )
    return made


def _is_known(provider: str, variables: tuple[str, ...]) -> bool:
    """Whether the environment names a key, or another address that may need none."""
    prefix = provider.upper()
    bases = (f"{prefix}_API_BASE", f"{prefix}_BASE_URL")
    return any(os.environ.get(name) for name in (*variables, *bases))


def _hint(spec: str) -> str:
    """What a mistyped name, or the part of a spec before its ``:``, was probably meant to be."""
    from structq.engines.kinds import kinds
    from structq.engines.options import closest
    from structq.engines.store import CATALOGUE

    name, colon, rest = spec.partition(":")
    close = closest(name, kinds() if colon else ["nano", *CATALOGUE])
    return f": did you mean {close + colon + rest!r}?" if close else ""


def _local(spec: str, opening: Mapping[str, Any], options: Mapping[str, Any]) -> dspy.LM:
    from structq.engines.options import DRY_MULTIPLIER
    from structq.engines.pair import AsyncLocalEngine, DrawingLM, LocalEngine
    from structq.engines.registry import open_lm

    options, penalties = _apart(options)
    local = open_lm(spec, **opening)
    if local.form != "compact":
        penalties.setdefault("dry_multiplier", DRY_MULTIPLIER)
    # The weights are part of the name: DSPy's cache knows a response by model string and messages.
    # Nothing fails by chance here, so nothing is worth a retry. And DSPy's cache on disk outlives
    # the code that decodes: an answer of an older structq must not pass for one of this.
    settings = {"num_retries": 0, "cache": False, **options}
    return DrawingLM(
        f"structq/{local.name}",
        engine=LocalEngine(local, penalties=penalties),
        async_engine=AsyncLocalEngine(local, penalties=penalties),
        **settings,
    )


def _apart(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of `dspy.LM`, and the settings of sampling, which no request carries."""
    from structq.engines.options import LOCAL_CALL

    own = {name: value for name, value in options.items() if name in LOCAL_CALL}
    return {name: value for name, value in options.items() if name not in own}, own
