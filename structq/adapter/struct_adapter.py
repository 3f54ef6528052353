"""The DSPy adapter: signature and inputs to a request, response to checked values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
from dspy.lm15 import LM15Error, Request, Response

from structq.errors import InputError
from structq.schemas import AnswerFormatError, Form, outputs_of, to_json
from structq.signatures import registered, score_call
from structq.templates import LEAD

from .answers import Answer, read_answer, read_lines
from .around import Asked, aoverhear, areported, listening, overhear, reported, unstreamed
from .failures import AnswerError
from .kept import KeptAnswer
from .messages import (
    Style,
    call_signature,
    examples_for,
    is_evolve,
    line_slots,
    render_answer,
    render_demos,
    render_prompt,
)
from .requests import (
    ask,
    ask_async,
    best_form,
    build_request,
    call_settings,
    constrains_text,
    format_for,
    format_for_async,
    measures_labels,
    top_logprobs,
)

__all__ = ["StructAdapter"]

_CORRECTION = (
    "That reply cannot be used: {reason}. Reply again, in the form that was asked for and with "
    "nothing else."
)

Signature = type[dspy.Signature]


class StructAdapter(dspy.Adapter):  # type: ignore[misc]
    """Asks for an answer under a strict schema and takes nothing else.

    Serves ``EvolveResponse`` and ``ScoreResponses`` with their own prompts, and any other signature
    with text and JSON inputs with a plain one. An answer is never repaired: cut off or invalid, it
    is an ``AnswerError``, which is an ``OutputError`` and, for DSPy's optimizers, an
    ``AdapterParseError``.

    Args:
        system_prompt: Text of the system message; none by default.
        score_template: Jinja2 text in place of the packaged score prompt.
        as_text: Ask for scores as lines of text, with no schema.
        partial: Take lines that leave a response without a score.
        form: How answers are written, see `structq.schemas.Form`; by default as the LM says.
        limits: What an evolved response must keep to, in sentences for the LM.
        rules: What an evolved response must be, named as in `structq.decoding.TextRules`: held to
            while decoding on an LM that can, else for ``check`` to find.
        check: From the output fields to what is wrong with them, or ``None``.
        broken: Earlier replies to this call with what was wrong with each: shown to the LM.
        on_answer: Called with every answer as it came, before it is checked. This is how label
            distributions and token counts reach a module: predictions hold output fields and
            nothing else, so that traces and demos stay clean.
        around: The adapter in whose place this one stands: what it would have added to a call is
            said to the LM, and its callbacks are called.

    Example:
        >>> with dspy.context(adapter=StructAdapter()):
        ...     dspy.Predict(EvolveResponse)(instruction="Name a prime.", response="9")
    """

    def __init__(
        self,
        *,
        system_prompt: str | None = None,
        score_template: str | None = None,
        as_text: bool = False,
        partial: bool = True,
        form: Form | None = None,
        limits: str = "",
        rules: Mapping[str, Any] | None = None,
        check: Callable[[Mapping[str, Any]], str | None] | None = None,
        broken: Sequence[tuple[str, str]] = (),
        on_answer: Callable[[Answer], None] | None = None,
        around: dspy.Adapter | None = None,
    ) -> None:
        super().__init__(callbacks=around.callbacks if around else None)
        self.around = around
        self.hints: tuple[str, ...] = ()
        self.system_prompt = system_prompt
        self.score_template = score_template
        self.as_text = as_text
        self.partial = partial
        self.form = form
        self.limits = limits
        self.rules = dict(rules or {})
        self.check = check
        self.broken = broken
        self.on_answer = on_answer

    def __call__(
        self,
        lm: dspy.BaseLM,
        lm_kwargs: Mapping[str, Any],
        signature: Signature,
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """The output fields of each answer, checked.

        Raises:
            InputError: An input is missing or cannot be sent.
            OutputError: The answer was cut off or breaks the schema.
            LMError: The LM could not answer.
        """
        asked = overhear(self.around, signature, demos, inputs)
        self.hints = asked.hints
        signature, style = call_signature(signature, asked.inputs), self._style(lm)
        strict = self._strict(signature, style)
        wire = None if strict is None else format_for(lm, strict)
        request = self._request(lm, lm_kwargs, signature, asked, style, wire)
        n_answers, settings = call_settings(lm, lm_kwargs)
        answers, listeners = [], listening()
        for i in range(n_answers):
            kept = KeptAnswer(lm, request, _one(settings, i))
            if (response := kept.find()) is None:
                with unstreamed(listeners):
                    response = ask(lm, request, kept.settings)
            answers.append(self._read(lm, signature, style, request, response))
            kept.keep(response)
        if listeners:
            reported(listeners, answers[0])
        return answers

    async def acall(
        self,
        lm: dspy.BaseLM,
        lm_kwargs: Mapping[str, Any],
        signature: Signature,
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """As a call, awaiting the LM."""
        asked = await aoverhear(self.around, signature, demos, inputs)
        self.hints = asked.hints
        signature, style = call_signature(signature, asked.inputs), self._style(lm)
        strict = self._strict(signature, style)
        wire = None if strict is None else await format_for_async(lm, strict)
        request = self._request(lm, lm_kwargs, signature, asked, style, wire)
        n_answers, settings = call_settings(lm, lm_kwargs)
        answers, listeners = [], listening()
        for i in range(n_answers):
            kept = KeptAnswer(lm, request, _one(settings, i))
            if (response := kept.find()) is None:
                with unstreamed(listeners):
                    response = await ask_async(lm, request, kept.settings)
            answers.append(self._read(lm, signature, style, request, response))
            kept.keep(response)
        if listeners:
            await areported(listeners, answers[0])
        return answers

    def format(
        self, signature: Signature, demos: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The messages of a call: system (where set), demos, prompt, and what was wrong before.

        Without a form of its own, the adapter asks as suits the LM that DSPy is configured with.
        """
        return self._messages(signature, demos, inputs, self._style(dspy.settings.lm))

    def _messages(
        self,
        signature: Signature,
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
        style: Style,
    ) -> list[dict[str, Any]]:
        signature = call_signature(signature, inputs)
        messages = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        shown = demos or examples_for(signature, style)
        if shown:
            messages += render_demos(signature, shown, style)
        messages.append({"role": "user", "content": render_prompt(signature, inputs, style)})
        for raw, reason in self.broken:
            messages.append({"role": "assistant", "content": raw or "-"})
            messages.append({"role": "user", "content": _CORRECTION.format(reason=reason)})
        return messages

    def parse(self, signature: Signature, completion: str) -> dict[str, Any]:
        """The output fields of an answer.

        Raises:
            OutputError: The text is not exactly an answer of the signature's schema.
        """
        return self._parse(signature, completion, self._style(dspy.settings.lm))

    def _parse(self, signature: Signature, completion: str, style: Style) -> dict[str, Any]:
        call = score_call(signature)
        if self.as_text and call is not None:
            found = read_lines(completion, call.n_scores, call.scale)
            missing = [f"response {i}: {s.reason}" for i, s in enumerate(found, 1) if s.reason]
            if missing and not self.partial:
                raise self._error(signature, "; ".join(missing), completion, None)
            return {"scores": [None if s.value is None else int(s.value) for s in found]}
        field = style.text_field(signature)
        try:
            answer = completion if field is None else to_json({field: self._stripped(completion)})
            fields = outputs_of(signature).read(answer)
        except (AnswerFormatError, UnicodeError) as fault:
            raise self._error(signature, str(fault), completion, None) from fault
        if is_evolve(signature) and not fields["evolved_response"].strip():
            raise self._error(signature, "the evolved response is blank", completion, None)
        return fields

    def _stripped(self, text: str) -> str:
        """A text without the white space around it, but for that of a literal at its ends."""
        literals = self.rules.get("literals", ())
        stripped = text.strip()
        return stripped if all(literal in stripped for literal in literals) else text

    def format_finetune_data(
        self,
        signature: Signature,
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
    ) -> dict[str, list[Any]]:
        """The messages of a call with the answer that it should get."""
        signature = call_signature(signature, inputs)
        answer = render_answer(signature, outputs, self._style(dspy.settings.lm))
        return {
            "messages": [
                *self.format(signature, demos, inputs),
                {"role": "assistant", "content": answer},
            ]
        }

    def _style(self, lm: dspy.BaseLM | None) -> Style:
        return Style(
            form=self.form or best_form(lm),
            limits=self.limits,
            hints=self.hints,
            adds=bool(self.rules.get("anchored")),
            template=self.score_template,
            as_text=self.as_text,
        )

    def _strict(self, signature: Signature, style: Style) -> dict[str, Any] | None:
        """The schema of the answer as a request carries it; ``None`` where the answer is text."""
        if self._is_text(signature) or style.text_field(signature) is not None:
            return None
        return outputs_of(signature).response_format

    def _request(
        self,
        lm: dspy.BaseLM,
        lm_kwargs: Mapping[str, Any],
        signature: Signature,
        asked: Asked,
        style: Style,
        wire: dict[str, Any] | None,
    ) -> Request:
        if self.callbacks or dspy.settings.callbacks:  # who listens to formats hears them
            with dspy.context(lm=lm):
                messages = self.format(signature, asked.demos, asked.inputs)
        else:
            messages = self._messages(signature, asked.demos, asked.inputs, style)
        extensions = self._extensions(lm, signature, style, wire)
        scores = wire is not None and score_call(signature) is not None
        top = top_logprobs(lm) if scores and not measures_labels(lm) else None
        try:
            return build_request(
                lm, lm_kwargs, messages, wire, extensions=extensions, top_logprobs=top
            )
        except (
            TypeError,
            ValueError,
            LM15Error,
        ) as error:  # an option that is wrong or cannot be carried
            raise InputError(f"LM options: {error}", field="lm") from error

    def _extensions(
        self, lm: dspy.BaseLM, signature: Signature, style: Style, wire: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """What only engines of structq are asked for."""
        measures = self._measures(lm, signature)
        if not constrains_text(lm):
            return {"measure": True} if wire and measures else None
        asked: dict[str, Any] = {"spaced": style.form != "compact"} if wire else {}
        if measures and (call := score_call(signature)):
            asked |= {"measure": True} if wire else {"slots": line_slots(call)}
        elif rules := self._rules(signature, style):
            asked["text"] = rules
        return asked or None

    def _measures(self, lm: dspy.BaseLM, signature: Signature) -> bool:
        return score_call(signature) is not None and measures_labels(lm)

    def _rules(self, signature: Signature, style: Style) -> dict[str, Any]:
        """The rules of an answer that is one text."""
        field = style.text_field(signature)
        rules = dict(self.rules) if is_evolve(signature) else {}
        if style.adds and style.form != "compact" and rules:
            rules["lead"] = LEAD
        if field is None:
            return {**rules, "field": "evolved_response"} if rules else {}
        if most := outputs_of(signature).max_chars:
            rules["max_chars"] = most
        return rules

    def _read(
        self,
        lm: dspy.BaseLM,
        signature: Signature,
        style: Style,
        request: Request,
        response: Response,
    ) -> dict[str, Any]:
        call = score_call(signature)
        wanted = call if call and (not self.as_text or self._measures(lm, signature)) else None
        n_scores, labels = (wanted.n_scores, wanted.scale) if wanted else (0, ())
        raw, finish = response.text or "", response.finish_reason
        try:
            answer = read_answer(
                response,
                request,
                n_scores=n_scores,
                labels=labels,
                form=style.form,
                constrained=constrains_text(lm),
                masked=getattr(lm, "logprobs_masked", None),
            )
        except AnswerFormatError as fault:
            raise self._error(signature, str(fault), raw, finish) from fault
        if self.on_answer is not None:
            self.on_answer(answer)
        if reason := self._useless(signature, answer):
            raise self._error(signature, reason, answer.raw, finish)
        try:
            if self.callbacks or dspy.settings.callbacks:
                with dspy.context(lm=lm):
                    fields = self.parse(signature, answer.raw)
            else:
                fields = self._parse(signature, answer.raw, style)
        except AnswerError as error:
            error.finish_reason = finish
            raise
        if self.check is not None and (found := self.check(fields)):
            raise self._error(signature, found, answer.raw, finish)
        return fields

    def _useless(self, signature: Signature, answer: Answer) -> str | None:
        """Why an answer need not be read."""
        if answer.refused:
            return "the LM refused to answer"
        if answer.finish_reason not in ("stop", "tool_call"):
            return _FINISH.get(
                answer.finish_reason, f"the LM stopped with {answer.finish_reason!r}"
            )
        if answer.elsewhere is not None:
            return (
                f"the answer is empty: its text came as {answer.elsewhere} "
                "(reasoning='parse' takes an answer from the reasoning)"
            )
        if not answer.raw.strip() and not self._is_text(signature):
            return "the answer is empty"
        return None

    def _is_text(self, signature: Signature) -> bool:
        return self.as_text and score_call(signature) is not None

    def _error(
        self, signature: Signature, reason: str, raw: str, finish: str | None
    ) -> AnswerError:
        # Optimizers look for the predictor by the signature that it registers.
        return AnswerError(reason, raw=raw, finish_reason=finish, signature=registered(signature))


_FINISH = {
    "length": "the answer was cut off at the token limit",
    "content_filter": "a content filter stopped the answer",
}


def _one(settings: dict[str, Any], i: int) -> dict[str, Any]:
    """Call settings of answer ``i``: the cache must not answer a later one with the first."""
    return (
        settings if i == 0 else {**settings, "rollout_id": f"{settings.get('rollout_id', '')}:{i}"}
    )
