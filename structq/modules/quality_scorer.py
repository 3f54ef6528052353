"""QualityScorer: scores the responses to an instruction, and measures how sure the LM is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import dspy

from structq.adapter import read_lines
from structq.errors import InputError, shorten
from structq.schemas import Form, Score, mean_score
from structq.signatures import ScoreCall, ScoreResponses, score_signature
from structq.templates import check_text, default_criteria, score_template

from .calls import Ask, Caller, Reply, carrying
from .derived import best_response, without_facts
from .orders import orders
from .predictor import Predictor
from .results import ScoreResult
from .rows import RowModule, check_instruction, row_values
from .scale import ScaleLike, labels_of
from .settings import ScorerOptions, ScorerSettings, Scoring
from .settled import SavedSettings, Settled

__all__ = ["QualityScorer"]


class QualityScorer(Settled, RowModule, settings=ScorerSettings, options=ScorerOptions):
    """Scores the responses to one instruction, together as DEITA does (arXiv 2312.15685), or alone.

    ``scoring="joint"``: one prompt with all K responses and one answer with K scores, each of which
    sees the scores before it; K passes where the LM measures. ``scoring="independent"``: a prompt
    for each response with that response alone in it, all in flight at once; a score depends neither
    on the other responses nor on their order, and one pass a response measures it (labels of one
    token). It costs K prompts: K times the instruction and the criteria are read, where joint
    scoring reads them once.

    Args:
        settings: {settings}
        lm: A ``dspy.LM`` or a spec for ``structq.lm``; by default the LM that DSPy is configured
            with.
        n_in_flight: Most rows that ``process`` works on at once.

    Attributes:
        score: The ``dspy.Predict`` whose ``signature.instructions`` are the criteria.

    Raises:
        InputError: A value is wrong; the message names it.

    Example:
        >>> scorer = QualityScorer(scale=(1, 6), lm="nano")
        >>> scorer(instruction="Name a prime.", responses=["7", "9"]).expected_scores
    """

    def __init__(
        self,
        *,
        scale: ScaleLike = None,
        scoring: Scoring = "joint",
        permutations: int = 1,
        use_default_structured_output: bool = True,
        criteria: str | None = None,
        template: str | None = None,
        system_prompt: str | None = None,
        max_attempts: int = 1,
        form: Form | None = None,
        lm: dspy.BaseLM | str | None = None,
        n_in_flight: int = 64,
    ) -> None:
        options = ScorerOptions.picked(locals())
        super().__init__(n_in_flight=n_in_flight)
        asked = options.criteria or default_criteria()
        self.score = Predictor(ScoreResponses.with_instructions(asked))
        self.lm = lm
        self.settings = SavedSettings(ScorerSettings.picked(vars(options)))

    @property
    def criteria(self) -> str:
        """What responses are judged by: the instructions of the predictor."""
        return cast("str", self.score.signature.instructions)

    @criteria.setter
    def criteria(self, criteria: str) -> None:
        asked = ScorerOptions(criteria=criteria).criteria or default_criteria()
        self.score.signature = self.score.signature.with_instructions(asked)

    @property
    def _template(self) -> str:
        """The Jinja2 text of the prompt, under the name that it has in distilabel."""
        own: str | None = self.template
        return own or score_template(as_lines=not self.use_default_structured_output)

    def forward(
        self,
        instruction: str,
        responses: list[str] | tuple[str, ...],
        system_prompt: str | None = None,
    ) -> ScoreResult:
        """The scores of the responses, in their order.

        Args:
            instruction: What was asked; not blank.
            responses: At least one; each may be empty.
            system_prompt: In place of the module's.

        Returns:
            ``scores`` (``None`` where the text form has none), ``expected_scores`` and
            ``score_distributions`` (one ``{label: probability}`` a response; both ``None`` where
            the LM does not measure), ``model_name``, ``metadata`` (``calls`` in it say why nothing
            was measured, where it was asked for).

        Raises:
            InputError: A value is wrong; names the field.
            OutputError: An answer was cut off or broke its schema.
            LMError: The LM could not answer.
        """
        caller = self._caller(system_prompt)
        shown, asks = self._questions(instruction, responses)
        with carrying(caller.calls):
            replies = caller.ask_all(asks)
        return _prediction(shown, replies, caller, _labels(self.scale, len(shown[0])))

    async def aforward(
        self,
        instruction: str,
        responses: list[str] | tuple[str, ...],
        system_prompt: str | None = None,
    ) -> ScoreResult:
        """As ``forward``, awaiting the LM."""
        caller = self._caller(system_prompt)
        shown, asks = self._questions(instruction, responses)
        with carrying(caller.calls):
            replies = await caller.aask_all(asks)
        return _prediction(shown, replies, caller, _labels(self.scale, len(shown[0])))

    if TYPE_CHECKING:
        __call__ = forward
        acall = aforward

    @property
    def output_columns(self) -> tuple[str, ...]:
        """Columns that ``process`` adds to a row, ``metadata`` apart."""
        return ("scores", "expected_scores", "score_distributions", "model_name")

    def row_inputs(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, from the columns of a row."""
        return {name: row.get(name) for name in ("instruction", "responses", "system_prompt")}

    async def aprocess_row(self, row: Mapping[str, Any] | dspy.Example) -> dict[str, Any]:
        """One row with the output columns; a best response that is there follows the scores."""
        row = row_values(row)
        done = await super().aprocess_row(without_facts(row, "unscored"))
        return {**done, "best_response": best_response(done)} if "best_response" in row else done

    def _caller(self, system_prompt: str | None) -> Caller:
        if system_prompt is not None:
            check_text(system_prompt, "system_prompt")
        options = {
            "system_prompt": self.system_prompt if system_prompt is None else system_prompt,
            "score_template": self.template,
            "as_text": not self.use_default_structured_output,
            "form": self.form,
        }
        return Caller(max_attempts=self.max_attempts, adapter_options=options)

    def _questions(
        self, instruction: object, responses: object
    ) -> tuple[list[Sequence[int]], list[Ask]]:
        """What to ask, and for each question the responses that it shows, by their places."""
        asked, candidates = check_instruction(instruction), _check_responses(responses)
        shown = self._shown(len(candidates))
        call = ScoreCall(len(shown[0]), *labels_of(self.scale))
        signature = score_signature(self.score.signature, call)
        asks = [
            Ask(
                predict=self.score,
                inputs={"instruction": asked, "responses": [candidates[i] for i in order]},
                signature=signature,
            )
            for order in shown
        ]
        return shown, asks

    def _shown(self, n_responses: int) -> list[Sequence[int]]:
        if self.scoring == "independent":
            return [(i,) for i in range(n_responses)]
        return list(orders(n_responses, self.permutations))


def _prediction(
    shown: Sequence[Sequence[int]],
    replies: Sequence[Reply],
    caller: Caller,
    labels: Sequence[int],
) -> ScoreResult:
    got: dict[int, list[Score]] = {}
    for order, reply in zip(shown, replies, strict=True):
        for response, score in zip(order, _scores(reply, len(order), labels), strict=True):
            got.setdefault(response, []).append(score)
    scores = [mean_score(got[response]) for response in sorted(got)]
    known = [one.distribution for one in scores if one.distribution is not None]
    measured = len(known) == len(scores)
    unscored = [
        {"response": i, "reason": one.reason} for i, one in enumerate(scores) if one.value is None
    ]
    return ScoreResult(
        scores=[one.value for one in scores],
        expected_scores=[one.expected for one in known] if measured else None,
        score_distributions=[one.to_json() for one in known] if measured else None,
        model_name=replies[-1].answer.model,
        metadata={
            "calls": caller.calls, "error": None, **({"unscored": unscored} if unscored else {}),
        },
    )  # fmt: skip


def _labels(scale: ScaleLike, n_responses: int) -> Sequence[int]:
    return ScoreCall(n_responses, *labels_of(scale)).scale


def _scores(reply: Reply, n_responses: int, labels: Sequence[int]) -> list[Score]:
    """What one answer gave the responses that it saw."""
    rows = reply.answer.measurement or (None,) * n_responses
    values = reply.prediction.scores
    if None in values:  # lines of text, which know why
        return read_lines(reply.answer.raw, n_responses, labels)
    return [Score(value=v, distribution=row) for v, row in zip(values, rows, strict=True)]


def _check_responses(responses: object) -> list[str]:
    if isinstance(responses, str | bytes) or not isinstance(responses, Sequence):
        found = "nothing" if responses is None else shorten(responses)
        raise InputError(f"responses: must be a list of texts, found {found}", field="responses")
    if not responses:
        raise InputError("responses: is empty (there must be at least one)", field="responses")
    for i, response in enumerate(responses):
        try:
            check_text(response, f"responses[{i}]")
        except InputError as error:
            error.field = "responses"
            raise
    return list(responses)
