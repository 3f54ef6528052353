"""The ways to score: each turns one row into questions, and their replies into scores."""

from __future__ import annotations

from collections.abc import Mapping

from .asked import independent, joint
from .likelihood import likelihood
from .pairwise import pairwise
from .turns import summed
from .way import Plan, Scored, Way

__all__ = ["WAYS", "Plan", "Scored", "Way", "summed"]

WAYS: Mapping[str, Way] = {
    "joint": joint,
    "independent": independent,
    "pairwise": pairwise,
    "likelihood": likelihood,
}
"""By the name that ``QualityScorer(scoring=...)`` knows."""
