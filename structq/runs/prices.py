"""What calls cost, by the table of prices that LiteLLM carries; nothing is looked up elsewhere."""

from __future__ import annotations

import os
from functools import cache

__all__ = ["dollars"]


def dollars(model: str, *, input_tokens: int, output_tokens: int) -> float | None:
    """US dollars for so many tokens; ``None`` where the model has no price there."""
    prices = _prices(model)
    if prices is None:
        return None
    return input_tokens * prices[0] + output_tokens * prices[1]


@cache
def _prices(model: str) -> tuple[float, float] | None:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    for name in (model, model.partition("/")[2]):
        known = litellm.model_cost.get(name)
        if known and known.get("input_cost_per_token") is not None:
            each = known["input_cost_per_token"], known.get("output_cost_per_token") or 0.0
            return float(each[0]), float(each[1])
    return None
