"""EvolveAndScore: evolves a response, scores it beside its evolutions, and keeps the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dspy

from structq.errors import InputError

from .calls import carrying
from .derived import best_of, without_derived
from .evol_quality import EvolQuality
from .predictor import LMByName, is_copy
from .quality_scorer import QualityScorer
from .results import BestResult, EvolveResult, ScoreResult
from .rows import RowModule, row_values

__all__ = ["EvolveAndScore"]


class EvolveAndScore(RowModule):
    """Evolves a response and scores the original and every evolution in one list.

    Args:
        evolve: How to evolve; by default ``EvolQuality`` with ``num_evolutions`` and ``seed``.
        scorer: How to score; by default ``QualityScorer()``.
        num_evolutions: Steps for each row, where ``evolve`` is not given; 1 by default.
        seed: Fixes every draw, where ``evolve`` is not given; 42 by default.
        lm: The LM of both, unless they have their own; by default the one that DSPy is configured
            with. A part that gets it is copied: the given one stays as it is.
        n_in_flight: Most rows that ``process`` works on at once.

    Raises:
        InputError: A value is wrong, or is given both to ``evolve`` and here.

    Example:
        >>> best = EvolveAndScore(num_evolutions=2, lm="nano")
        >>> best(instruction="Why is the sky blue?", response="Because of the air.").best_response
    """

    def __init__(
        self,
        evolve: EvolQuality | None = None,
        scorer: QualityScorer | None = None,
        *,
        num_evolutions: int | None = None,
        seed: int | None = None,
        lm: dspy.BaseLM | str | None = None,
        n_in_flight: int = 64,
    ) -> None:
        super().__init__(n_in_flight=n_in_flight)
        given = {"num_evolutions": num_evolutions, "seed": seed}
        chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if evolve is not None and chosen:
            name = next(iter(chosen))
            raise InputError(f"{name}: belongs to evolve, which is given", field=name)
        shared = LMByName(lm) if isinstance(lm, str) else lm
        self.evolve = (EvolQuality(**chosen) if evolve is None else evolve).answered_by(shared)
        self.scorer = (QualityScorer() if scorer is None else scorer).answered_by(shared)

    def forward(
        self,
        instruction: str,
        response: str,
        seed: int | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
    ) -> BestResult:
        """The original and its evolutions, scored.

        Args:
            instruction: What was asked; not blank.
            response: The answer to evolve; may be empty.
            seed: In place of that of ``evolve``.
            messages: The conversation, for a scorer that sums its turns.

        Returns:
            ``responses`` (the original, then every evolution), ``scores``, ``expected_scores`` and
            ``score_distributions`` of those in that order, ``evolved_response`` (the last
            evolution), ``best_response`` (the original on a tie), ``mutations``, ``model_name``,
            ``metadata``.

        Raises:
            InputError: A value is wrong; names the field.
            OutputError: An answer was cut off or broke its schema.
            LMError: The LM could not answer.
        """
        evolved = self.evolve(instruction=instruction, response=response, seed=seed)
        responses = self._responses(response, evolved)
        with carrying(evolved.metadata["calls"]):
            scored = self.scorer(instruction=instruction, responses=responses, messages=messages)
        return _join(responses, evolved, scored)

    async def aforward(
        self,
        instruction: str,
        response: str,
        seed: int | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
    ) -> BestResult:
        """As ``forward``, awaiting the LM."""
        evolved = await self.evolve.acall(instruction=instruction, response=response, seed=seed)
        responses = self._responses(response, evolved)
        with carrying(evolved.metadata["calls"]):
            scored = await self.scorer.acall(
                instruction=instruction, responses=responses, messages=messages
            )
        return _join(responses, evolved, scored)

    if TYPE_CHECKING:
        __call__ = forward
        acall = aforward

    @property
    def output_columns(self) -> tuple[str, ...]:
        """Columns that ``process`` adds to a row, ``metadata`` apart."""
        return (
            "responses", "scores", "expected_scores", "score_distributions",
            "evolved_response", "best_response", "mutations", "model_name",
        )  # fmt: skip

    def row_inputs(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, from the columns of a row."""
        asked = {name: row.get(name) for name in ("instruction", "response")}
        return {**asked, "messages": self.scorer.messages_of(row)}

    async def aprocess_row(self, row: Mapping[str, Any] | dspy.Example) -> dict[str, Any]:
        """One row with the output columns, without those of an earlier run."""
        return await super().aprocess_row(without_derived(row_values(row)))

    def answering_lms(self) -> list[dspy.BaseLM]:
        """The LMs that would answer now, those that write first.

        Raises:
            InputError: There is none.
        """
        lms = [*self.evolve.answering_lms(), *self.scorer.answering_lms()]
        return list({id(lm): lm for lm in lms}.values())

    def get_lm(self) -> dspy.BaseLM:
        """The LM that would write now; see ``scorer.get_lm()`` for the one that would judge.

        Raises:
            InputError: There is none.
            ValueError: There are several.
        """
        return self.evolve.get_lm()

    def set_lm(self, lm: dspy.BaseLM | str | None) -> None:
        """Has this LM write and judge.

        A copy of the LM that writes, with other options, goes to the writer alone where the judge
        has an LM of its own: so ``dspy.BestOfN`` and ``dspy.Refine`` leave the judge as it is.
        """
        writers, judges = self.evolve.own_lms(), self.scorer.own_lms()
        apart = judges and not any(lm is other for lm in judges for other in writers)
        self.evolve.set_lm(lm)
        if not (apart and any(is_copy(lm, writer) for writer in writers)):
            self.scorer.set_lm(lm)

    def load_state(self, state: dict[str, Any], *, allow_unsafe_lm_state: bool = False) -> None:
        """Becomes the saved module, all but its LMs.

        Raises:
            InputError: The state is not one of an EvolveAndScore that could be constructed.
        """
        before = self.evolve.mutations
        try:
            self.evolve.match_state(state, "evolve.")
            super().load_state(state, allow_unsafe_lm_state=allow_unsafe_lm_state)
            self.evolve.check()
        except Exception:
            self.evolve.mutations = before
            raise

    def _responses(self, response: str, evolved: EvolveResult) -> list[str]:
        first = 1 if self.evolve.include_original_response else 0
        return [response, *evolved.evolved_responses[first:]]


def _join(responses: list[str], evolved: EvolveResult, scored: ScoreResult) -> BestResult:
    ranks = scored.scores if scored.expected_scores is None else scored.expected_scores
    return BestResult(
        responses=responses,
        scores=scored.scores,
        expected_scores=scored.expected_scores,
        score_distributions=scored.score_distributions,
        evolved_response=evolved.evolved_response,
        best_response=responses[best_of(ranks)],
        mutations=evolved.mutations,
        model_name=evolved.model_name,
        metadata={
            **evolved.metadata,
            **scored.metadata,
            "calls": [*evolved.metadata["calls"], *scored.metadata["calls"]],
        },
    )
