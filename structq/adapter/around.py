"""What DSPy has around a call: an adapter of the caller that adds to it, and stream listeners.

Our adapter stands in place of the configured one. ``dspy.Refine`` gives its advice through such an
adapter, and so may anybody: what it adds to the inputs, the demos and the instructions is found by
letting it call a listener in place of an LM.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, cast

import anyio.from_thread
import dspy
from dspy.streaming import StreamListener, StreamResponse

from structq.errors import InputError
from structq.schemas import to_json
from structq.signatures import registered

__all__ = ["Asked", "aoverhear", "areported", "listening", "overhear", "reported", "unstreamed"]

_LOG = logging.getLogger("structq")
_STOCK = ("dspy.adapters.", "structq.")
_EMPTY = (None, "", "N/A")  # what dspy.Refine says to a predictor that it has no advice for


class Asked(NamedTuple):
    """What a call is about."""

    demos: Sequence[Mapping[str, Any]]
    """Earlier turns."""
    inputs: Mapping[str, Any]
    """Values of the signature's inputs."""
    hints: tuple[str, ...] = ()
    """What somebody else has to say to the LM, a paragraph each."""


class _OverheardError(BaseException):
    """The way out of an adapter; no ``Exception``, which adapters catch to ask again."""


class _Ear(dspy.BaseLM):  # type: ignore[misc]
    """Hears what an LM would be asked."""

    def __init__(self) -> None:
        super().__init__(model="structq/ear")

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise _OverheardError

    async def acall(self, *_: Any, **__: Any) -> NoReturn:
        raise _OverheardError


def overhear(
    adapter: dspy.Adapter | None,
    signature: type[dspy.Signature],
    demos: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any],
) -> Asked:
    """The call as the adapter would make it.

    Args:
        adapter: Of the caller, or ``None``.
        signature: Of this call.
        demos: As given.
        inputs: As given.

    Raises:
        InputError: The adapter answers by itself: it cannot be heard.
    """
    if adapter is None or not _adds(cast(Hashable, type(adapter)), "__call__"):
        return Asked(demos=demos, inputs=inputs)
    try:
        signature = registered(signature)  # an adapter may know it
        adapter(_Ear(), {}, signature, list(demos), dict(inputs))
    except _OverheardError as heard:
        return _asked(heard.__traceback__, signature, demos, inputs)
    raise _deaf(adapter)


async def aoverhear(
    adapter: dspy.Adapter | None,
    signature: type[dspy.Signature],
    demos: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any],
) -> Asked:
    """As ``overhear``, for a call that is awaited."""
    if adapter is None or not _adds(cast(Hashable, type(adapter)), "acall"):
        return overhear(adapter, signature, demos, inputs)
    try:
        signature = registered(signature)
        await adapter.acall(_Ear(), {}, signature, list(demos), dict(inputs))
    except _OverheardError as heard:
        return _asked(heard.__traceback__, signature, demos, inputs)
    raise _deaf(adapter)


@lru_cache(maxsize=256)
def _adds(kind: Any, method: str) -> bool:
    """Whether a class of adapters has its own way to call an LM."""
    own = [name for name in ("format", "parse") if not _is_stock(kind, name)]
    if own:
        _LOG.warning(
            "%s.%s is not used by structq's modules: their prompts and answers are their own",
            kind.__name__, own[0],
        )  # fmt: skip
    return not _is_stock(kind, method)


def _is_stock(kind: Any, method: str) -> bool:
    home = next(base for base in kind.__mro__ if method in vars(base))
    return f"{home.__module__}.".startswith(_STOCK)


def _asked(
    trace: TracebackType | None,
    signature: type[dspy.Signature],
    demos: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any],
) -> Asked:
    """What the innermost adapter was given, beside what the outermost one was."""
    heard: Mapping[str, Any] = {}
    while trace is not None:
        found = dict(trace.tb_frame.f_locals)
        if isinstance(found.get("self"), dspy.Adapter) and {"signature", "inputs"} <= found.keys():
            heard = found
        trace = trace.tb_next
    told, values = heard["signature"], heard["inputs"]
    hints = [
        f"{(field.json_schema_extra or {}).get('desc') or name}: {values[name]}"
        for name, field in told.input_fields.items()
        if name not in signature.input_fields and values.get(name) not in _EMPTY
    ]
    if told.instructions != signature.instructions:
        hints.insert(0, told.instructions.replace(signature.instructions, "").strip())
    return Asked(
        demos=heard.get("demos", demos),
        inputs={name: values.get(name, value) for name, value in inputs.items()},
        hints=tuple(hints),
    )


def _deaf(adapter: dspy.Adapter) -> InputError:
    return InputError(
        f"adapter: {type(adapter).__name__} asks no LM by itself, and structq's modules cannot "
        "take its place (an adapter that hands its call to one of dspy's is allowed)",
        field="adapter",
    )


def listening() -> list[StreamListener]:
    """The listeners of ``dspy.streamify`` to the predictor of this call."""
    if dspy.settings.send_stream is None:
        return []
    predict = dspy.settings.caller_predict
    known = dspy.settings.stream_listeners or []
    return [listener for listener in known if listener.predict is predict]


def unstreamed(listeners: Sequence[StreamListener]) -> AbstractContextManager[Any]:
    """A call whose tokens are not streamed as they come: nobody could take them back."""
    return dspy.context(send_stream=None) if listeners else nullcontext()


def reported(listeners: Sequence[StreamListener], fields: Mapping[str, Any]) -> None:
    """Gives listeners the field that they wait for: whole, as it has been checked."""
    for chunk in _chunks(listeners, fields):
        anyio.from_thread.run(dspy.settings.send_stream.send, chunk)


async def areported(listeners: Sequence[StreamListener], fields: Mapping[str, Any]) -> None:
    """As ``reported``, for a call that is awaited."""
    for chunk in _chunks(listeners, fields):
        await dspy.settings.send_stream.send(chunk)


def _chunks(listeners: Sequence[StreamListener], fields: Mapping[str, Any]) -> list[StreamResponse]:
    chunks = []
    for listener in listeners:
        if listener.stream_end and not listener.allow_reuse:
            continue
        listener.stream_start = listener.stream_end = True
        name = listener.signature_field_name
        value = fields[name]
        text = value if isinstance(value, str) else to_json(value)
        chunks.append(StreamResponse(listener.predict_name, name, text, is_last_chunk=True))
    return chunks
