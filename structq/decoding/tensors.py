"""Logits between the tensor libraries of models and numpy; imports a library only with its tensors.

Outlines names three: ``"numpy"``, ``"torch"`` and ``"mlx"``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError

__all__ = ["LIBRARIES", "check_library", "from_numpy", "ids_to_numpy", "to_numpy"]

LIBRARIES = ("numpy", "torch", "mlx")
"""What a model may compute with."""


def check_library(name: str) -> None:
    """Checks that tensors of a library can be read here.

    Raises:
        InputError: They cannot.
    """
    if name not in LIBRARIES:
        raise InputError(
            f"unknown tensor library: {name!r} ({', '.join(LIBRARIES)} are allowed)",
            field="tensor_library_name",
        )


def to_numpy(logits: Any, library: str) -> NDArray[np.float32]:
    """A copy of the logits on this side, in single precision; the tensor stays as it is."""
    if library == "torch":
        return np.array(logits.detach().float().cpu().numpy())
    if library == "mlx":
        import mlx.core as mx

        return np.array(logits.astype(mx.float32))
    return np.array(logits, dtype=np.float32)


def from_numpy(values: NDArray[np.float32], like: Any, library: str) -> Any:
    """The values as a tensor of the type, and on the device, of ``like``."""
    if library == "torch":
        import torch

        return torch.from_numpy(values).to(device=like.device, dtype=like.dtype)
    if library == "mlx":
        import mlx.core as mx

        return mx.array(values).astype(like.dtype)
    return values.astype(like.dtype, copy=False)


def ids_to_numpy(input_ids: Any, library: str) -> NDArray[np.int64]:
    """Token ids on this side, in the same shape."""
    found = input_ids.cpu().numpy() if library == "torch" else input_ids
    return np.asarray(found).astype(np.int64, copy=False)
