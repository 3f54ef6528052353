"""Two runs over the same rows, side by side; knows nothing of pages."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
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


def row_names(rows: Sequence[RowFacts]) -> list[str]:
    """What rows are called: by their ids where all have one, else by number; no two the same."""
    has_ids = all(row.id is not None for row in rows)
    names = [str(row.id) if has_ids else str(row.number) for row in rows]
    times: Counter[str] = Counter()
    told = []
    for name in names:
        times[name] += 1
        told.append(name if times[name] == 1 else f"{name} ({times[name]})")
    return told


def pair_rows(runs: Sequence[RunSource]) -> list[Pair]:
    """The rows of one run, or of two: those of the same id (or number) and instruction."""
    first = runs[0].rows
    if len(runs) == 1:
        return [Pair(row=row, first=row) for row in first]
    has_ids = all(row.id is not None for run in runs for row in run.rows)
    others: dict[Any, deque[RowFacts]] = {}
    for row in runs[1].rows:
        others.setdefault((row.id if has_ids else row.number, row.asked), deque()).append(row)
    pairs = []
    for row in first:
        same = others.get((row.id if has_ids else row.number, row.asked))
        pairs.append(Pair(row=row, first=row, second=same.popleft() if same else None))
    left = sorted((row for rows in others.values() for row in rows), key=lambda row: row.number)
    return [*pairs, *(Pair(row=row, second=row) for row in left)]


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
    said = (
        f"{len(both):,} rows are in both; {numbers['differ']:,} of them end with other responses."
    )
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
        sizes = [run.facts.get("evolve.settings.num_evolutions") for run in runs]
        if sizes[0] != sizes[1] and runs[0].facts.get("scorer.settings.scale") is None:
            return (
                "Not as they are: the list-wise scale ends at the number of responses and one, "
                f"and they have {sizes[0]} and {sizes[1]} evolutions a row."
            )
        return (
            "With care: the judge was the same, but it scored each list of responses in itself, "
            "and the lists of the two runs are not the same."
        )
    return "Yes: the same judge scored each response in the same way."
