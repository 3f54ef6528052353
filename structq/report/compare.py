"""Two runs over the same rows, side by side; knows nothing of pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from structq.report.answers import Answers, mean_of
from structq.report.facts import RowFacts
from structq.report.sources import RunSource

__all__ = ["Pair", "compare", "differing_facts", "pair_rows", "row_names"]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One row of the page: of the first run, of the second, or of both."""

    row: RowFacts
    """Of the first run that has it."""
    first: RowFacts | None = None
    second: RowFacts | None = None

    @property
    def delta(self) -> float | None:
        """Score of what the second run keeps less that of the first."""
        if self.first is None or self.second is None:
            return None
        a, b = self.first.after, self.second.after
        return None if a is None or b is None else b - a

    @property
    def differs(self) -> bool:
        """Whether the two keep other responses, or one of them failed or lacks the row."""
        if self.first is None or self.second is None:
            return True
        return self.first.kept != self.second.kept or self.first.cause != self.second.cause


def row_names(rows: Sequence[RowFacts]) -> Callable[[RowFacts], str]:
    """What rows are called: their ids where each has its own, else their numbers from 0."""
    ids = [row.id for row in rows]
    if None not in ids and len(set(ids)) == len(ids):
        return lambda row: str(row.id)
    return lambda row: str(row.number)


def pair_rows(runs: Sequence[RunSource]) -> list[Pair]:
    """The rows of one run, or of two: those with the same id, or number and instruction."""
    first = runs[0].rows
    if len(runs) == 1:
        return [Pair(row=row, first=row) for row in first]
    second = runs[1].rows
    by_id = all(len({row.id for row in rows} - {None}) == len(rows) for rows in (first, second))
    keys = [[row.id if by_id else (row.number, row.asked) for row in rows] for rows in (first, second)]
    others = dict(zip(keys[1], second, strict=True))
    pairs = [
        Pair(row=row, first=row, second=others.pop(key, None))
        for key, row in zip(keys[0], first, strict=True)
    ]
    return [*pairs, *(Pair(row=row, second=row) for row in others.values())]


def differing_facts(runs: Sequence[RunSource]) -> list[tuple[str, Any, Any]]:
    """What the answers of the two depend on and is not the same."""
    a, b = (run.facts for run in runs)
    names = sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
    return [(name, a.get(name), b.get(name)) for name in names]


def compare(runs: Sequence[RunSource], pairs: Sequence[Pair]) -> Answers:
    """What the two runs say of each other."""
    both = [pair for pair in pairs if pair.first is not None and pair.second is not None]
    deltas = [pair.delta for pair in both if pair.delta is not None]
    numbers: dict[str, Any] = {
        "shared": len(both),
        "only_first": sum(pair.second is None for pair in pairs),
        "only_second": sum(pair.first is None for pair in pairs),
        "differ": sum(pair.differs for pair in both),
        "better": sum(delta > 0 for delta in deltas),
        "equal": sum(delta == 0 for delta in deltas),
        "worse": sum(delta < 0 for delta in deltas),
        "delta": vars(mean_of(deltas)) if deltas else None,
    }
    a, b = (run.name for run in runs)
    said = f"{len(both):,} rows are in both; {numbers['differ']:,} of them end with other responses."
    for name, count in ((a, numbers["only_first"]), (b, numbers["only_second"])):
        said += f" {count:,} are in {name} alone." if count else ""
    if deltas:
        said += (
            f" What {b} keeps scores {mean_of(deltas)} against {a}: higher in "
            f"{numbers['better']:,} rows, equal in {numbers['equal']:,}, lower in "
            f"{numbers['worse']:,}."
        )
    sentences = [("How do the two runs differ?", said, "deltas")]
    if deltas and (doubt := _doubt(runs)):
        sentences.append(("Can their scores be compared?", doubt, "facts"))
    return Answers(numbers=numbers, sentences=sentences)


def _doubt(runs: Sequence[RunSource]) -> str:
    if not all(run.facts for run in runs):
        return "One has no journal: whether the same judge scored both is not known."
    judges = [run.lms[-1] if run.lms else "" for run in runs]
    if judges[0] != judges[1]:
        return f"Not as they are: {judges[0]} judged the first, {judges[1]} the second."
    if scorers := [name for name, *_ in differing_facts(runs) if name.startswith("scor")]:
        return f"Not as they are: they were scored in other ways ({', '.join(scorers)})."
    if all(run.facts.get("scorer.settings.scoring") == "joint" for run in runs):
        return (
            "With care: the judge was the same, but it scored each list of responses in itself, "
            "and the lists of the two runs are not the same."
        )
    return "Yes: the same judge scored each response in the same way."
