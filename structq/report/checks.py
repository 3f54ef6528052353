"""What ``structq judge-check --json`` wrote: how far judges agree with people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from structq.report.answers import Mean
from structq.report.html import figure, number, signed, table, tag
from structq.report.plots import curve, whiskers

__all__ = ["check_section"]

_BASELINES = {"length": "the longer wins", "first": "the first wins"}
_HEAD = (
    "Judge", "Accuracy", "Less that of length", "Ties", "Spearman", "Tau-b", "NDCG", "Rows",
    "Pairs",
)  # fmt: skip
Named = Sequence[tuple[str, Mapping[str, Any]]]


def check_section(title: str, check: Mapping[str, Any], mark: str) -> Markup:
    """One judge check: what it says of each judge first, then how they compare."""
    judges = check.get("judges") or []
    parts = [tag("h2", f"Judge check: {title}")]
    for judge in judges:
        parts += [tag("p", text, class_="lead trouble") for text in judge["warnings"]]
        parts.append(tag("p", _sentence(judge), class_="lead"))
    named = _named(judges)
    if named:
        parts += [_plot(named, mark), _table(named)]
    for i, judge in enumerate(judges):
        parts += _details(judge, f"check{mark}-{i}")
    return tag("section", *parts, id=f"check{mark}", class_="check")


def _named(judges: Sequence[Mapping[str, Any]]) -> Named:
    """Each reading of each judge, then what length and place alone would reach."""
    found = [
        (f"{judge['name']}, {reading}", figures)
        for judge in judges
        for reading, figures in judge["figures"].items()
    ]
    for name, figures in (judges[0]["baselines"] if judges else {}).items():
        found.append((_BASELINES.get(name, name), figures))
    return found


def _sentence(judge: Mapping[str, Any]) -> str:
    """The last reading, which is the most careful one, beside the baselines."""
    reading, figures = list(judge["figures"].items())[-1]
    if not figures["n_pairs"]:
        return f"{judge['name']} has no pair to be held against the labels."
    said = (
        f"{judge['name']} agrees with the labels in {_interval(figures['accuracy'])} of "
        f"{figures['n_pairs']:,} pairs ({reading}{_left_out(judge)}); chance would in 0.5"
    )
    for name, found in judge["baselines"].items():
        if found["accuracy"][0] is not None:
            told = f"{_BASELINES.get(name, name)} in {number(found['accuracy'][0])}"
            said += f", a rule by which {told}"
    order = judge.get("order") or {}
    return (
        f"{said}. {str(order['sentence']).capitalize()}." if order.get("sentence") else f"{said}."
    )


def _left_out(judge: Mapping[str, Any]) -> str:
    unmeasured = judge.get("unmeasured")
    return f", without {unmeasured:,} rows that have no mean" if unmeasured else ""


def _plot(named: Named, mark: str) -> Markup:
    rows = [
        (name, Mean(mean=middle, low=low, high=high, n=figures["n_pairs"]))
        for name, figures in named
        if None not in (found := figures["minus_chance"])
        for middle, low, high in [found]
    ]
    if not rows:
        return Markup("")
    own = f"check{mark}-accuracy"
    picture = whiskers([(*row, None) for row in rows], "accuracy less one half", own, "pairs")
    told = "How much more often than chance each agrees with the labels, with 95 % intervals."
    numbers = ((n, signed(m.mean, 3), signed(m.low, 3), signed(m.high, 3)) for n, m in rows)
    return figure(
        own, "Agreement above chance", told, picture, ["Judge", "More", "Low", "High"], numbers
    )


def _table(named: Named) -> Markup:
    return tag("div", table(_HEAD, (_line(*one) for one in named)), class_="wide")


def _line(name: str, figures: Mapping[str, Any]) -> list[Any]:
    if not figures["n_pairs"]:
        return [name, *[None] * 6, figures["n_rows"], 0]
    return [
        name, _interval(figures["accuracy"]), _interval(figures["minus_length"]),
        *(figures[key] for key in ("ties", "spearman", "kendall", "ndcg", "n_rows", "n_pairs")),
    ]  # fmt: skip


def _details(judge: Mapping[str, Any], own: str) -> Iterator[Markup]:
    calibration = judge.get("calibration") or {}
    points = [(one["predicted"], one["observed"]) for one in calibration.get("curve") or []]
    if points:
        told = (
            f"How often a response was the better one, by the chance that {judge['name']} gave it "
            f"(Brier score {number(calibration['brier'])}, calibration error "
            f"{number(calibration['ece'])}); a judge that knows itself is on the line."
        )
        picture = curve(points, ("said", "right"), f"{own}-curve")
        rows = ((p["predicted"], p["observed"], p["n"]) for p in calibration["curve"])
        title = f"Reliability of {judge['name']}"
        yield figure(f"{own}-curve", title, told, picture, ["Said", "Right", "Pairs"], rows)
    groups = list((judge.get("groups") or {}).items())
    if groups:
        yield tag("h3", f"{judge['name']}, part by part")
        yield _table(groups)
    costs = [(key.replace("_", " "), value) for key, value in (judge.get("cost") or {}).items()]
    costs += [(f"left out: {why}", n) for why, n in (judge.get("left_out") or {}).items()]
    if costs:
        yield tag(
            "details", tag("summary", f"What {judge['name']} cost"), table(["What", "Sum"], costs)
        )


def _interval(found: Sequence[float | None]) -> str:
    middle, low, high = map(number, found)
    return f"{middle} ({low} to {high})"
