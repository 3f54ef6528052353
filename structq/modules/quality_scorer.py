"""QualityScorer: scores the responses to an instruction, and measures how sure the LM is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import dspy

from structq.errors import InputError, shorten
from structq.schemas import Form
from structq.signatures import ScoreResponses
from structq.templates import check_text, default_criteria, score_template

from .calls import Caller, Reply, carrying
from .derived import best_response, without_score_facts
from .predictor import Predictor
from .results import ScoreResult
from .rows import RowModule, check_instruction, row_values
from .scale import ScaleLike
from .scoring import WAYS, Plan
from .scoring.turns import summed
from .settings import ScorerOptions, ScorerSettings, Scoring, Turns
from .settled import SavedSettings, Settled
from .turns import conversation_of, read_conversation

__all__ = ["QualityScorer"]


class QualityScorer(Settled, RowModule, settings=ScorerSettings, options=ScorerOptions):
    """Scores the responses to one instruction, together as DEITA does (arXiv 2312.15685), or alone.

    ``scoring=``

    * ``"joint"``: one prompt with all K responses and one answer with K scores, each of which sees
      the scores before it; K passes where the LM measures.
    * ``"independent"``: a prompt for each response with that response alone in it, all in flight at
      once; a score depends neither on the other responses nor on their order, and one pass a
      response measures it (labels of one token). It reads the instruction and the criteria K times,
      where joint scoring reads them once.
    * ``"pairwise"``: which of two is better, for every pair in both orders: K(K-1) prompts.
      ``scores`` are ranks, the best of K has K; Bradley-Terry strengths are in
      ``metadata["raw_scores"]``.
    * ``"likelihood"``: nothing is asked. The LM reads each response twice: how likely it is as the
      answer to the instruction, and how likely as an answer to nothing. What the instruction adds
      (divided by the response's tokens to the power ``length_exponent``) is in
      ``metadata["raw_scores"]``; ``scores`` are ranks. For LMs that show the log probability of a
      text: every local one, and vLLM.

    Which of them is worth something depends on the LM: ``structq judge-check`` measures it on
    labelled rows.

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
        samples: int = 0,
        length_exponent: float = 0.0,
        turns: Turns = "last",
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
        messages: Sequence[Mapping[str, Any]] | None = None,
    ) -> ScoreResult:
        """The scores of the responses, in their order.

        Args:
            instruction: What was asked; not blank.
            responses: At least one; each may be empty.
            system_prompt: In place of the module's.
            messages: The conversation that the responses end. With ``turns="sum"`` its earlier
                answers are scored too, each alone and with the turns before it as its instruction,
                and their scores are added to that of every response.

        Returns:
            ``scores`` (``None`` where the text form has none), ``expected_scores`` and
            ``score_distributions`` (one ``{label: probability}`` a response; both ``None`` where
            the LM does not measure, and the latter of sums), ``model_name``, ``metadata``
            (``calls`` in it say why nothing was measured, where it was asked for;
            ``turn_scores`` and ``turn_expected_scores`` are those of earlier answers in a sum).

        Raises:
            InputError: A value is wrong; names the field.
            OutputError: An answer was cut off or broke its schema.
            LMError: The LM could not answer.
        """
        caller = self._caller(system_prompt)
        plan = self._plan(instruction, responses, messages)
        with carrying(caller.calls):
            replies = caller.ask_all(plan.asks)
        return _result(plan, replies, caller)

    async def aforward(
        self,
        instruction: str,
        responses: list[str] | tuple[str, ...],
        system_prompt: str | None = None,
        messages: Sequence[Mapping[str, Any]] | None = None,
    ) -> ScoreResult:
        """As ``forward``, awaiting the LM."""
        caller = self._caller(system_prompt)
        plan = self._plan(instruction, responses, messages)
        with carrying(caller.calls):
            replies = await caller.aask_all(plan.asks)
        return _result(plan, replies, caller)

    if TYPE_CHECKING:
        __call__ = forward
        acall = aforward

    def n_questions(self, n_responses: int) -> int:
        """Questions that so many responses take: LM calls, if none is asked again."""
        settings = cast("ScorerSettings", self.settings.values)
        plan = WAYS[self.scoring](self.score, settings, "-", ["-"] * n_responses)
        return len(plan.asks)

    @property
    def output_columns(self) -> tuple[str, ...]:
        """Columns that ``process`` adds to a row, ``metadata`` apart."""
        return ("scores", "expected_scores", "score_distributions", "model_name")

    def row_inputs(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, from the columns of a row."""
        names = ("instruction", "responses", "system_prompt")
        given = {name: row.get(name) for name in names}
        messages = self.messages_of(row)
        if messages is None or given["instruction"] is not None:
            return {**given, "messages": messages}
        said = read_conversation(messages)
        asked, answer = said.answers[-1]
        return {
            "instruction": asked,
            "responses": [answer] if given["responses"] is None else given["responses"],
            "system_prompt": given["system_prompt"] or said.system_prompt,
            "messages": messages,
        }

    def messages_of(self, row: Mapping[str, Any]) -> Any:
        """The conversation of a row, where its turns are summed."""
        return conversation_of(row) if self.turns == "sum" else None

    async def aprocess_row(self, row: Mapping[str, Any] | dspy.Example) -> dict[str, Any]:
        """One row with the output columns; a best response that is there follows the scores."""
        row = row_values(row)
        done = await super().aprocess_row(without_score_facts(row))
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

    def _plan(self, instruction: object, responses: object, messages: Any = None) -> Plan:
        """What to ask; of the earlier answers of a conversation too, where turns are summed."""
        plan = self._plan_of(check_instruction(instruction), _check_responses(responses))
        if messages is None or self.turns == "last":
            return plan
        earlier = read_conversation(messages).answers[:-1]
        return summed(plan, [self._plan_of(asked, [answer]) for asked, answer in earlier])

    def _plan_of(self, instruction: str, responses: list[str]) -> Plan:
        settings = cast("ScorerSettings", self.settings.values)
        return WAYS[self.scoring](self.score, settings, instruction, responses)


def _result(plan: Plan, replies: Sequence[Reply], caller: Caller) -> ScoreResult:
    found = plan.read(replies)
    return ScoreResult(
        scores=found.scores,
        expected_scores=found.expected,
        score_distributions=found.distributions,
        model_name=replies[-1].answer.model,
        metadata={"calls": caller.calls, "error": None, **found.facts},
    )


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
