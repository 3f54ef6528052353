"""Labelled rows through a scorer, in both orders where the order can matter; writes no file."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from structq.data import Row
from structq.errors import InputError, LMError
from structq.evaluation import Calibration, Judged, Labelled, Labels, labels_of
from structq.evaluation.agreement import judged_by
from structq.evaluation.bias import Decision, Ordered, is_length_alone, order_sentence
from structq.journal import Journal
from structq.modules import QualityScorer
from structq.runs.gate import Gate, GateSettings
from structq.runs.pacing import PaceLimits
from structq.runs.rows import Finished
from structq.runs.run import Run
from structq.texts import n_words

__all__ = ["CalibratedSample", "JudgeSample", "JudgedRows", "judge_rows", "order_matters", "turned"]

_ASKED = ("instruction", "responses", "system_prompt")


@dataclass(kw_only=True)
class JudgedRows:
    """What became of labelled rows."""

    rows: list[Judged] = field(default_factory=list)
    """Those with labels and scores."""
    labelled: list[Labelled] = field(default_factory=list)
    """The same ones, for a calibration."""
    values: list[Mapping[str, Any]] = field(default_factory=list)
    """What the scorer gave each of them."""
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
        raise LMError(run.gate.ended_by)
    for i, (row, labels) in enumerate(known):
        there, back = finished.get(2 * i), finished.get(2 * i + 1)
        if there is None or (both and back is None):
            found.left_out["not scored: the check was stopped"] += 1
            continue
        _take(found, row, labels, there, back, group)
    found.cost = _cost(finished.values(), run)
    return found


@dataclass(kw_only=True)
class _Sample:
    """Some rows of a run, each as likely as any other."""

    size: int
    """Most rows that are kept."""
    rows: list[Mapping[str, Any]] = field(default_factory=list)
    """Those that are."""
    n_seen: int = 0
    """Rows so far that could have been."""
    _draw: random.Random = field(default_factory=lambda: random.Random(0))

    def _take(self, values: Mapping[str, Any]) -> None:
        self.n_seen += 1
        if len(self.rows) < self.size:
            self.rows.append(values)
        elif (place := self._draw.randrange(self.n_seen)) < self.size:
            self.rows[place] = values


@dataclass(kw_only=True)
class CalibratedSample(_Sample):
    """Rows of a run whose scores are on people's scale, and what they say of all its rows."""

    calibration: Calibration
    """What put them there."""
    size: int = 5_000

    def add(self, values: Mapping[str, Any]) -> None:
        """One more scored row."""
        raw = values.get("metadata", {}).get("uncalibrated_scores")
        if raw is not None:
            self._take({"raw": raw, "means": values["expected_scores"]})

    def report(self) -> dict[str, Any]:
        """The mean of the data where the labels have one, and in what the data are otherwise."""
        found: dict[str, Any] = {"rows": len(self.rows), "mean": None}
        if self.rows and not self.calibration.within_row:
            means = [value for row in self.rows for value in row["means"]]
            found["mean"] = list(self.calibration.mean_of(means))
        raw = [value for row in self.rows for value in self.calibration.features(row["raw"])]
        return {**found, "shift": self.calibration.shift(raw)}


@dataclass(kw_only=True)
class JudgeSample(_Sample):
    """Scored rows of two responses or more, and what both their orders show."""

    scorer: QualityScorer
    """The judge of the run."""

    def add(self, values: Mapping[str, Any]) -> None:
        """One more scored row."""
        scores = values.get("scores")
        if isinstance(scores, list) and len(scores) > 1 and None not in scores:
            self._take(values)

    def check(self, *, window: int) -> dict[str, Any]:
        """Scores them the other way round: a ``sentence``, and what it rests on."""
        if not order_matters(self.scorer):
            way = (
                "every order"
                if self.scorer.scoring == "joint"
                else f"{self.scorer.scoring} scoring"
            )
            return {"rows": 0, "sentence": f"{way}: no place can be preferred"}
        run = _run(self.scorer, None, window)
        asked = [
            Row(
                line=i + 1, values=turned({k: v for k, v in row.items() if k in _ASKED}), error=None
            )
            for i, row in enumerate(self.rows)
        ]
        back = {one.number: one for one in run.finished(enumerate(asked))}
        pairs, decisions = [], []
        for i, row in enumerate(self.rows):
            there, other = judged_by(row), _scores_back(back.get(i))
            if there is None or other is None:
                continue
            pairs.append((there[0] - there[-1], other[0] - other[-1]))
            texts = row["responses"]
            lengths = (n_words(texts[0]), n_words(texts[-1]))
            decisions.append(Decision(difference=sum(pairs[-1]), lengths=lengths))
        found = Ordered.of(pairs)
        sentence = order_sentence(found)
        if is_length_alone(decisions):
            sentence += "; length alone: the longer response wins"
        failed = len(self.rows) - len(pairs)
        return {
            "rows": len(pairs),
            "failed": failed,
            "first_wins_twice": found.first,
            "second_wins_twice": found.second,
            "same_winner": found.same,
            "last_wins": sum(one < 0 and other < 0 for one, other in pairs),
            "lm_calls": run.gate.n_calls,
            "sentence": sentence + (f" ({failed} failed)" if failed else ""),
        }


def _scores_back(one: Finished | None) -> Sequence[float] | None:
    """The scores of a turned row, in the order in which it stood."""
    found = None if one is None or one.error is not None else judged_by(one.values)
    return None if found is None else found[::-1]


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
    found.values.append(there.values)
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
