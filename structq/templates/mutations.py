"""A mutation template: method text inside the packaged prompt, or a whole prompt of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from structq.errors import TemplateError
from structq.schemas.forms import Form

from .environment import MAX_TEMPLATE_CHARS, MAX_USES, Rules, compile_template
from .library import read_template
from .marks import check_text, choose_heading_mark, choose_mark

__all__ = ["Mutation", "Wanted", "check_mutation", "compile_mutation", "is_method"]

_ROW = frozenset({"instruction", "response"})
_WHOLE = Rules(fields=_ROW | {"form", "mark"}, required=_ROW)
_FRAME = Rules(fields=_ROW | {"method", "form", "mark", "limits"}, required=_ROW)
_HEADINGS = ("Instruction", "Response", "Rewritten response")
_JINJA_FIELD = re.compile(r"\{\{[-+]?\s*(?:instruction|response)\b")
_ANGLE_FIELD = re.compile(r"<(PROMPT|RESPONSE)>")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The answer that a prompt has to ask for."""

    form: Form
    """How it is written."""
    shown: str
    """The form as one line."""
    limits: str = ""
    """What it must keep to, in sentences."""
    adds: bool = False
    """It is the response as it is, with something added."""

    @property
    def frame(self) -> str:
        """The packaged prompt."""
        adds = self.adds and self.form != "compact"
        return read_template(f"forms/{self.form}/{'add' if adds else 'evolve'}")

    @property
    def reply_line(self) -> str:
        """The last line of a whole prompt that does not show the form itself."""
        limits = f"{self.limits} " if self.limits else ""
        if self.form == "text":
            return f"{limits}Reply with the rewritten response and nothing else."
        return f"{limits}Reply with JSON in this form and nothing else: {self.shown}"


class Mutation(Protocol):
    """A checked mutation template."""

    def __call__(self, *, instruction: str, response: str, wanted: Wanted) -> str:
        """The prompt; every text of the row stands in it as it is."""
        ...


def check_mutation(text: object, name: str) -> str:
    """The template text, if it can be rendered.

    Raises:
        TemplateError: As :func:`compile_mutation`; the message calls the template by its name.
    """
    where = f"mutation_templates[{name!r}]"
    if not isinstance(text, str):
        raise TemplateError(f"{where}: must be text, found {type(text).__name__}", field=where)
    compile_mutation(text, where)
    return text


@lru_cache(maxsize=512)
def compile_mutation(text: str, where: str = "mutation template") -> Mutation:
    """The way to render a mutation template; the last 512 are kept.

    With the Jinja fields ``{{ instruction }}`` and ``{{ response }}``, or with distilabel's
    ``<PROMPT>`` and ``<RESPONSE>``, the text is the whole prompt. Without any of them it is method
    text, a value of the packaged prompt: its braces stay braces.

    Raises:
        TemplateError: Empty, too long, one of the two fields without the other, an unknown field,
            or any syntax but plain fields.
    """
    if not text.strip():
        raise TemplateError(f"{where}: is empty", field=where)
    if len(text) > MAX_TEMPLATE_CHARS:
        found = f"{len(text)} characters (at most {MAX_TEMPLATE_CHARS})"
        raise TemplateError(f"{where}: too long: {found}", field=where)
    check_text(text, where)
    if _JINJA_FIELD.search(text):
        return _jinja_prompt(text, where)
    if _ANGLE_FIELD.search(text):
        return _angle_prompt(text, where)
    return _method_prompt(text)


def is_method(text: str) -> bool:
    """Whether a mutation template is method text, and not a whole prompt."""
    return not (_JINJA_FIELD.search(text) or _ANGLE_FIELD.search(text))


def _method_prompt(method: str) -> Mutation:
    def render(*, instruction: str, response: str, wanted: Wanted) -> str:
        return compile_template(wanted.frame, _FRAME, "evolve.jinja2").render(
            method=method,
            instruction=instruction,
            response=response,
            form=wanted.shown,
            mark=_mark(instruction, response, wanted),
            limits=f" {wanted.limits}" if wanted.limits else "",
        )

    return render


def _jinja_prompt(text: str, where: str) -> Mutation:
    template = compile_template(text, _WHOLE, where)
    shows_form = re.search(r"\{\{[-+]?\s*form\b", text) is not None

    def render(*, instruction: str, response: str, wanted: Wanted) -> str:
        form = wanted.reply_line if wanted.form == "text" else wanted.shown
        mark = _mark(instruction, response, wanted)
        prompt = template.render(instruction=instruction, response=response, form=form, mark=mark)
        return prompt if shows_form else _with_reply_line(prompt, text, wanted)

    return render


def _angle_prompt(text: str, where: str) -> Mutation:
    parts = _ANGLE_FIELD.split(text)
    for name in ("PROMPT", "RESPONSE"):
        uses = parts[1::2].count(name)
        if not 1 <= uses <= MAX_USES:
            fault = (
                f"lacks the field <{name}>"
                if not uses
                else f"names <{name}> {uses} times (at most {MAX_USES})"
            )
            raise TemplateError(f"{where}: {fault}", field=where)

    def render(*, instruction: str, response: str, wanted: Wanted) -> str:
        # One pass over the parts of the template: an instruction that holds "<RESPONSE>" keeps it.
        values = {"PROMPT": instruction, "RESPONSE": response}
        prompt = "".join(values[part] if i % 2 else part for i, part in enumerate(parts))
        return _with_reply_line(prompt, text, wanted)

    return render


def _with_reply_line(prompt: str, template: str, wanted: Wanted) -> str:
    if wanted.form != "text" and wanted.shown in template:
        return prompt
    return f"{prompt}\n{wanted.reply_line}"


def _mark(instruction: str, response: str, wanted: Wanted) -> str:
    if wanted.form == "compact":
        return choose_mark((instruction, response))
    return choose_heading_mark((instruction, response), _HEADINGS)
