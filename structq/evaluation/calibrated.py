"""A scorer whose scores are on people's scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structq.errors import InputError, shorten
from structq.evaluation.agreement import judged_by
from structq.evaluation.calibrate import Calibration
from structq.modules import QualityScorer
from structq.modules.results import ScoreResult

__all__ = ["CalibratedScorer"]


class CalibratedScorer(QualityScorer):
    """`QualityScorer`, with its scores on the scale of the labels that a calibration was fitted to.

    Args:
        calibration: A fitted one, or the file that ``structq calibrate`` wrote.
        options: Of `QualityScorer`; they should be those of the scorer that was calibrated.

    Raises:
        InputError: The file cannot be read, or an option is wrong.
    """

    def __init__(self, calibration: Calibration | str | Path, **options: Any) -> None:
        super().__init__(**options)
        if self.turns != "last":
            raise InputError(
                f"turns: a calibration is of one score, found {shorten(self.turns)} ('last' is "
                "allowed)",
                field="turns",
            )
        if not isinstance(calibration, Calibration):
            calibration = Calibration.load(calibration)
        self.calibration = calibration
        own = {k: v for k, v in self.settings.dump_state().items() if k != "max_attempts"}
        fitted = calibration.about.get("scorer") or own
        differs = [name for name, value in own.items() if value != fitted.get(name, value)]
        if differs:
            name = differs[0]
            raise InputError(
                f"calibration: was fitted to scores with {name}={shorten(fitted[name])}, and these "
                f"are with {name}={shorten(own[name])}",
                field="calibration",
            )

    def forward(
        self,
        instruction: str,
        responses: list[str] | tuple[str, ...],
        system_prompt: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
    ) -> ScoreResult:
        """As `QualityScorer.forward`; ``metadata["uncalibrated_scores"]`` has what the LM gave."""
        return self._calibrated(super().forward(instruction, responses, system_prompt, messages))

    async def aforward(
        self,
        instruction: str,
        responses: list[str] | tuple[str, ...],
        system_prompt: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
    ) -> ScoreResult:
        """As ``forward``, awaiting the LM."""
        found = await super().aforward(instruction, responses, system_prompt, messages)
        return self._calibrated(found)

    if TYPE_CHECKING:
        __call__ = forward
        acall = aforward

    def _calibrated(self, found: ScoreResult) -> ScoreResult:
        raw = judged_by(found)
        if raw is None:  # a response without a score: there is nothing to put on a scale
            return found
        distributions = self.calibration.distributions(raw)
        told: Mapping[str, Any] = {k: v for k, v in found.metadata.items() if k != "uncalibrated"}
        kept: dict[str, Any] = {**found.toDict(), "metadata": {}}
        return ScoreResult(
            **{
                **kept,
                "scores": [float(max(one, key=lambda level: one[level])) for one in distributions],
                "expected_scores": self.calibration.means(raw),
                "score_distributions": distributions,
                "metadata": {**told, "uncalibrated_scores": list(raw)},
            }
        )
