"""What answers one DSPy request in this process; knows nothing of signatures and modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structq.errors import InputError

if TYPE_CHECKING:
    import dspy

__all__ = ["lm"]

_ALLOWED = "'nano', 'onnx:<folder>', or a DSPy model string such as 'openai/gpt-4o-mini'"


def lm(spec: str, **options: Any) -> dspy.LM:
    """A `dspy.LM` for a spec.

    Local LMs are opened once a process and shared: every ``lm("nano")`` uses the same weights and
    the same batches.

    Args:
        spec: ``"nano"`` (the LM in this package), ``"onnx:<folder>"``, or a DSPy model string.
        options: Passed to `dspy.LM`: ``temperature``, ``max_tokens``, ``cache``, ... A local LM
            does not use DSPy's response cache unless ``cache=True``.

    Raises:
        InputError: The spec names no LM.

    Example:
        >>> import structq
        >>> structq.lm("nano", temperature=0.7).model  # doctest: +SKIP
        'structq/nano-0123456789ab'
    """
    if not isinstance(spec, str) or not spec.strip():
        raise InputError(f"the LM is missing: found {spec!r} ({_ALLOWED} are allowed)", field="lm")
    # Only what a spec needs is loaded: dspy alone takes most of a second.
    from structq.engines.registry import is_local

    if is_local(spec):
        return _local(spec, options)
    scheme = spec.partition(":")[0]
    if "/" not in spec or scheme in {"transformers", "llamacpp"}:
        raise InputError(f"unknown LM: {spec!r} ({_ALLOWED} are allowed)", field="lm")
    import dspy

    return dspy.LM(spec, **options)


def _local(spec: str, options: dict[str, Any]) -> dspy.LM:
    import dspy

    from structq.engines.pair import AsyncLocalEngine, LocalEngine
    from structq.engines.registry import open_lm

    local = open_lm(spec)
    # The weights are part of the name: DSPy's cache knows a response by model string and messages.
    # Nothing fails by chance here, so nothing is worth a retry. And DSPy's cache on disk outlives
    # the code that decodes: an answer of an older structq must not pass for one of this.
    settings = {"num_retries": 0, "cache": False, **options}
    return dspy.LM(
        f"structq/{local.name}",
        engine=LocalEngine(local),
        async_engine=AsyncLocalEngine(local),
        **settings,
    )
