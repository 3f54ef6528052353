"""What ``structq judge-check --json`` wrote, drawn by its shape: tables, curves and warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from structq.report.html import figure, number, table, tag
from structq.report.plots import curve

__all__ = ["check_section"]

_MIDDLES = ("mean", "value", "estimate", "accuracy")
_ALONG = ("predicted", "confidence", "mean_predicted", "x")
_UP = ("observed", "accuracy", "frequency", "y")


def check_section(title: str, check: Mapping[str, Any], mark: str) -> Markup:
    """One judge check: its warnings first, then whatever it holds."""
    said = [text for text in check.get("warnings") or [] if isinstance(text, str)]
    parts = [tag("h2", f"Judge check: {title}"), *(tag("p", text, class_="lead") for text in said)]
    rest = {k: v for k, v in check.items() if k not in ("kind", "warnings")}
    parts += _drawn(rest, f"check{mark}", 3)
    return tag("section", *parts, id=f"check{mark}", class_="check")


def _drawn(values: Mapping[str, Any], name: str, level: int) -> Iterator[Markup]:
    plain = [(_words(key), _cell(value)) for key, value in values.items() if _is_cell(value)]
    if plain:
        yield table(["What", "Value"], plain)
    for key, value in values.items():
        if _is_cell(value):
            continue
        own, title = f"{name}-{key}".replace(" ", "-"), _words(key)
        rows = _rows(value)
        if rows and (points := _points(rows)):
            told = (
                "How often it was right, by how sure it said it was: a good judge is on the line."
            )
            picture = curve(points, ("said", "right"), own)
            yield figure(own, title, told, picture, ["Said", "Right"], points)
        elif rows:
            yield tag(f"h{level}", title)
            yield _table(rows)
            yield from _inner(rows, own, level + 1)
        elif isinstance(value, Mapping):
            yield tag(f"h{level}", title)
            yield from _drawn(value, own, min(level + 1, 6))
        elif value:
            yield tag(f"h{level}", title)
            yield tag("ul", *(tag("li", str(item)) for item in value))


def _rows(value: Any) -> list[dict[str, Any]]:
    """A list of objects, or an object of them by name, as rows; else none."""
    if isinstance(value, Mapping) and value and all(_is_row(one) for one in value.values()):
        return [{"name": key, **one} for key, one in value.items()]
    if isinstance(value, Sequence) and value and all(_is_row(one) for one in value):
        return [dict(one) for one in value]
    return []


def _is_row(value: Any) -> bool:
    return isinstance(value, Mapping) and not _is_cell(value)


def _table(rows: Sequence[Mapping[str, Any]]) -> Markup:
    names = list(dict.fromkeys(k for row in rows for k, v in row.items() if _is_cell(v)))
    return table([_words(n) for n in names], ([_cell(row.get(n)) for n in names] for row in rows))


def _inner(rows: Sequence[Mapping[str, Any]], name: str, level: int) -> Iterator[Markup]:
    """What a table cannot show of its rows."""
    for i, row in enumerate(rows):
        nested = {k: v for k, v in row.items() if not _is_cell(v)}
        if any(nested.values()):
            title = next((str(v) for v in row.values() if isinstance(v, str)), str(i + 1))
            yield tag(f"h{min(level, 6)}", title)
            yield from _drawn(nested, f"{name}-{i}", min(level + 1, 6))


def _points(rows: Sequence[Mapping[str, Any]]) -> list[tuple[float, float]]:
    along = next((n for n in _ALONG if all(n in row for row in rows)), None)
    up = next((n for n in _UP if all(n in row for row in rows)), None)
    if along is None or up is None:
        return []
    found = [(row[along], row[up]) for row in rows]
    return [(x, y) for x, y in found if isinstance(x, float | int) and isinstance(y, float | int)]


def _is_cell(value: Any) -> bool:
    if isinstance(value, Mapping):
        return {"low", "high"} <= value.keys() and any(name in value for name in _MIDDLES)
    return value is None or isinstance(value, str | int | float)


def _cell(value: Any) -> Any:
    """A scalar, or a value with its interval in words."""
    if isinstance(value, Mapping):
        middle = next(value[name] for name in _MIDDLES if name in value)
        return f"{number(middle)} ({number(value['low'])} to {number(value['high'])})"
    return str(value) if isinstance(value, bool) else value


def _words(name: str) -> str:
    text = name.replace("_", " ")
    return text[:1].upper() + text[1:]
