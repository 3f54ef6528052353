"""What calls cost, by the table of prices that LiteLLM carries; nothing is looked up elsewhere."""

from __future__ import annotations

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

__all__ = ["dollars"]

_TABLE = "model_prices_and_context_window_backup.json"


def dollars(model: str, *, input_tokens: int, output_tokens: int) -> float | None:
    """US dollars for so many tokens; ``None`` where the model has no price there."""
    for name in (model, model.partition("/")[2]):
        known = _prices().get(name)
        if known and known.get("input_cost_per_token") is not None:
            written = float(known.get("output_cost_per_token") or 0.0)
            return input_tokens * float(known["input_cost_per_token"]) + output_tokens * written
    return None


@cache
def _prices() -> dict[str, dict[str, Any]]:
    """The table, as a file where it lies: importing the package for it takes four seconds."""
    spec = find_spec("litellm")
    path = Path((spec and spec.origin) or "litellm").with_name(_TABLE)
    if path.exists():
        table: dict[str, dict[str, Any]] = orjson.loads(path.read_bytes())
        return table
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    return dict(litellm.model_cost)
