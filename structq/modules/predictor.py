"""A predictor whose LM is the user's choice: no reset, copy or file puts another in its place."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

import dspy

from structq.errors import InputError, shorten

__all__ = ["LMByName", "Predictor", "ask_predictor", "is_copy", "share_equal"]

_LOCK = threading.Lock()
_SAVED = frozenset({"demos", "fields", "lm", "lm_state", "signature", "traces", "train"})


class LMByName:
    """An LM that is opened when it is first asked; saved, copied and sent by its spec."""

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self._lm: dspy.BaseLM | None = None

    def open(self) -> dspy.BaseLM:
        """The LM, the same one each time."""
        with _LOCK:
            if self._lm is None:
                # By name: backends are imported when they are needed, and not before.
                self._lm = import_module("structq.engines").lm(self.spec)
        return self._lm

    def __reduce__(self) -> tuple[Any, ...]:
        return LMByName, (self.spec,)


class Predictor(dspy.Predict):  # type: ignore[misc]
    """A ``dspy.Predict`` that keeps its LM.

    ``set_lm`` changes it, and so do ``save_program`` and ``allow_unsafe_lm_state=True``, with which
    a user says that a file is to be trusted. A JSON file holds the LM as text that is not acted
    upon.
    """

    def __init__(self, signature: type[dspy.Signature], lm: Any = None) -> None:
        self._lm = lm
        super().__init__(signature)

    @property
    def lm(self) -> dspy.BaseLM | None:
        """The predictor's own LM; ``None`` for the one that DSPy is configured with."""
        return self._lm.open() if isinstance(self._lm, LMByName) else self._lm

    @lm.setter
    def lm(self, lm: Any) -> None:
        if not (lm is None or isinstance(lm, str | LMByName | dspy.BaseLM)):
            raise InputError(f"lm: must be a dspy.LM or a spec, found {shorten(lm)}", field="lm")
        self._lm = LMByName(lm) if isinstance(lm, str) else lm

    @property
    def unopened(self) -> Any:
        """The LM as it was given: not opened where it is a name."""
        return self._lm

    def reset(self) -> None:
        """Forgets demos and traces; optimizers start so, and the LM stays."""
        kept = self._lm
        super().reset()
        self._lm = kept

    def __deepcopy__(self, memo: dict[int, Any]) -> Predictor:
        # Candidates of an optimizer ask one and the same LM, whose history is not copied with each.
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        if self._lm is not None:
            memo[id(self._lm)] = self._lm
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The state as JSON values, the LM as text and, where it has one, its own state."""
        bare = copy.copy(self)
        bare._lm = None
        state: dict[str, Any] = super(Predictor, bare).dump_state(json_mode)
        if self._lm is not None:
            state |= {"lm": _spec_of(self._lm), "lm_state": _state_of(self._lm)}
        return state

    def load_state(self, state: dict[str, Any], *, allow_unsafe_lm_state: bool = False) -> Any:
        """Takes over a saved state, all but its LM.

        Args:
            state: As `dump_state` or ``dspy.Predict`` gives it.
            allow_unsafe_lm_state: The file is trusted: take over its LM too, address and all.

        Raises:
            InputError: It holds what is no part of a predictor.
        """
        if unknown := sorted(state.keys() - _SAVED):
            raise InputError(
                f"program: {unknown[0]!r} is no part of a predictor "
                f"({', '.join(sorted(_SAVED))} are)",
                field="program",
            )
        kept = self._lm
        super().load_state({**_without_lm(state), "lm": None})
        self._lm = _restored(state) if allow_unsafe_lm_state and state.get("lm") else kept
        return self


async def ask_predictor(
    predict: dspy.Predict, adapter: dspy.Adapter, arguments: Mapping[str, Any]
) -> dspy.Prediction:
    """What the predictor predicts under an adapter.

    What DSPy does around it is left out where nothing would come of it.
    """
    lm = predict.lm or dspy.settings.lm
    if isinstance(lm, dspy.BaseLM) and not _is_watched(predict, lm):
        inputs = dict(arguments)
        asked, config = inputs.pop("signature", predict.signature), inputs.pop("config", {})
        fields = (await adapter.acall(lm, config, asked, predict.demos, inputs))[0]
        return dspy.Prediction(**fields)
    with dspy.context(adapter=adapter):
        return await predict.acall(**arguments)


def _is_watched(predict: dspy.Predict, lm: dspy.BaseLM) -> bool:
    """Whether there are callbacks, a trace, a stream, usage, several answers, or another class."""
    now, kind = dspy.settings, type(predict)
    return bool(
        now.trace is not None
        or now.callbacks
        or predict.callbacks
        or now.track_usage
        or now.send_stream is not None
        or predict.config
        or predict.fields
        or not {"n", "num_generations"}.isdisjoint(lm.kwargs)
        or kind.acall is not dspy.Predict.acall
        or kind.aforward is not dspy.Predict.aforward
        or kind.forward is not dspy.Predict.forward
        or {"acall", "aforward", "forward"} & vars(predict).keys()
    )


def share_equal(predictors: Iterable[tuple[str, Any]], state: Mapping[str, Any]) -> None:
    """Gives predictors that a state gives the same LM one LM between them."""
    known: dict[str, Any] = {}
    for name, predictor in predictors:
        told = repr((state[name].get("lm"), state[name].get("lm_state")))
        predictor.lm = known.setdefault(told, predictor.unopened)


def is_copy(lm: Any, of: dspy.BaseLM) -> bool:
    """Whether an LM is another with other options, as ``lm.copy(...)`` gives it."""
    engines = getattr(lm, "engine", None), getattr(of, "engine", None)
    return getattr(lm, "model", None) == of.model and engines[0] == engines[1]


def _without_lm(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name not in ("lm", "lm_state")}


def _spec_of(lm: Any) -> str:
    """The text by which a reader knows the LM: its spec, or its model string."""
    if isinstance(lm, LMByName):
        return lm.spec
    spec = getattr(lm, "spec", None)
    if isinstance(spec, str):
        return spec
    state = _state_of(lm) or {}
    engine = state.get("engine")
    inner = engine.get("state") if isinstance(engine, Mapping) else None
    return str(inner["spec"] if isinstance(inner, Mapping) and "spec" in inner else lm.model)


def _state_of(lm: Any) -> dict[str, Any] | None:
    """The LM's own state, without keys; ``None`` where it has none."""
    if isinstance(lm, LMByName):
        return None
    try:
        state: dict[str, Any] = lm.dump_state()
    except (TypeError, ValueError):  # an engine of the caller that says nothing of itself
        return None
    return state


def _restored(state: Mapping[str, Any]) -> Any:
    own = state["lm"] if isinstance(state["lm"], Mapping) else state.get("lm_state")
    if own is None:
        return LMByName(state["lm"])
    return dspy.BaseLM.load_state(dict(own), allow_custom_lm_class=True)
