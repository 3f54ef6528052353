"""QualityGain: what an evolution is worth to a scorer, beside the response that it began with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import dspy

from structq.errors import InputError, StructqError, shorten
from structq.journal import describe_lm
from structq.journal.fingerprint import fingerprint
from structq.modules.quality_scorer import QualityScorer
from structq.modules.scale import labels_of
from structq.texts import n_words

from .budget import Gate
from .metric import Measured
from .subjects import bare_copy

__all__ = ["QualityGain"]


class QualityGain:
    """Score of the evolved response less that of the original, both seen in one list.

    Expected scores where the LM measures them, else plain ones. The difference is divided by the
    width of the scale, so that it lies from -1 to 1. Which of the two comes first is drawn for each
    row from its content: a scorer that likes the first place gains nothing on average. With
    ``QualityScorer(permutations=2)`` every pair is asked in both orders. Pairwise and likelihood
    scoring give 1 where the evolution is the better one, and -1 where the original is.

    Args:
        scorer: The judge; ``QualityScorer()`` by default.
        length_penalty: Taken off for each 100 words that the evolution is longer than the original,
            so that saying more is not enough to win.
        failure_score: The gain of an evolution that failed or cannot be scored, as a signed gain.
        shifted: Gains from 0 to 1, with 0.5 for no difference. ``dspy.GEPA`` needs this: it fails
            on negative scores.
        seed: Fixes the orders.

    Attributes:
        max_calls: Most LM calls that one measurement makes, if the LM itself retries nothing.

    Raises:
        InputError: A value is wrong; the message names it.

    Example:
        >>> metric = QualityGain(QualityScorer(scale=(1, 6), lm="nano"), length_penalty=0.05)
        >>> metric(dspy.Example(instruction="Name a tree.", response="Oak."), prediction)
    """

    def __init__(
        self,
        scorer: QualityScorer | None = None,
        *,
        length_penalty: float = 0.0,
        failure_score: float = -1.0,
        shifted: bool = False,
        seed: int = 0,
    ) -> None:
        if not (scorer is None or isinstance(scorer, QualityScorer)):
            raise InputError(
                f"scorer: must be a QualityScorer, found {shorten(scorer)}", field="scorer"
            )
        self.scorer = QualityScorer() if scorer is None else scorer
        self.length_penalty = _check_number(length_penalty, "length_penalty", 0.0, math.inf)
        self._failure_score = _check_number(failure_score, "failure_score", -1.0, 1.0)
        self.shifted = shifted
        self.seed = seed

    @property
    def failure_score(self) -> float:
        """What a failure counts as, on the range of the metric."""
        return self._on_range(self._failure_score)

    @property
    def max_calls(self) -> int:
        """Most LM calls that one measurement makes, if the LM itself retries nothing."""
        return int(self.scorer.n_questions(2) * self.scorer.max_attempts)

    def __call__(
        self,
        example: Any,
        prediction: Any,
        trace: object = None,
        pred_name: str | None = None,
        pred_trace: object = None,
    ) -> Any:
        """The gain of a prediction of ``EvolQuality``, as DSPy's optimizers ask for it.

        Args:
            example: Has ``instruction`` and ``response``.
            prediction: Has ``evolved_response``.
            trace: Ignored.
            pred_name: Where GEPA names a predictor, the answer has ``score`` and ``feedback``.
            pred_trace: Ignored.
        """
        evolved = getattr(prediction, "evolved_response", None)
        if not isinstance(evolved, str):
            found = self._failed("there is no evolved response")
        else:
            found = self.measure(example["instruction"], example["response"], evolved)
        if pred_name is None:
            return found.gain
        said = found.feedback or f"It failed: {found.failure}."
        return dspy.Prediction(score=found.gain, feedback=said)

    def measure(self, instruction: str, response: str, evolved: str) -> Measured:
        """The gain of one evolution; a failure is a value with its reason."""
        order = self._order(instruction, response)
        try:
            scored = self.scorer(
                instruction=instruction, responses=_placed((response, evolved), order)
            )
        except StructqError as error:
            return self._failed(str(error))
        return self._gain(scored, order, response, evolved)

    async def ameasure(self, example: dspy.Example, prediction: Any) -> Measured:
        """As a call, awaiting the LM."""
        evolved = getattr(prediction, "evolved_response", None)
        if not isinstance(evolved, str):
            return self._failed("there is no evolved response")
        instruction, response = example["instruction"], example["response"]
        order = self._order(instruction, response)
        try:
            scored = await self.scorer.acall(
                instruction=instruction, responses=_placed((response, evolved), order)
            )
        except StructqError as error:
            return self._failed(str(error))
        return self._gain(scored, order, response, evolved)

    def behind(self, gate: Gate) -> QualityGain:
        """A copy every LM call of which is counted."""
        return QualityGain(
            bare_copy(self.scorer, gate),
            length_penalty=self.length_penalty,
            failure_score=self._failure_score,
            shifted=self.shifted,
            seed=self.seed,
        )

    def describe(self) -> dict[str, Any]:
        """What its values depend on, as JSON values."""
        return {
            "kind": fingerprint(type(self)),
            "length_penalty": self.length_penalty,
            "failure_score": self._failure_score,
            "shifted": self.shifted,
            "seed": self.seed,
            "criteria": self.scorer.score.signature.instructions,
            "demos": fingerprint([dict(demo) for demo in self.scorer.score.demos]),
            "scorer": self.scorer.settings.dump_state(),
            "lms": [describe_lm(lm) for lm in self.scorer.answering_lms()],
        }

    def _order(self, instruction: str, response: str) -> tuple[int, int]:
        """Which of original (0) and evolution (1) is shown first: by the row, not the evolution."""
        text = f"{self.seed}:{len(instruction)}:{instruction}{response}"
        bit = blake2b(text.encode(), digest_size=1).digest()[0] & 1
        return (1, 0) if bit else (0, 1)

    def _gain(
        self, scored: dspy.Prediction, order: Sequence[int], response: str, evolved: str
    ) -> Measured:
        shown = scored.scores if scored.expected_scores is None else scored.expected_scores
        if None in shown:
            return self._failed("the scorer left a response without a score")
        before, after = (float(shown[order.index(i)]) for i in (0, 1))
        compared = self.scorer.scoring in ("pairwise", "likelihood")  # the better one has rank 2
        labels = (1, 2) if compared else labels_of(self.scorer.scale)[0] or (1, 2, 3)
        words = n_words(response), n_words(evolved)
        n_added = max(0, words[1] - words[0])
        gain = (after - before) / (labels[-1] - labels[0]) - self.length_penalty * n_added / 100
        return Measured(
            gain=self._on_range(min(max(gain, -1.0), 1.0)),
            scores=(before, after),
            feedback=f"The judge gave the original response {before:.2f} and the evolved one "
            f"{after:.2f}; they have {words[0]} and {words[1]} words.",
        )

    def _failed(self, reason: str) -> Measured:
        return Measured(gain=self.failure_score, failure=reason)

    def _on_range(self, gain: float) -> float:
        return (gain + 1) / 2 if self.shifted else gain


def _placed(pair: tuple[str, str], order: Sequence[int]) -> list[str]:
    return [pair[i] for i in order]


def _check_number(value: object, field: str, low: float, high: float) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value < math.inf or value > high:  # type: ignore[operator]
        allowed = f"from {low:g} to {high:g}" if high < math.inf else f"of at least {low:g}"
        raise InputError(
            f"{field}: must be a number {allowed}, found {shorten(value)}", field=field
        )
    return float(value)  # type: ignore[arg-type]
