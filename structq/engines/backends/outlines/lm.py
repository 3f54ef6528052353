"""Any model of Outlines as a DSPy LM: ``structq.lm(outlines.from_transformers(model, tokenizer))``.

* **Steerable models** (``from_transformers``, ``from_llamacpp``, ``from_mlxlm``) do all that the
  LMs do that structq opens itself: schemas hold by construction, texts keep their rules, and scores
  are measured at their slots from the logits as the model gave them. A logits processor of
  structq's sees each step's logits and leaves the model one token to choose. Rows run one after the
  other, one generation at a time for each model; ``transformers:`` and ``gguf:`` batch them.
  Penalties and other processors in the model's own generation settings are set to nothing, since
  they would shift the logits of a slot; options of the LM (``temperature``,
  ``repetition_penalty``, ``dry_multiplier``, ...) are structq's.
* **Other models** (``from_openai``, ``from_vllm``, ...; also asynchronous ones) get the schema as
  Outlines' output type, and their answers are validated as those of any server. They show no
  logits: ``expected_scores`` are ``None``.

Outlines' own ``Generator`` makes processors by the name of one of its backends and refuses models
that it does not know: there is no way to register structq's backend there. So processors go in by
``SteerableGenerator.from_processor``. A foreign subclass of ``Model`` is asked as the other models
are, whatever it computes with.

``backend="outlines_core"``, ``"xgrammar"`` or ``"llguidance"`` puts Outlines' own backend in the
place of structq's, for comparisons: answers with a schema are then generated under its masks, and
scores too. A schema with a keyword that the backend drops is refused, unless ``allow_unsound=True``
(`backends.outlines.compared`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import dspy
from outlines.models.base import AsyncModel, Model

from structq.engines.backends.outlines.black_box import (
    AsyncBlackBoxEngine,
    BlackBoxEngine,
    BlackBoxModel,
)
from structq.engines.backends.outlines.compared import ComparedLM
from structq.engines.backends.outlines.driven import Generations
from structq.engines.backends.outlines.steerable import is_steerable, steerable
from structq.engines.backends.outlines.unsaved import Unsaved
from structq.engines.local import LocalLM
from structq.engines.options import DRY_MULTIPLIER
from structq.engines.pair import AsyncLocalEngine, DrawingLM, LocalEngine
from structq.engines.sharing import Shared
from structq.errors import InputError

__all__ = ["outlines_lm"]

_OPEN: Shared[tuple[int, str | None, bool], LocalLM] = Shared(
    WeakValueDictionary(), is_open=lambda lm: bool(lm.close.alive)
)
"""By the model, which the LM's runtime keeps alive, so that no other has its id."""


def outlines_lm(
    model: Model | AsyncModel,
    *,
    backend: str | None = None,
    allow_unsound: bool = False,
    settings: Mapping[str, Any] | None = None,
    penalties: Mapping[str, Any],
    **options: Any,
) -> dspy.LM:
    """A `dspy.LM` on a model of Outlines.

    Args:
        model: What one of Outlines' ``from_...`` gives.
        backend: One of Outlines' own in place of structq's, for steerable models.
        allow_unsound: With a ``backend``, answer schemas with keywords that it drops.
        settings: For models that are not steerable: passed on with each call, in the words of the
            model's client.
        penalties: Settings of sampling that no request carries, for steerable models.
        options: Of `dspy.LM`.

    Raises:
        InputError: The model cannot be used as an LM, or an option is not for it.
    """
    if isinstance(model, LocalLM):
        _refuse("an LM of structq's own", backend=backend, settings=settings)
        if model.form != "compact":
            penalties = {"dry_multiplier": DRY_MULTIPLIER, **penalties}
        return _lm(
            model.name,
            LocalEngine(model, penalties=penalties),
            AsyncLocalEngine(model, penalties=penalties),
            options,
        )
    if is_steerable(model):
        _refuse("a steerable model", settings=settings)
        penalties = {"dry_multiplier": DRY_MULTIPLIER, **penalties}
        return _steered(model, backend, allow_unsound, penalties, options)
    if not isinstance(model, Model | AsyncModel):
        raise InputError(f"not a model of Outlines: found {type(model).__name__}", field="lm")
    _refuse("a model that shows no logits", backend=backend, **penalties)
    box = BlackBoxModel(model, settings=settings or {})
    name = getattr(model, "model_name", None)
    named = f"outlines-{box.kind}" + (f"-{name}" if isinstance(name, str) else "")
    # A server fails by chance: DSPy's retries stay.
    return _lm(named, BlackBoxEngine(box), AsyncBlackBoxEngine(box), {"num_retries": 3, **options})


class _Steered(Unsaved, LocalEngine):
    """Answers requests of threads with a steerable model."""

    def __init__(self, lm: LocalLM, *, penalties: Mapping[str, Any], kind: str) -> None:
        super().__init__(lm, penalties=penalties)
        self.kind = kind


class _AsyncSteered(Unsaved, AsyncLocalEngine):
    """Answers requests of coroutines with a steerable model."""

    def __init__(self, lm: LocalLM, *, penalties: Mapping[str, Any], kind: str) -> None:
        super().__init__(lm, penalties=penalties)
        self.kind = kind


class _Compared(_Steered):
    """As `_Steered`, with nothing that Outlines' backends cannot do."""

    measures_labels: ClassVar[bool] = False
    constrains_text: ClassVar[bool] = False


class _AsyncCompared(_AsyncSteered):
    """As `_Compared`."""

    measures_labels: ClassVar[bool] = False
    constrains_text: ClassVar[bool] = False


def _steered(
    model: Any,
    backend: str | None,
    allow_unsound: bool,
    penalties: Mapping[str, Any],
    options: Mapping[str, Any],
) -> dspy.LM:
    key = id(model), backend, allow_unsound
    local = _OPEN.get(key, lambda: _opened(model, backend, allow_unsound))
    kinds = (_Steered, _AsyncSteered) if backend is None else (_Compared, _AsyncCompared)
    engine, async_engine = (
        kind(local, penalties=penalties, kind=type(model).__name__) for kind in kinds
    )
    name = local.name + (f"-{backend}" if backend else "")
    return _lm(name, engine, async_engine, options)


def _opened(model: Any, backend: str | None, allow_unsound: bool) -> LocalLM:
    runtime = steerable(model)
    if backend is None:
        return LocalLM(runtime, scheduler=Generations(runtime))
    return ComparedLM(runtime, model, backend=backend, allow_unsound=allow_unsound)


def _lm(name: str, engine: Any, async_engine: Any, options: Mapping[str, Any]) -> dspy.LM:
    # As for all LMs of this process: nothing is worth a retry, and no cache answers for a model.
    settings = {"num_retries": 0, "cache": False, **options}
    return DrawingLM(f"structq/{name}", engine=engine, async_engine=async_engine, **settings)


def _refuse(what: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} is not for {what}: found {value!r}", field=name)
