"""What an LM's answers depend on, for whoever compares journals; imports no LM."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["describe_lm"]

_SECRET = re.compile(
    r"key$|token$|secret|password|headers|credential|api_base|base_url", re.IGNORECASE
)
_OF_TRANSPORT = frozenset({
    "timeout", "deadline_s", "num_retries", "max_retry_after_s", "rollout_id", "cache",
})  # fmt: skip


def describe_lm(lm: Any) -> dict[str, Any]:
    """Its model string and its options as JSON values, without addresses and secrets.

    Args:
        lm: A ``dspy.LM``: its ``kwargs``, and what its engine or its connection adds to a request.
    """
    engine = getattr(lm, "engine", None)
    sources: tuple[Mapping[str, Any], ...] = (
        dict(getattr(lm, "kwargs", None) or {}),
        dict(getattr(engine, "penalties", None) or {}),
        dict(getattr(lm, "connection", None) or {}),
    )
    told = {
        name: value
        for source in sources
        for name, value in source.items()
        if value is not None and name not in _OF_TRANSPORT and not _SECRET.search(name)
    }
    known: dict[str, Any] = json.loads(json.dumps(told, default=repr))
    return {"model": str(getattr(lm, "model", lm)), **known}
