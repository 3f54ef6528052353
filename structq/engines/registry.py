"""Local LMs that this process has open: one copy of the weights for each spec."""

from __future__ import annotations

import threading
from pathlib import Path

from structq.engines.local import LocalLM
from structq.engines.onnx import OnnxRuntime
from structq.errors import InputError

__all__ = ["is_local", "open_lm", "spec_of"]

_NANO = Path(__file__).resolve().parent.parent / "nano"
_OPEN: dict[str, LocalLM] = {}
_LOCK = threading.Lock()


def is_local(spec: str) -> bool:
    """Whether the spec names an LM that runs in this process."""
    return spec == "nano" or spec.startswith("onnx:")


def open_lm(spec: str) -> LocalLM:
    """The open LM of a spec, opened on first use; ``"nano"`` or ``"onnx:<folder>"``.

    Raises:
        InputError: The spec names no LM that can be opened.
    """
    folder = _folder(spec)
    key = "nano" if folder == _NANO else f"onnx:{folder}"
    with _LOCK:
        lm = _OPEN.get(key)
        if lm is None or not lm.close.alive:
            lm = _OPEN[key] = LocalLM(OnnxRuntime(folder))
        return lm


def spec_of(lm: LocalLM) -> str:
    """The spec under which the LM is open.

    Raises:
        InputError: It was not opened by `open_lm`.
    """
    with _LOCK:
        for spec, known in _OPEN.items():
            if known is lm:
                return spec
    raise InputError(
        f"the LM {lm.name!r} cannot be saved: it was not opened by structq.lm", field="lm"
    )


def _folder(spec: str) -> Path:
    if spec == "nano":
        return _NANO
    path = spec.removeprefix("onnx:")
    if not is_local(spec) or not path:
        raise InputError(
            f"not a local LM: {spec!r} ('nano' and 'onnx:<folder>' are allowed)", field="lm"
        )
    return Path(path).expanduser().resolve()
