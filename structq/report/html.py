"""Elements of a page, all text in them escaped; knows nothing of what is shown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup, escape

__all__ = ["data_block", "figure", "number", "signed", "table", "tag"]

_EMPTY = frozenset({"meta", "link", "input", "br", "line", "rect", "circle", "path"})


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """One element; an attribute's name may end in ``_``, ``None`` and ``False`` leave it out."""
    told = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _EMPTY and not children:
        return Markup(
            f"<{name}{told}/>" if name not in ("meta", "link", "input", "br") else f"<{name}{told}>"
        )
    inner = "".join(escape(child) for child in children if child is not None)
    return Markup(f"<{name}{told}>{inner}</{name}>")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], **attributes: Any) -> Markup:
    """A table; what is a number stands to the right."""

    def cell(value: Any, kind: str, **more: Any) -> Markup:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = number(value) if isinstance(value, float) else f"{value:,}" if is_number else value
        return tag(kind, "–" if value is None else text, class_="n" if is_number else None, **more)

    body = (
        tag("tr", cell(row[0], "th", scope="row"), *(cell(value, "td") for value in row[1:]))
        for row in rows
    )
    heads = (tag("th", name, scope="col") for name in head)
    return tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), **attributes)


def figure(
    name: str, title: str, told: str, picture: Markup | None, head: Sequence[str], rows: Any
) -> Markup:
    """A plot with its title, what it says in a sentence, and its numbers as a table."""
    rows = list(rows)
    if picture is None or not rows:
        return Markup("")
    return tag(
        "figure",
        tag("h3", title, id=f"{name}-title"),
        tag("p", told, id=f"{name}-told", class_="told"),
        picture,
        tag("details", tag("summary", "Numbers"), table(head, rows)),
        id=name,
        aria_labelledby=f"{name}-title",
    )


def data_block(name: str, value: Any) -> Markup:
    """JSON for the page's script; nothing in it can end the block."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return tag("script", Markup(text.replace("<", "\\u003c")), type="application/json", id=name)


def number(value: float | None, digits: int = 3) -> str:
    """With three digits behind the point at most; an en dash for none."""
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text.replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    """With its sign."""
    text = f"{value:+,.{digits}f}".replace("-", "−")
    return text if float(f"{value:.{digits}f}") else f"{0:.{digits}f}"
