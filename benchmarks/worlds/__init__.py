"""Simulated LMs that differ in kind, for measuring who tunes templates; know nothing of who does.

    world("features", 3, proposer="ignorant", judge="length")

Four families to develop with, and ``style``, which is held out: to be run once, at the end. Each
was written from structq's public interface alone, before the search that it measures. The truth of
a world is exact: what templates are worth is computed, and not estimated.
"""

from __future__ import annotations

from collections.abc import Callable

from .dev_additive import Additive
from .dev_ceiling import Ceiling
from .dev_features import Features
from .dev_interactions import Interactions
from .heldout import Style
from .proposing import PROPOSERS
from .rules import Rule
from .world import JUDGES, World

__all__ = ["DEVELOPMENT", "FAMILIES", "HELD_OUT", "JUDGES", "PROPOSERS", "World", "world"]

FAMILIES: dict[str, Callable[[int], Rule]] = {
    "additive": Additive,
    "features": Features,
    "interactions": Interactions,
    "ceiling": Ceiling,
    "style": Style,
}
HELD_OUT = "style"
DEVELOPMENT = tuple(name for name in FAMILIES if name != HELD_OUT)


def world(
    family: str, seed: int, *, proposer: str = "good", judge: str = "fair", null: bool = False
) -> World:
    """One world; the same arguments give the same one.

    Args:
        family: One of ``FAMILIES``.
        seed: From 0; each gives another world.
        proposer: One of ``PROPOSERS``: what the proposing LM knows and how it writes.
        judge: One of ``JUDGES``.
        null: All templates are worth the same; only noise differs.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family: {family!r} (one of {', '.join(FAMILIES)})")
    rule = FAMILIES[family](seed)
    return World(rule, seed, proposer=proposer, judge=judge, null=null, family=family)
