"""Signature, demos and inputs as the messages of one call."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import dspy
from pydantic_core import to_jsonable_python

from structq.errors import InputError
from structq.schemas import Form, Outputs, outputs_of, to_json
from structq.signatures import ScoreCall, registered, score_call, score_signature
from structq.templates import (
    Wanted,
    default_criteria,
    evolve_example,
    is_method,
    render_evolve,
    render_fields,
    render_score,
    score_examples,
)

__all__ = [
    "Style",
    "call_signature",
    "examples_for",
    "is_evolve",
    "line_slots",
    "render_answer",
    "render_demos",
    "render_prompt",
    "text_form",
]

Signature = type[dspy.Signature]
Fields = Mapping[str, Any]


class Style(NamedTuple):
    """How an answer is asked for."""

    form: Form = "json"
    """How the LM writes answers."""
    limits: str = ""
    """What an evolved response must keep to, in sentences."""
    hints: tuple[str, ...] = ()
    """What somebody else has to say to the LM, a paragraph each."""
    adds: bool = False
    """An evolved response begins with the response as it is."""
    template: str | None = None
    """Jinja2 text in place of the packaged score prompt."""
    as_text: bool = False
    """Scores as lines of text, and not as JSON."""

    def text_field(self, signature: Signature) -> str | None:
        """The output whose text is the whole answer; ``None`` where the answer is another."""
        return outputs_of(signature).text_field if self.form == "text" else None

    def shown(self, outputs: Outputs) -> str:
        """The form of a JSON answer as one line."""
        return outputs.compact_form if self.form == "compact" else outputs.form


_OURS = {("instruction", "response", "evolved_response"), ("instruction", "responses", "scores")}
_OUTPUTS: WeakKeyDictionary[Signature, str] = WeakKeyDictionary()


def call_signature(signature: Signature, inputs: Fields) -> Signature:
    """The signature of this very call: exactly K scores, where the given one leaves K open."""
    responses = inputs.get("responses")
    if (
        score_call(signature) is None
        and _asks(signature) == "scores"
        and isinstance(responses, list | tuple)
    ):
        return score_signature(signature, ScoreCall(len(responses), None))
    return signature


def render_prompt(signature: Signature, inputs: Fields, style: Style) -> str:
    """The user message of one call.

    Raises:
        InputError: An input is missing, is not text, or cannot be sent.
        TemplateError: The signature's instructions are a template that cannot be rendered.
    """
    return "\n\n".join((_prompt(signature, inputs, style), *style.hints))


def _prompt(signature: Signature, inputs: Fields, style: Style) -> str:
    kind, outputs = _asks(signature), outputs_of(signature)
    if kind == "evolved_response":
        return render_evolve(
            signature.instructions,
            instruction=_input(inputs, "instruction"),
            response=_input(inputs, "response"),
            wanted=Wanted(
                form=style.form, shown=style.shown(outputs), limits=style.limits, adds=style.adds
            ),
        )
    if kind == "scores" and (call := score_call(signature)):
        return render_score(
            signature.instructions,
            instruction=_input(inputs, "instruction"),
            responses=_input(inputs, "responses"),
            scale=(call.scale[0], call.scale[-1]),
            form=style.form,
            shown=text_form(call.n_responses) if style.as_text else style.shown(outputs),
            template=style.template,
            as_lines=style.as_text,
            prefers=call.prefers,
        )
    values = {
        name: _as_text(name, inputs[name])
        for name in signature.input_fields
        if inputs.get(name) is not None
    }
    field = style.text_field(signature)
    form: Form = "json" if style.form == "text" and field is None else style.form
    shown = style.shown(outputs) if field is None else field.replace("_", " ")
    return render_fields(signature.instructions, inputs=values, form=form, shown=shown)


def render_demos(
    signature: Signature, demos: Iterable[Fields], style: Style
) -> list[dict[str, str]]:
    """Earlier turns, a pair for each demo that has every field; K may differ between demos."""
    turns = []
    style = style._replace(limits="", hints=())  # those of this row
    for demo in demos:
        if any(demo.get(name) is None for name in signature.fields):
            continue
        own = _demo_signature(signature, demo)
        prompt = render_prompt(own, demo, style)
        turns.append({"role": "user", "content": prompt})
        turns.append({"role": "assistant", "content": render_answer(own, demo, style)})
    return turns


def examples_for(signature: Signature, style: Style) -> list[dict[str, Any]]:
    """Demos that structq brings itself, where a caller has given none.

    Only in form ``text``, which servers are not asked for unless the caller says so, and only in
    the packaged prompts: scores under the default criteria, evolutions by method text. Examples
    might contradict others.
    """
    call = score_call(signature)
    if style.form != "text" or style.as_text or style.template is not None:
        return []
    if call is not None and call.prefers:
        return []
    if call is not None and signature.instructions == default_criteria():
        examples = score_examples(call.n_responses, call.scale)
        return [
            {"instruction": one.instruction, "responses": [*one.responses], "scores": [*one.scores]}
            for one in examples
        ]
    if is_evolve(signature) and is_method(signature.instructions):
        return [evolve_example(adds=style.adds)._asdict()]
    return []


def render_answer(signature: Signature, outputs: Fields, style: Style) -> str:
    """An answer with these outputs, as the LM should have written it."""
    values = {name: to_jsonable_python(outputs[name]) for name in signature.output_fields}
    if style.as_text and _asks(signature) == "scores":
        return "\n".join(f"[{i}] Score: {score}" for i, score in enumerate(values["scores"], 1))
    field = style.text_field(signature)
    return to_json(values, style.form) if field is None else str(values[field])


def is_evolve(signature: Signature) -> bool:
    """Whether the signature asks for an evolved response."""
    return _asks(signature) == "evolved_response"


def text_form(n_responses: int) -> str:
    """The text form of K scores."""
    return "\n".join(f"[{i + 1}] Score: s{i + 1}" for i in range(n_responses))


def line_slots(call: ScoreCall) -> dict[str, list[str]]:
    """The text form of a score call as the fixed texts around its slots, and their labels."""
    heads = [f"[{i + 1}] Score: " for i in range(call.n_responses)]
    texts = [heads[0], *(f"\n{head}" for head in heads[1:]), ""]
    return {"texts": texts, "labels": [str(label) for label in call.scale]}


def _demo_signature(signature: Signature, demo: Fields) -> Signature:
    call = score_call(signature)
    if call is None or len(demo["responses"]) == call.n_responses:
        return signature
    return score_signature(registered(signature), call.of(len(demo["responses"])))


def _asks(signature: Signature) -> str:
    """The output of a signature of ours, known by its fields: optimizers make new classes of it."""
    found = _OUTPUTS.get(signature)
    if found is None:
        fields = tuple(signature.fields)
        found = _OUTPUTS[signature] = fields[-1] if fields in _OURS else ""
    return found


def _input(inputs: Fields, name: str) -> Any:
    if inputs.get(name) is None:
        raise InputError(f"{name}: is missing", field=name)
    return inputs[name]


def _as_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dspy.History | dspy.Type):
        raise InputError(
            f"{name}: {type(value).__name__} cannot be sent (text and JSON values can)", field=name
        )
    try:
        return json.dumps(to_jsonable_python(value), ensure_ascii=False)
    except ValueError as error:
        raise InputError(f"{name}: cannot be written as JSON: {error}", field=name) from error
