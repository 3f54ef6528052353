"""The parts of a page that say what a run is: its plots, its settings; knows no table of rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from markupsafe import Markup

from structq.report.answers import Answers, Mean, mean_of
from structq.report.compare import Pair, differing_facts
from structq.report.facts import RowFacts
from structq.report.html import figure, signed, table, tag
from structq.report.plots import bars, bins_of, columns, edges_of, scatter, whiskers
from structq.report.sources import RunSource

__all__ = ["about_run", "delta_plot", "facts_table", "run_plots", "sentences_block"]

_MOST_POINTS = 400
_N_BANDS = 8


def sentences_block(answers: Answers) -> Markup:
    """Questions and what the rows answer; each leads to its plot."""
    parts = []
    for question, answer, plot in answers.sentences:
        parts.append(tag("dt", tag("a", question, href=f"#{plot}")))
        parts.append(tag("dd", answer))
    return tag("dl", *parts, class_="answers")


def run_plots(run: RunSource, answers: Answers, mark: str) -> Markup:
    """The plots of one run; ``mark`` ends the names of the columns that belong to it."""
    rows = run.rows
    made = [
        _scores(rows, mark), _gains(rows, mark), _mutations(answers, mark), _length(rows, mark),
        _failures(answers, mark), _judge(answers, mark), _cost(answers, mark),
    ]  # fmt: skip
    return tag("div", *made, class_="plots")


def _scores(rows: Sequence[RowFacts], mark: str) -> Markup:
    pairs = [(row.before, row.after) for row in rows if row.before is not None]
    after = (
        [b for _, b in pairs if b is not None] if pairs else [s for row in rows for s in row.scores]
    )
    if not after:
        return Markup("")
    before = [a for a, _ in pairs if a is not None]
    edges = edges_of([*before, *after])
    series = [("Best kept", f"after{mark}", bins_of(after, edges))]
    if before:
        series.insert(0, ("Original", f"before{mark}", bins_of(before, edges)))
    told = (
        "How many originals (grey) and how many kept responses have each score."
        if before else "How many responses have each score."
    )  # fmt: skip
    counts = zip(*(found for *_, found in series), strict=True)
    numbers = ([f"{one[0].low:g} to {one[0].high:g}", *(b.n for b in one)] for one in counts)
    picture = columns(series, "score", f"scores{mark}")
    title = "Scores before and after" if before else "Scores"
    return figure(
        f"scores{mark}", title, told, picture, ["Score", *(s[0] for s in series)], numbers
    )


def _gains(rows: Sequence[RowFacts], mark: str) -> Markup:
    gains = [row.gain for row in rows if row.gain is not None]
    return _histogram(
        gains, f"gains{mark}", f"gain{mark}", "Gain of each row", "Gain",
        "Score of the best evolution less that of the original: left of zero it got worse.",
    )  # fmt: skip


def delta_plot(pairs: Sequence[Pair], names: Sequence[str]) -> Markup:
    """Score of what the second run keeps less that of the first, over the rows of both."""
    deltas = [pair.delta for pair in pairs if pair.delta is not None]
    told = f"Score of what {names[1]} keeps less that of what {names[0]} keeps, row by row."
    return _histogram(deltas, "deltas", "delta", "Difference of the runs", "Difference", told)


def _histogram(
    values: Sequence[float], named: str, column: str, title: str, short: str, told: str
) -> Markup:
    if not values:
        return Markup("")
    bins = bins_of(values, edges_of(values))
    picture = columns([(short, column, bins)], short.lower(), named)
    numbers = ((f"{one.low:g} to {one.high:g}", one.n) for one in bins)
    return figure(named, title, told, picture, [short, "Rows"], numbers)


def _mutations(answers: Answers, mark: str) -> Markup:
    found = [
        (one["mutation"], Mean(**{k: v for k, v in one.items() if k != "mutation"}))
        for one in answers.numbers["mutations"]
    ]
    if not found:
        return Markup("")
    picture = whiskers(
        [
            (name, mean, {"column": f"steps{mark}", "holds": name, "told": f"Evolved by {name}"})
            for name, mean in found
        ],
        "mean gain of a step", f"mutations{mark}",
    )  # fmt: skip
    told = "How much higher a response scores than the one before it, by what it was evolved with."
    numbers = ((name, signed(m.mean), signed(m.low), signed(m.high), m.n) for name, m in found)
    head = ["Mutation", "Mean gain", "Low", "High", "Steps"]
    return figure(f"mutations{mark}", "Gain by mutation", told, picture, head, numbers)


def _length(rows: Sequence[RowFacts], mark: str) -> Markup:
    sized = sorted(
        (float(row.added), row.gain)
        for row in rows
        if row.added is not None and row.gain is not None
    )
    if len(sized) < 2 or sized[0][0] == sized[-1][0]:
        return Markup("")
    edges = _band_edges([added for added, _ in sized])
    bands = []
    for one in bins_of([added for added, _ in sized], edges):
        upper = one.high + 1 if one.last else one.high
        gains = [gain for added, gain in sized if one.low <= added < upper]
        if gains:
            bands.append((one, mean_of(gains)))
    step = max(1, len(sized) // _MOST_POINTS)
    picture = scatter(sized[::step], bands, ("Added characters", "gain"), f"length{mark}")
    shown = f" ({len(sized[::step]):,} of them drawn)" if step > 1 else ""
    told = (
        f"Each row{shown} by what its best evolution added and gained; the dots are means of "
        "rows that added about as much."
    )
    numbers = (
        (f"{one.low:g} to {one.high:g}", m.n, signed(m.mean), signed(m.low), signed(m.high))
        for one, m in bands
    )
    head = ["Added characters", "Rows", "Mean gain", "Low", "High"]
    return figure(f"length{mark}", "Gain against added length", told, picture, head, numbers)


def _band_edges(values: Sequence[float]) -> list[float]:
    """Edges between bands of about as many rows each."""
    n = min(_N_BANDS, max(1, len(values) // 5))
    inner = quantiles(values, n=n, method="inclusive") if n > 1 else []
    return sorted({values[0], *(float(round(edge)) for edge in inner), values[-1]})


def _failures(answers: Answers, mark: str) -> Markup:
    causes = list(answers.numbers["causes"].items())[:12]
    if not causes:
        return Markup("")
    rows = [
        (cause, n, {"column": f"cause{mark}", "is": cause, "told": f"Failed: {cause}"})
        for cause, n in causes
    ]
    told = "Why rows have no result. Numbers and quoted texts are left out of a cause."
    picture = bars(rows, f"failures{mark}")
    return figure(f"failures{mark}", "Failures by cause", told, picture, ["Cause", "Rows"], causes)


def _judge(answers: Answers, mark: str) -> Markup:
    judge = answers.numbers["judge"]
    if not judge["n"]:
        return Markup("")
    rows = [
        ("Rows with several scored responses", judge["n"]),
        ("Highest score for the longest response", judge["longest_first"]),
        ("Highest score for the response shown last", judge["last_first"]),
        ("Undecided rows", answers.numbers["undecided"]),
        ("Rows with under half of the probability on scores", judge["low_mass"]),
    ]
    return _plain(f"judge{mark}", "The judge", ["What", "Rows"], rows)


def _cost(answers: Answers, mark: str) -> Markup:
    names = {
        "calls": "LM calls", "tokens_in": "Tokens in", "tokens_out": "Tokens out",
        "tokens_per_improved": "Tokens for each row that improved", "dollars": "Dollars",
        "seconds": "Seconds, of its last session",
    }  # fmt: skip
    cost = answers.numbers["cost"]
    whole = {
        **cost,
        "tokens_per_improved": cost["tokens_per_improved"] and round(cost["tokens_per_improved"]),
    }
    rows = [(told, whole[name]) for name, told in names.items() if whole[name] is not None]
    return _plain(f"cost{mark}", "Cost", ["What", "Sum"], rows)


def _plain(named: str, title: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    return tag("figure", tag("h3", title, id=f"{named}-title"), table(head, rows), id=named)


def about_run(run: RunSource) -> Markup:
    """What the run's answers depend on, and the texts that asked for them."""
    if not run.facts:
        return tag("p", "No journal lies beside it: how it was made is not known here.")
    told = [("LM", ", ".join(run.lms)), *((k, _value(v)) for k, v in run.settings.items())]
    parts = [table(["What", "Value"], [("structq", str(run.facts.get("structq"))), *told])]
    program = run.notes.get("program") or {}
    for part, state in program.items():
        if "signature" in state:
            parts += [tag("h4", part), tag("pre", state["signature"].get("instructions", ""))]
    if not program:
        parts.append(tag("p", "Its journal does not hold the texts of its prompts."))
    return Markup("").join(parts)


def facts_table(runs: Sequence[RunSource]) -> Markup:
    """What the two runs do not share."""
    rows = [(name, _value(a), _value(b)) for name, a, b in differing_facts(runs)]
    head = ["Setting", *(run.name for run in runs)]
    inner = table(head, rows) if rows else tag("p", "Both were made with the same settings.")
    return tag("section", tag("h2", "What differs in how they were made"), inner, id="facts")


def _value(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"model"}:
        return str(value["model"])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
