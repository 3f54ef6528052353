"""JSON on one line, as a grammar of llama.cpp: where a schema alone leaves the layout to the LM.

A score behind a line break is another one than behind a space: rows whose layouts differ cannot be
compared. Nothing but a space may stand behind a comma or a colon here. Only what holds no free text
has such a grammar: there the schema does as well.

Source: https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["one_line"]

_MOST = 20_000
"""Characters of a grammar; a schema that needs more is sent as it is."""


def one_line(schema: Mapping[str, Any]) -> str | None:
    """The grammar of a schema's answers, without breaks and indentation.

    Returns:
        ``None`` where the schema has anything but objects whose keys are all required, lists of a
        fixed length, and listed values.
    """
    try:
        grammar = f'root ::= {_rule(schema)}\nspace ::= " "?'
    except KeyError:
        return None
    return grammar if len(grammar) <= _MOST else None


def _rule(part: Mapping[str, Any]) -> str:
    """An expression for a part; ``KeyError`` where it has none."""
    if "const" in part or "enum" in part:
        values = [part["const"]] if "const" in part else part["enum"]
        return f"({' | '.join(map(_literal, values))})"
    if part["type"] == "object":
        keys = part["properties"]
        if {*keys} - {*part["required"]}:
            raise KeyError("required")
        held = [f"{_literal(key)} {_quoted(':')} space {_rule(one)}" for key, one in keys.items()]
        return _listed("{", held, "}")
    if part["type"] == "array" and part["minItems"] == part["maxItems"]:
        return _listed("[", [_rule(part["items"])] * part["minItems"], "]")
    raise KeyError("type")


def _listed(start: str, parts: Sequence[str], end: str) -> str:
    inside = f" {_quoted(',')} space ".join(parts)
    return f"{_quoted(start)} {inside} {_quoted(end)}"


def _literal(value: Any) -> str:
    """A value as JSON writes it."""
    return _quoted(json.dumps(value, ensure_ascii=False))


def _quoted(text: str) -> str:
    """Of the escapes of JSON, llama.cpp reads all that this can need."""
    return json.dumps(text, ensure_ascii=False)
