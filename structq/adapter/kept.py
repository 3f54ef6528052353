"""DSPy's cache of responses, for answers that can be used and for no others.

What is asked again because the first answer was cut off, empty or broken must not be answered by
that one for ever: an answer is kept when it has been checked, and not when it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dspy
from dspy.lm15 import Request, Response, Usage

__all__ = ["KeptAnswer"]


class KeptAnswer:
    """The place of one answer in the cache, where the LM and the call want one.

    Attributes:
        settings: What ``lm(request, ...)`` is told: DSPy itself keeps nothing.
    """

    def __init__(self, lm: dspy.BaseLM, request: Request, settings: Mapping[str, Any]) -> None:
        self.settings = {**settings, "cache": False}
        self._found = False
        self._key: dict[str, Any] | None = None
        if settings.get("cache", getattr(lm, "cache", False)):
            self._key = {
                "structq": repr(request),
                "lm": [lm.model, str(lm.kwargs.get("api_base"))],
                "rollout_id": settings.get("rollout_id"),
            }

    def find(self) -> Response | None:
        """The answer from before, which took no request and no tokens of this call."""
        kept = None if self._key is None else dspy.cache.get(self._key)
        if kept is None:
            return None
        self._found = True
        response: Response = kept["response"]
        data = response.provider_data
        facts = dict(data.get("structq") or {}) if isinstance(data, Mapping) else {}
        data = {**(data or {}), "structq": {**facts, "n_requests": 0}}
        return replace(response, provider_data=data, usage=Usage())

    def keep(self, response: Response) -> None:
        """Keeps an answer that was found good."""
        if self._key is not None and not self._found:
            dspy.cache.put(self._key, {"response": response})
