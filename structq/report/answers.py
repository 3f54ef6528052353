"""What the rows of a run answer, in numbers and in sentences; knows nothing of pages.

A row *improved* where one of its evolutions has a higher score than its original, and got *worse*
where all have a lower one. A step's gain is its score less that of the response before it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, variance
from typing import Any

from structq.report.facts import RowFacts
from structq.report.html import number, signed
from structq.report.sources import RunSource

__all__ = ["Answers", "Mean", "answers_of", "mean_of", "percent"]

_OUTCOMES = ("improved", "worse", "same", "scored", "unscored", "failed")
_ALMOST_ALL = 0.85
"""Share of rows in which a place or a length wins that is told as a doubt."""


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean with its 95 % interval, by Student's t."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if self.n < 2:
            return signed(self.mean)
        return f"{signed(self.mean)} (95 % interval {signed(self.low)} to {signed(self.high)})"


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What one run says to who has to decide."""

    numbers: dict[str, Any]
    """As JSON values: outcomes, mutations, worse rows, length, judge, cost."""
    sentences: list[tuple[str, str, str]]
    """Question, answer, and the name of the plot that shows it."""


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of some numbers; its interval is the mean itself where there is one number."""
    middle, n = fmean(values), len(values)
    reach = _t(n - 1) * math.sqrt(variance(values, middle) / n) if n > 1 else 0.0
    return Mean(mean=middle, low=middle - reach, high=middle + reach, n=n)


_T = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764}


def _t(df: int) -> float:
    """Student's t at 97.5 %, to three digits: Cornish and Fisher's expansion from df 5 on."""
    z, n = 1.959964, float(df)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return _T.get(df) or z + sum(term / n ** (i + 1) for i, term in enumerate(terms))


def percent(part: int, whole: int) -> str:
    """A share in words."""
    return f"{part:,} of {whole:,} rows" + (f" ({part / whole:.0%})" if whole >= 20 else "")


def answers_of(run: RunSource, names: Sequence[str], *, checked: bool = False) -> Answers:
    """Everything that the report says about one run.

    Args:
        run: The run.
        names: What its rows are called on the page.
        checked: Whether the page has a judge check too.
    """
    rows = run.rows
    outcomes = Counter(row.outcome for row in rows)
    compared = [row for row in rows if row.gain is not None and row.cause is None]
    numbers: dict[str, Any] = {
        "rows": len(rows),
        **{name: outcomes[name] for name in _OUTCOMES},
        "undecided": sum(row.undecided for row in rows),
        "by_chance": sum(1 - 1 / len(row.scores) for row in compared if row.scores),
        "mean_before": fmean(row.before for row in compared) if compared else None,  # type: ignore[misc]
        "mean_after": fmean(row.after for row in compared) if compared else None,  # type: ignore[misc]
        "mutations": _by_mutation(rows),
        "worse_rows": [
            name for name, row in zip(names, rows, strict=True) if row.outcome == "worse"
        ],
        "causes": dict(Counter(row.cause for row in rows if row.cause).most_common()),
        "length": _length(compared),
        "judge": _judge(rows),
        "cost": _cost(run, outcomes["improved"]),
    }
    return Answers(numbers=numbers, sentences=list(_sentences(run, numbers, checked)))


def _by_mutation(rows: Sequence[RowFacts]) -> list[dict[str, Any]]:
    gains: dict[str, list[float]] = {}
    for row in rows:
        for step in row.steps:
            if step.gain is not None:
                gains.setdefault(step.mutation, []).append(step.gain)
    found = [{"mutation": name, **vars(mean_of(values))} for name, values in gains.items()]
    return sorted(found, key=lambda one: (-one["mean"], one["mutation"]))


def _length(rows: Sequence[RowFacts]) -> dict[str, Any] | None:
    """The longer half of the evolutions against the shorter one."""
    sized = [
        (row.added, row.gain) for row in rows if row.added is not None and row.gain is not None
    ]
    if len(sized) < 8:
        return None
    middle = median(added for added, _ in sized)
    long = [gain for added, gain in sized if added > middle]
    short = [gain for added, gain in sized if added <= middle]
    found = {
        "n": len(sized),
        "median_added": middle,
        "median_times": median(row.times for row in rows if row.times is not None),
    }
    if len(long) < 4 or len(short) < 4:
        return found
    a, b = mean_of(long), mean_of(short)
    spread = [(one.high - one.mean) ** 2 for one in (a, b)]
    reach = math.sqrt(sum(spread))
    found |= {"gain_long": a.mean, "gain_short": b.mean, "difference": a.mean - b.mean}
    return {**found, "low": found["difference"] - reach, "high": found["difference"] + reach}


def _judge(rows: Sequence[RowFacts]) -> dict[str, Any]:
    compared = [row for row in rows if row.longest_first is not None]
    masses = [row.mass for row in rows if row.mass is not None]
    return {
        "n": len(compared),
        "longest_first": sum(bool(row.longest_first) for row in compared),
        "last_first": sum(bool(row.last_first) for row in compared),
        "n_mass": len(masses),
        "low_mass": sum(mass < 0.5 for mass in masses),
    }


def _cost(run: RunSource, n_improved: int) -> dict[str, Any]:
    found = {
        "calls": sum(row.n_calls for row in run.rows),
        "tokens_in": sum(row.tokens_in for row in run.rows),
        "tokens_out": sum(row.tokens_out for row in run.rows),
        "dollars": run.summary.get("cost_dollars"),
        "seconds": run.summary.get("seconds"),
    }
    tokens = sum(row.tokens_in + row.tokens_out for row in run.rows)
    return {**found, "tokens_per_improved": tokens / n_improved if n_improved and tokens else None}


def _sentences(
    run: RunSource, found: Mapping[str, Any], checked: bool
) -> Iterator[tuple[str, str, str]]:
    yield "What became of the rows?", _outcome_sentence(run, found), "gains"
    if said := _mutation_sentence(found["mutations"]):
        yield "Which mutation helps most?", said, "mutations"
    if said := _length_sentence(found):
        yield "Was the length worth it?", said, "length"
    if any(row.scores for row in run.rows):
        yield "Can this judge be trusted?", _judge_sentence(run, found["judge"], checked), "judge"
    yield "What did it cost?", _cost_sentence(found["cost"]), "cost"


def _outcome_sentence(run: RunSource, found: Mapping[str, Any]) -> str:
    n, parts = found["rows"], []
    if run.goes_on:
        parts.append("This run had not ended when the report was made.")
    scored = sum(found[name] for name in ("improved", "worse", "same"))
    if scored:
        rest = {"worse": "got worse", "same": "stayed as good as they were",
                "failed": "failed", "unscored": "have no score"}  # fmt: skip
        told = [f"{found[name]:,} {what}" for name, what in rest.items() if found[name]]
        said = f"{found['improved']:,} of {n:,} rows improved"
        parts.append(f"{_listed([said, *told])}." if told else f"{said}.")
        before, after = found["mean_before"], found["mean_after"]
        parts.append(f"The mean score of what is kept went from {before:.2f} to {after:.2f}.")
        parts.append(
            f"(Scores drawn at random would improve about {found['by_chance']:,.0f} rows: the best "
            "of several is kept.)"
        )
        if found["undecided"]:
            parts.append(f"In {percent(found['undecided'], scored)} the judge was undecided.")
    else:
        failed = (
            f"{found['failed']:,} of which failed" if found["failed"] else "none of which failed"
        )
        parts.append(f"{n:,} rows, {failed}.")
        scores = [score for row in run.rows for score in row.scores]
        if scores:
            parts.append(f"{len(scores):,} responses were scored, {fmean(scores):.2f} on average.")
    return " ".join(parts)


def _mutation_sentence(mutations: Sequence[Mapping[str, Any]]) -> str:
    if not mutations:
        return ""
    means = [Mean(**{k: v for k, v in one.items() if k != "mutation"}) for one in mutations]
    names, first = [one["mutation"] for one in mutations], means[0]
    verb = "helps most" if first.mean > 0 else "harms least"
    said = f"{names[0]} {verb}: {first} a step, over {first.n:,} steps."
    if len(means) == 1:
        return said
    if first.low <= means[1].high:
        close = [
            name for name, one in zip(names[1:], means[1:], strict=True) if one.high >= first.low
        ]
        said += f" Its lead over {_listed(close)} may be chance."
    said += f" Least: {names[-1]}, {means[-1]}."
    harms = [name for name, one in zip(names, means, strict=True) if one.high < 0]
    return said + (f" Harmful: {_listed(harms)}." if harms else "")


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _length_sentence(found: Mapping[str, Any]) -> str:
    length = found["length"]
    if length is None:
        return ""
    said = (
        f"The better evolution of a row is typically {length['median_times']:.1f} times as long "
        f"as its original ({length['median_added']:+,.0f} characters, medians)."
    )
    if "difference" not in length:
        return said
    verdict = (
        "those that added more gained more" if length["low"] > 0
        else "those that added more gained less: the length was not worth it"
        if length["high"] < 0
        else "that more length brought more score cannot be told from chance"
    )  # fmt: skip
    return (
        f"{said} The half that added more gained {signed(length['gain_long'])}, the other half "
        f"{signed(length['gain_short'])} (difference {signed(length['difference'])}, 95 % interval "
        f"{signed(length['low'])} to {signed(length['high'])}): {verdict}."
    )


def _judge_sentence(run: RunSource, judge: Mapping[str, Any], checked: bool) -> str:
    parts = []
    said = run.summary.get("judge_check")
    if isinstance(said, Mapping):
        said = said.get("sentence")
    if isinstance(said, str):
        parts.append(f"{said[:1].upper()}{said[1:].rstrip('.')}.")
    if len(run.lms) == 1 and run.facts.get("module") == "EvolveAndScore" and judge["n"]:
        parts.append("The LM judged what it had written itself.")
    n = judge["n"]
    if n:
        longest, last = judge["longest_first"], judge["last_first"]
        parts.append(
            f"It gave its highest score to the longest response in {percent(longest, n)}, and to "
            f"the one shown last in {percent(last, n)}."
        )
        if n >= 8 and max(longest, last) / n >= _ALMOST_ALL:
            what = "length or place" if min(longest, last) / n >= _ALMOST_ALL else (
                "length" if longest > last else "place"
            )  # fmt: skip
            parts.append(f"So {what} alone would explain most of these scores.")
    if judge["low_mass"]:
        parts.append(
            f"In {percent(judge['low_mass'], judge['n_mass'])} less than half of its probability "
            "was on a score at all."
        )
    if checked:
        parts.append("The judge check below says how far judges agree with people.")
    elif not isinstance(said, str):
        parts.append(
            "No labels were at hand: structq judge-check shows how far it agrees with people."
        )
    return " ".join(parts)


def _cost_sentence(cost: Mapping[str, Any]) -> str:
    said = (
        f"{cost['calls']:,} LM calls, {cost['tokens_in']:,} tokens in and "
        f"{cost['tokens_out']:,} out"
    )
    if cost["dollars"]:
        said += f", ${cost['dollars']:,.4f}"
    if cost["seconds"]:
        said += f", {number(cost['seconds'], 1)} seconds"
    if cost["tokens_per_improved"]:
        said += f": {cost['tokens_per_improved']:,.0f} tokens for each row that improved"
    return f"{said}."
