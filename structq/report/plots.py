"""Plots as SVG of a few kilobytes; colours come from the page's style, for light and dark.

What can be clicked carries its filter: a column of the page's table, and what it must be.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from structq.report.answers import Mean
from structq.report.html import number, tag

__all__ = ["Bin", "bars", "bins_of", "columns", "curve", "edges_of", "scatter", "whiskers"]

_WIDTH, _HEIGHT = 460, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 34


@dataclass(frozen=True, kw_only=True)
class Bin:
    """How many values lie from ``low`` to below ``high`` (of the last one, to it)."""

    low: float
    high: float
    n: int
    last: bool

    def filter(self, column: str, title: str) -> dict[str, Any]:
        """What a click on it asks of a row."""
        told = f"{title} {number(self.low)} to {number(self.high)}"
        return {
            "column": column,
            "low": self.low,
            "high": self.high,
            "last": self.last,
            "told": told,
        }


def edges_of(values: Sequence[float]) -> list[float]:
    """Edges of six to about 24 bins, at round numbers, zero among them where it lies inside."""
    low, high = min(values), max(values)
    n = min(30, max(6, int(2 * math.sqrt(len(values)))))
    step = _round_step((high - low) / n) if high > low else 1.0
    first = math.floor(low / step)
    count = max(1, math.ceil(round(high / step - first, 9)))
    if low == high:
        return [low - 0.5, low + 0.5]
    return [round((first + i) * step, 10) for i in range(count + 1)]


def bins_of(values: Iterable[float], edges: Sequence[float]) -> list[Bin]:
    """The values counted between the edges."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[min(max(bisect_right(edges, value) - 1, 0), len(counts) - 1)] += 1
    return [
        Bin(low=a, high=b, n=n, last=i == len(counts) - 1)
        for i, (a, b, n) in enumerate(zip(edges, edges[1:], counts, strict=False))
    ]


def columns(series: Sequence[tuple[str, str, Sequence[Bin]]], axis: str, named: str) -> Markup:
    """Bars over bins, those of several series side by side.

    Args:
        series: Title, column of the table and bins of each.
        axis: What is counted along.
        named: Id of the plot, whose title and sentence describe it.
    """
    bins = series[0][2]
    low, high = bins[0].low, bins[-1].high
    top = max(1, max(b.n for _, _, found in series for b in found))
    x, y = _Scale(low, high, _LEFT, _WIDTH - _RIGHT), _Scale(0, top, _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(x, y, _ticks(low, high), _ticks(0, top, 4, whole=True), axis, "rows")]
    for place, (title, column, found) in enumerate(series):
        for one in found:
            wide = (x(one.high) - x(one.low)) / len(series)
            left = x(one.low) + place * wide
            told = f"{title} {number(one.low)} to {number(one.high)}: {one.n:,} rows"
            bar = tag(
                "rect", x=_px(left + 0.75), y=_px(y(one.n)), width=_px(max(1.0, wide - 1.5)),
                height=_px(y(0) - y(one.n)), class_=f"bar s{place if len(series) > 1 else 1}",
            )  # fmt: skip
            if one.n:
                parts.append(_clickable(bar, told, one.filter(column, title)))
    return _svg(parts, named)


def bars(rows: Sequence[tuple[str, int, dict[str, Any]]], named: str) -> Markup:
    """One bar a name, from the left: name, count, filter."""
    top, line = max(n for _, n, _ in rows), 34
    x = _Scale(0, top, 0, _WIDTH - 60)
    parts = []
    for i, (name, n, asked) in enumerate(rows):
        inner = [
            tag("rect", x=0, y=i * line, width=_WIDTH, height=line, class_="hit"),
            tag("text", _short(name, 72), x=0, y=i * line + 12, class_="name"),
            tag("rect", x=0, y=i * line + 17, width=_px(max(2, x(n))), height=9, class_="bar s2"),
            tag("text", f"{n:,}", x=_px(x(n) + 6), y=i * line + 26, class_="tick"),
        ]
        parts.append(_clickable(Markup("").join(inner), f"{name}: {n:,} rows", asked))
    return _svg(parts, named, height=len(rows) * line)


def whiskers(
    rows: Sequence[tuple[str, Mean, dict[str, Any] | None]],
    axis: str,
    named: str,
    unit: str = "steps",
) -> Markup:
    """A mean with its interval on each line: name, mean, filter; ``unit`` is what was counted."""
    ends = [end for _, mean, _ in rows for end in (mean.low, mean.high)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    left = 10 + 6.2 * min(30, max(len(name) for name, *_ in rows))
    line = 26
    height = len(rows) * line + _TOP + _BOTTOM
    x = _Scale(low, high, left + 10, _WIDTH - 20)
    y = _Scale(0, len(rows), _TOP, height - _BOTTOM)
    parts = [_grid(x, y, _ticks(low, high), [], axis, "")]
    parts.append(_line(x(0), y(0), x(0), y(len(rows)), "zero"))
    for i, (name, mean, asked) in enumerate(rows):
        at = y(i + 0.5)
        inner = [
            tag("rect", x=0, y=_px(y(i)), width=_WIDTH, height=line, class_="hit"),
            tag("text", _short(name, 30), x=_px(left), y=_px(at + 4), class_="name end"),
            _line(x(mean.low), at, x(mean.high), at, "whisker"),
            tag("circle", cx=_px(x(mean.mean)), cy=_px(at), r=4.5,
                class_="dot loss" if mean.high < 0 else "dot"),
        ]  # fmt: skip
        told = f"{name}: {mean}, {mean.n:,} {unit}"
        parts.append(_clickable(Markup("").join(inner), told, asked))
    return _svg(parts, named, height=height)


def scatter(
    points: Sequence[tuple[float, float]],
    bands: Sequence[tuple[Bin, Mean]],
    names: tuple[str, str],
    named: str,
) -> Markup:
    """Points, and the mean of each band of the first axis, which can be clicked."""
    low, high = bands[0][0].low, bands[-1][0].high
    bottom, top = (f(0.0, *(y for _, y in points)) for f in (min, max))
    x = _Scale(low, high, _LEFT, _WIDTH - _RIGHT)
    y = _Scale(bottom, top, _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(x, y, _ticks(low, high, 5), _ticks(bottom, top, 4), *names)]
    parts.append(_line(_LEFT, y(0), _WIDTH - _RIGHT, y(0), "zero"))
    parts += [tag("circle", cx=_px(x(a)), cy=_px(y(b)), r=2.2, class_="point") for a, b in points]
    for one, mean in bands:
        middle = x((one.low + one.high) / 2)
        inner = [
            tag("rect", x=_px(x(one.low)), y=_TOP, width=_px(x(one.high) - x(one.low)),
                height=_HEIGHT - _BOTTOM - _TOP, class_="hit"),
            _line(middle, y(max(mean.low, bottom)), middle, y(min(mean.high, top)), "whisker"),
            tag("circle", cx=_px(middle), cy=_px(y(mean.mean)), r=4.5, class_="dot"),
        ]  # fmt: skip
        told = f"{number(one.low, 0)} to {number(one.high, 0)}: {mean}, {mean.n:,} rows"
        parts.append(_clickable(Markup("").join(inner), told, one.filter("added", names[0])))
    return _svg(parts, named)


def curve(points: Sequence[tuple[float, float]], names: tuple[str, str], named: str) -> Markup:
    """Points from 0 to 1 on both axes, joined, beside the diagonal on which they should lie."""
    x, y = _Scale(0, 1, _LEFT, _WIDTH - _RIGHT), _Scale(0, 1, _HEIGHT - _BOTTOM, _TOP)
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    path = " ".join(
        f"{'L' if i else 'M'}{_px(x(a))} {_px(y(b))}" for i, (a, b) in enumerate(points)
    )
    parts = [
        _grid(x, y, ticks, ticks, *names),
        _line(x(0), y(0), x(1), y(1), "zero"),
        tag("path", d=path, class_="curve"),
        *(tag("circle", cx=_px(x(a)), cy=_px(y(b)), r=4, class_="dot") for a, b in points),
    ]
    return _svg(parts, named)


def _svg(parts: Iterable[Markup], named: str, height: float = _HEIGHT) -> Markup:
    return tag(
        "svg", *parts, viewBox=f"0 0 {_WIDTH} {_px(height)}", role="group",
        aria_labelledby=f"{named}-title", aria_describedby=f"{named}-told",
    )  # fmt: skip


def _clickable(inner: Markup, told: str, asked: dict[str, Any] | None) -> Markup:
    title = tag("title", told)
    if asked is None:
        return tag("g", title, inner, role="img", aria_label=told)
    return tag(
        "g", title, inner, role="button", tabindex=0, aria_pressed="false",
        aria_label=f"{told}. Show these rows", class_="pick", data_filter=json.dumps(asked),
    )  # fmt: skip


def _grid(
    x: Any, y: Any, along: Sequence[float], up: Sequence[float], axis: str, side: str
) -> Markup:
    top, bottom = sorted((y.at[0], y.at[1]))
    parts = [_line(x.at[0], y(v), x.at[1], y(v), "grid") for v in up]
    parts += [
        tag("text", number(v), x=_px(x.at[0] - 6), y=_px(y(v) + 3.5), class_="tick end") for v in up
    ]
    parts += [_line(x(v), bottom, x(v), bottom + 4, "axis") for v in along]
    parts += [
        tag("text", number(v), x=_px(x(v)), y=_px(bottom + 15), class_="tick mid") for v in along
    ]
    parts.append(_line(x.at[0], bottom, x.at[1], bottom, "axis"))
    parts.append(tag("text", axis, x=_px(x.at[1]), y=_px(bottom + 29), class_="tick end"))
    if side:
        parts.append(tag("text", side, x=_px(x.at[0] + 4), y=_px(top + 8), class_="tick"))
    return tag("g", *parts, aria_hidden="true")


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=_px(x1), y1=_px(y1), x2=_px(x2), y2=_px(y2), class_=kind)


class _Scale:
    """From values to pixels."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.at = (start, end)
        self._low, self._factor = low, (end - start) / ((high - low) or 1.0)

    def __call__(self, value: float) -> float:
        return self.at[0] + (value - self._low) * self._factor


def _ticks(low: float, high: float, n: int = 6, *, whole: bool = False) -> list[float]:
    """Round numbers between the ends."""
    if high <= low:
        return [low]
    step = _round_step((high - low) / n)
    step = max(1.0, step) if whole else step
    first = math.ceil(round(low / step, 9))
    return [
        round((first + i) * step, 10) for i in range(int((high - first * step) / step + 1e-9) + 1)
    ]


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, .. times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= step * (1 - 1e-9))


def _short(text: str, n: int) -> str:
    return text if len(text) <= n else f"{text[: n - 1]}…"


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
