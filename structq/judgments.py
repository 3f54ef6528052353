"""A decision client over a `dspy.LM`: DSPy's experimental decision types, with measured numbers.

Without it, an LM that is asked for a ``dspy.experimental.Score`` *writes* a distribution, digit by
digit. With it, the distribution is the LM's own, measured over the levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from dspy.lm15 import Config, Message, Request, Response

from structq.errors import InputError, OutputError
from structq.schemas import Form, compact, show_form
from structq.templates import render_fields

if TYPE_CHECKING:
    import dspy

__all__ = ["JudgmentClient"]


class JudgmentClient:
    """Answers DSPy's ``Noul``, ``Choice`` and ``Score`` outputs with measured distributions.

    Cache, history and retries stay with the LM. Each output after the first sees the values that
    were taken for those before it. ``confidence`` is the probability of the most probable answer.

    Hold it as an attribute of a module and pass it on the call: a program with
    ``set_lm(JudgmentClient(...))`` cannot be saved, because DSPy would load the LM without it.

    Args:
        lm: An LM that answers ``config.probabilities="required"``: every local LM of `structq.lm`.

    Example:
        >>> judge = JudgmentClient(structq.lm("nano"))
        >>> dspy.Predict(signature)(text="...", lm=judge).quality.probabilities
    """

    supports_decision_requests: ClassVar[bool] = True
    """DSPy sends decisions here instead of prompts."""

    def __init__(self, lm: dspy.LM) -> None:
        self.lm = lm
        self.kwargs: dict[str, Any] = {}

    @property
    def model(self) -> str:
        """The model string of the LM."""
        return str(self.lm.model)

    @property
    def cache(self) -> bool:
        """Whether the LM keeps its answers: what ``dspy.experimental.ReAnchor`` wants to know."""
        return bool(getattr(self.lm, "cache", False))

    @property
    def history(self) -> list[Any]:
        """The calls of the LM."""
        return list(self.lm.history)

    def __call__(
        self, state: Mapping[str, Any], questions: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """The evidence for each question.

        Args:
            state: ``instructions``, ``inputs`` and maybe ``demos``, as DSPy makes it.
            questions: ``instructions``, ``type`` (``"noul"``, ``"choice"`` or ``"score"``) and
                ``criteria`` of each decision, by name.

        Returns:
            ``{"noul": p}``, or ``{"probabilities": {key: p}, "confidence": p}``, by name.

        Raises:
            dspy.utils.exceptions.LMUnsupportedFeatureError: The LM does not measure.
            OutputError: It answered without probabilities all the same.
            InputError: A text cannot be sent.
        """
        return _evidence(self.lm(self._request(state, questions)), questions)

    async def acall(
        self, state: Mapping[str, Any], questions: Mapping[str, Any]
    ) -> dict[str, dict[str, Any]]:
        """As a call, awaiting the LM."""
        return _evidence(await self.lm.acall(self._request(state, questions)), questions)

    def dump_state(self) -> NoReturn:
        """Refuses.

        Raises:
            InputError: Always; says what to do instead.
        """
        raise InputError(
            "a JudgmentClient cannot be saved with a predictor: hold it as an attribute of the "
            "module and pass lm=client on the call",
            field="lm",
        )

    def _request(self, state: Mapping[str, Any], questions: Mapping[str, Any]) -> Request:
        schema = {
            "type": "object",
            "properties": {name: _property(question) for name, question in questions.items()},
            "required": list(questions),
            "additionalProperties": False,
        }
        wire = {"type": "json_schema", "name": "judgments", "strict": True, "schema": schema}
        engine = getattr(self.lm, "engine", None)
        form: Form = "compact" if getattr(engine, "form", "") == "compact" else "json"
        prompt = render_fields(
            _instructions(state, questions),
            inputs={name: _text(value) for name, value in state["inputs"].items()},
            form=form,
            shown=show_form(schema, form),
        )
        return Request(
            model=self.model,
            messages=(Message.user(prompt),),
            config=Config(response_format=wire, probabilities="required"),
        )


def _property(question: Mapping[str, Any]) -> dict[str, Any]:
    if question["type"] == "noul":
        return {"type": "boolean"}
    if question["type"] == "score":
        return {"type": "integer", "enum": list(range(len(question["criteria"])))}
    return {"type": "string", "enum": [str(key) for key in question["criteria"]]}


def _instructions(state: Mapping[str, Any], questions: Mapping[str, Any]) -> str:
    lines = [str(state["instructions"])]
    for name, question in questions.items():
        lines.append(f"{name}: {_text(question['instructions'])}")
        lines += _levels(question.get("criteria"))
    lines += [f"Example: {compact(demo)}" for demo in state.get("demos", ())]
    return "\n".join(lines)


def _levels(criteria: Any) -> list[str]:
    """One line an answer that has a description."""
    pairs = criteria.items() if isinstance(criteria, Mapping) else enumerate(criteria or ())
    return [f"{key}: {_text(text)}" for key, text in pairs if text is not None]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else compact(value)


def _evidence(response: Response, questions: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = response.probabilities
    if found is None or found.keys() != questions.keys():
        raise OutputError(
            f"the LM {response.model!r} gave no probabilities of {', '.join(questions)}",
            raw=response.text or "",
            finish_reason=response.finish_reason,
        )
    return {
        name: {"noul": found[name]["true"]}
        if question["type"] == "noul"
        else {"probabilities": found[name], "confidence": max(found[name].values())}
        for name, question in questions.items()
    }
