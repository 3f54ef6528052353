"""Chance that depends on nothing but its keys: not on order, concurrency or process."""

from __future__ import annotations

import math
from hashlib import blake2b

import numpy as np

__all__ = ["generator", "normal", "uniform"]


def _digest(keys: tuple[object, ...]) -> bytes:
    return blake2b("\0".join(map(str, keys)).encode("utf8", "replace"), digest_size=16).digest()


def uniform(*keys: object) -> float:
    """From 0 to 1, below 1."""
    return int.from_bytes(_digest(keys)[:7], "big") / 2**56


def normal(*keys: object) -> float:
    """With mean 0 and deviation 1."""
    digest = _digest(keys)
    radius = (int.from_bytes(digest[:7], "big") + 1) / 2**56
    angle = int.from_bytes(digest[8:15], "big") / 2**56
    return math.sqrt(-2.0 * math.log(radius)) * math.cos(2.0 * math.pi * angle)


def generator(*keys: object) -> np.random.Generator:
    """For more than one draw."""
    return np.random.default_rng(int.from_bytes(_digest(keys), "big"))
