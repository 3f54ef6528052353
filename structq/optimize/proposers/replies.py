"""An LM's reply as texts, and texts that are shown to an LM as data."""

from __future__ import annotations

import json

__all__ = ["quote", "read_texts"]

_MOST_READ = 20_000


def quote(text: str, limit: int = 600) -> str:
    """The text as a JSON string, cut: it cannot end the quotation or begin a line."""
    cut = text if len(text) <= limit else f"{text[:limit]} [...]"
    return json.dumps(cut, ensure_ascii=False)


def read_texts(reply: str | None) -> list[str]:
    """The texts of a reply: the strings of a JSON list or object, or all of it as one text.

    A reply that is too long to be honest is handed on unread, for the gate to refuse.
    """
    if reply is None or not reply.strip():
        return []
    if len(reply) > _MOST_READ:
        return [reply]
    body = reply.strip()
    if body.startswith("```"):
        lines = body.splitlines()
        body = "\n".join(lines[1:-1] if lines[-1].strip() == "```" else lines[1:]).strip()
    if body[:1] in ("[", "{", '"'):
        try:
            return _strings(json.loads(body))
        except (ValueError, RecursionError):
            return [body]
    return [body]


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        flat = [item for part in value for item in (part if isinstance(part, list) else [part])]
        return [item for item in flat if isinstance(item, str)]
    return []
