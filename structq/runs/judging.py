"""Labelled rows through a scorer, in both orders where the order can matter; writes no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from structq.data import Row
from structq.errors import InputError
from structq.evaluation import Judged, Labelled, Labels, labels_of
from structq.evaluation.agreement import judged_by
from structq.journal import Journal
from structq.modules import QualityScorer
from structq.runs.gate import Gate, GateSettings
from structq.runs.pacing import PaceLimits
from structq.runs.rows import Finished
from structq.runs.run import Run
from structq.texts import n_words

__all__ = ["JudgedRows", "judge_rows", "order_matters", "turned"]

_ASKED = ("instruction", "responses", "system_prompt")


@dataclass(kw_only=True)
class JudgedRows:
    """What became of labelled rows."""

    rows: list[Judged] = field(default_factory=list)
    """Those with labels and scores."""
    labelled: list[Labelled] = field(default_factory=list)
    """The same ones, for a calibration."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many were not used, by the reason."""
    cost: dict[str, Any] = field(default_factory=dict)
    """Requests, tokens and forward passes, where the LM counts them."""


def order_matters(scorer: QualityScorer) -> bool:
    """Whether a score can depend on the place of its response."""
    return bool(scorer.scoring == "joint" and scorer.permutations == 1)


def turned(values: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its responses in the opposite order."""
    return {**values, "responses": list(values["responses"])[::-1]}


def judge_rows(
    scorer: QualityScorer,
    rows: Iterable[Row],
    *,
    column: str = "labels",
    kind: str | None = None,
    group: str | None = None,
    journal: Journal | None = None,
    window: int = 64,
    on_row: Callable[[], None] = lambda: None,
) -> JudgedRows:
    """Scores every labelled row.

    Args:
        scorer: The judge.
        rows: With ``instruction``, ``responses`` and labels.
        column: Where the labels stand.
        kind: Which of them; see `structq.evaluation.labels_of`.
        group: The column by whose values parts of the data are told apart.
        journal: Where answers are kept, so that a check that was stopped goes on.
        window: Calls in flight.
        on_row: Called after each row.

    Raises:
        LMError: Every row would fail alike.
    """
    found, known = JudgedRows(), list[tuple[Row, Labels]]()
    for row in rows:
        try:
            labels = labels_of(row.values, column=column, kind=kind) if row.error is None else None
        except InputError as error:
            found.left_out[str(error)] += 1
            continue
        if labels is None:
            found.left_out[str(row.error.reason) if row.error else f"no {column}"] += 1
        else:
            known.append((row, labels))
    both = order_matters(scorer)
    run = _run(scorer, journal, window)
    finished: dict[int, Finished] = {}
    for one in run.finished(_asked((row for row, _ in known), both=both)):
        finished[one.number] = one
        if not both or one.number % 2:
            on_row()
    if run.gate.ended_by is not None:
        raise _ended(run.gate.ended_by)
    for i, (row, labels) in enumerate(known):
        there, back = finished.get(2 * i), finished.get(2 * i + 1)
        if there is None or (both and back is None):
            found.left_out["not scored: the check was stopped"] += 1
            continue
        _take(found, row, labels, there, back, group)
    found.cost = _cost(finished.values(), run)
    return found


def _asked(rows: Iterable[Row], *, both: bool) -> Iterator[tuple[int, Row]]:
    """Rows with even numbers, and the same ones the other way round with odd ones."""
    for i, row in enumerate(rows):
        values = {name: row.values[name] for name in _ASKED if name in row.values}
        yield 2 * i, Row(line=row.line, values=values, error=None)
        if both:
            yield 2 * i + 1, Row(line=row.line, values=turned(values), error=None)


def _run(scorer: QualityScorer, journal: Journal | None, window: int) -> Run:
    gate = Gate(GateSettings(limits=PaceLimits(most=window, first=window)))
    return Run(task=scorer, gate=gate, path="<labels>", journal=journal)


def _ended(reason: str) -> Exception:
    from structq.errors import LMError

    return LMError(reason)


def _take(
    found: JudgedRows,
    row: Row,
    labels: Labels,
    there: Finished,
    back: Finished | None,
    group: str | None,
) -> None:
    for one in (there, back):
        if one is not None and one.error is not None:
            found.left_out[f"failed: {one.cause}"] += 1
            return
    judged = _judged(row, labels, there.values, group)
    if judged is None or (back is not None and None in back.values["scores"]):
        found.left_out["a response has no score"] += 1
        return
    if back is not None:
        other = _judged(row, labels, _put_back(back.values), group)
        judged = Judged(**{**vars(judged), "turned": other})
    found.rows.append(judged)
    found.labelled.append(Labelled(raw=judged.over_orders, labels=labels))


def _put_back(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = ("scores", "expected_scores", "score_distributions")
    return {
        **values,
        **{name: values[name][::-1] if values[name] else values[name] for name in columns},
    }


def _judged(
    row: Row, labels: Labels, values: Mapping[str, Any], group: str | None
) -> Judged | None:
    if None in values["scores"]:
        return None
    measured = values["expected_scores"] or values["metadata"].get("raw_scores")
    return Judged(
        labels=labels,
        lengths=[n_words(text) for text in row.values["responses"]],
        modes=values["scores"],
        means=judged_by(values) if measured else None,
        distributions=values["score_distributions"],
        group="" if group is None else str(row.values.get(group) or ""),
    )


def _cost(finished: Iterable[Finished], run: Run) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for one in finished:
        for call in one.calls:
            usage = call.get("usage") or {}
            total["input_tokens"] += usage.get("input_tokens") or 0
            total["output_tokens"] += usage.get("output_tokens") or 0
            total["forward_passes"] += call.get("n_passes") or 0
            total["questions"] += 1
    return {"lm_calls": run.gate.n_calls, **total}
