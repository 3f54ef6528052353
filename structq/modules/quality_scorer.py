"""QualityScorer: scores the responses to an instruction, and measures how sure the LM is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import dspy

from structq.adapter import Measurement
from structq.errors import InputError, shorten
from structq.schemas import FORMS, Form
from structq.signatures import ScoreResponses, score_signature
from structq.templates import check_score_template, check_text, default_criteria, score_template

from .calls import Ask, Caller, Reply, carrying
from .orders import orders
from .predictor import Predictor
from .results import ScoreResult
from .rows import RowModule, check_instruction
from .scale import ScaleLike, parse_scale
from .settings import Setting, Settings, check_bool, check_choice, check_count

__all__ = ["QualityScorer"]

Scoring = Literal["joint", "independent"]


@dataclass(kw_only=True)
class ScorerSettings(Settings):
    """Settings of QualityScorer; see there."""

    scale: Any = None
    scoring: Scoring = "joint"
    permutations: int = 1
    use_default_structured_output: bool = True
    system_prompt: str | None = None
    template: str | None = None
    max_attempts: int = 1
    form: Form | None = None

    def __post_init__(self) -> None:
        scale = parse_scale(self.scale)
        if scale.rubric and scale.labels:
            self.scale = dict(zip(scale.labels, scale.rubric, strict=True))
        elif scale.labels:
            self.scale = (scale.labels[0], scale.labels[-1])
        check_count(self.permutations, "permutations")
        self._check_scoring()
        check_count(self.max_attempts, "max_attempts")
        if self.form is not None:
            check_choice(self.form, "form", FORMS)
        check_bool(self.use_default_structured_output, "use_default_structured_output")
        if self.system_prompt is not None:
            check_text(self.system_prompt, "system_prompt")
        if self.template is not None:
            check_score_template(self.template)

    def _check_scoring(self) -> None:
        if self.scoring not in ("joint", "independent"):
            found = f"must be 'joint' or 'independent', found {shorten(self.scoring)}"
            raise InputError(f"scoring: {found}", field="scoring")
        if self.scoring == "joint":
            return
        if self.scale is None:
            raise InputError(
                "scale: independent scoring needs a fixed one, (low, high) or a rubric: the "
                "list-wise scale compares responses, and each is seen alone",
                field="scale",
            )
        if self.permutations > 1:
            raise InputError(
                f"permutations: {self.permutations} orders of one response are the same prompt "
                "(independent scoring allows 1)",
                field="permutations",
            )

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The settings as JSON values: a rubric has its labels as text."""
        state = super().dump_state(json_mode)
        if isinstance(self.scale, Mapping):
            state["scale"] = {str(label): text for label, text in self.scale.items()}
        return state


class QualityScorer(RowModule):
    """Scores the responses to one instruction, together as DEITA does (arXiv 2312.15685), or alone.

    ``scoring="joint"``: one prompt with all K responses and one answer with K scores, each of which
    sees the scores before it; K passes where the LM measures. ``scoring="independent"``: a prompt
    for each response with that response alone in it, all in flight at once; a score depends neither
    on the other responses nor on their order, and one pass a response measures it (labels of one
    token). It costs K prompts: K times the instruction and the criteria are read, where joint
    scoring reads them once.

    Args:
        scale: ``None`` for DEITA's list-wise scale (1..K for K responses, K+1 for one that cannot
            be improved), ``(low, high)`` for a fixed one, or a rubric ``{label: description}``.
        scoring: ``"joint"`` or ``"independent"``, which needs a fixed scale or a rubric.
        permutations: Orders of the responses that are asked, all at once, and averaged, against
            position bias; for joint scoring.
        use_default_structured_output: Ask for JSON under a schema; off, for lines such as ``[1]
            Score: 3``.
        criteria: What to judge by; the instructions of the predictor, which optimizers may tune.
        template: Jinja2 text in place of the packaged prompt; knows ``instruction``, ``responses``,
            ``low``, ``high``, ``criteria``, ``form`` and ``mark``.
        system_prompt: Text of the system message; a row may bring its own.
        max_attempts: How often one order is asked until the answer can be used.
        form: How the LM is asked to answer, see `structq.schemas.Form`; by default what is best
            for the LM. Scores are JSON in every form; ``"compact"`` is that of nano.
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

    scale = Setting["ScaleLike"]("What a score may be.")
    scoring = Setting["Scoring"]("Whether responses are scored together or each alone.")
    permutations = Setting[int]("Orders that are asked and averaged.")
    use_default_structured_output = Setting[bool]("Whether the answer is JSON under a schema.")
    system_prompt = Setting["str | None"]("Text of the system message.")
    template = Setting["str | None"]("Jinja2 text in place of the packaged prompt.")
    max_attempts = Setting[int]("How often one order is asked.")
    form = Setting["Form | None"]("How the LM is asked to answer.")

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
        super().__init__(n_in_flight=n_in_flight)
        asked = default_criteria() if criteria is None else check_text(criteria, "criteria")
        if not asked.strip():
            raise InputError(f"criteria: is blank, found {shorten(asked)}", field="criteria")
        self.score = Predictor(ScoreResponses.with_instructions(asked))
        self.lm = lm
        self.settings = ScorerSettings(
            scale=scale,
            scoring=scoring,
            permutations=permutations,
            use_default_structured_output=use_default_structured_output,
            system_prompt=system_prompt,
            template=template,
            max_attempts=max_attempts,
            form=form,
        )

    @property
    def _template(self) -> str:
        """The Jinja2 text of the prompt, under the name that it has in distilabel."""
        if self.template is not None:
            return self.template
        return score_template(as_lines=not self.use_default_structured_output)

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
        return _prediction(shown, replies, caller)

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
        return _prediction(shown, replies, caller)

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
        call = parse_scale(self.scale).call(len(shown[0]))
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
    shown: Sequence[Sequence[int]], replies: Sequence[Reply], caller: Caller
) -> ScoreResult:
    tally = Tally(1 + max(max(order) for order in shown))
    for order, reply in zip(shown, replies, strict=True):
        tally.add(order, reply.prediction.scores, reply.answer.measurement)
    return ScoreResult(
        scores=tally.scores(),
        expected_scores=tally.expected_scores(),
        score_distributions=tally.distributions(),
        model_name=replies[-1].answer.model,
        metadata={"calls": caller.calls, "error": None},
    )


class Tally:
    """Scores of several prompts, put back into the order of the caller and averaged."""

    def __init__(self, n_responses: int) -> None:
        self._scores: list[list[int]] = [[] for _ in range(n_responses)]
        self._rows: list[list[tuple[float, ...]]] = [[] for _ in range(n_responses)]
        self._labels: tuple[int, ...] = ()
        self._measured = True

    def add(
        self, order: Sequence[int], scores: Sequence[int | None], measured: Measurement | None
    ) -> None:
        """One answer: its i-th score is that of response ``order[i]``."""
        # A mean over some of the orders would bring back the position bias that they are against.
        self._measured = self._measured and measured is not None
        for place, response in enumerate(order):
            score = scores[place]
            if score is not None:
                self._scores[response].append(score)
            if measured is not None:
                self._labels = measured.labels
                self._rows[response].append(measured.distributions[place])

    def scores(self) -> list[float | None]:
        """Mean score of each response; ``None`` for one that no order scored."""
        return [sum(scores) / len(scores) if scores else None for scores in self._scores]

    def expected_scores(self) -> list[float] | None:
        """Mean under each response's label distribution; ``None`` unless every order has one."""
        means = self._means()
        if means is None:
            return None
        return [_mean(self._labels, row) for row in means]

    def distributions(self) -> list[dict[str, float]] | None:
        """Probability of each label, a dict for each response; labels are text, as JSON keys."""
        means = self._means()
        if means is None:
            return None
        return [
            {str(label): p for label, p in zip(self._labels, row, strict=True)} for row in means
        ]

    def _means(self) -> list[list[float]] | None:
        if not self._measured or not self._labels:
            return None
        return [
            [sum(column) / len(rows) for column in zip(*rows, strict=True)] for rows in self._rows
        ]


def _mean(labels: Sequence[int], row: Sequence[float]) -> float:
    # A sum of floats may end a last bit outside of the scale.
    mean = sum(label * p for label, p in zip(labels, row, strict=True)) / sum(row)
    return min(max(mean, float(labels[0])), float(labels[-1]))


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
