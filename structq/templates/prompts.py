"""Row values in, prompt out; knows nothing of signatures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from jinja2 import UndefinedError

from structq.errors import TemplateError
from structq.schemas.forms import Form

from .environment import Rules, compile_template
from .library import criteria_for, read_template
from .marks import check_text, choose_heading_mark, choose_mark
from .mutations import Wanted, compile_mutation

__all__ = [
    "check_score_template",
    "render_evolve",
    "render_fields",
    "render_score",
    "score_template",
]

_HEADINGS = ("Instruction", "Response")
_SCORE = Rules(
    fields=frozenset({"instruction", "responses", "low", "high", "criteria", "form", "mark"}),
    required=frozenset({"instruction", "responses"}),
    loop_over="responses",
)
_FIELDS = Rules(fields=frozenset({"instructions", "form", "sections"}), loop_over="sections")


def render_evolve(template: str, *, instruction: str, response: str, wanted: Wanted) -> str:
    """The prompt that asks for an evolved response.

    Args:
        template: A mutation template: method text, or a whole prompt.
        instruction: The instruction of the row.
        response: The response to evolve; may be empty.
        wanted: What the answer must look like.

    Raises:
        TemplateError: The template cannot be rendered.
        InputError: A value is not text, or holds a lone surrogate.
    """
    mutation = compile_mutation(template)
    check_text(instruction, "instruction")
    check_text(response, "response")
    return mutation(instruction=instruction, response=response, wanted=wanted)


def render_score(
    criteria: str,
    *,
    instruction: str,
    responses: Sequence[str],
    scale: tuple[int, int],
    form: Form,
    shown: str,
    template: str | None = None,
    as_lines: bool = False,
    prefers: bool = False,
) -> str:
    """The prompt that asks for one score a response, in order, or for the better response.

    Args:
        criteria: What to judge by: a value, never a template.
        instruction: The instruction of the row.
        responses: The candidates, in order.
        scale: The worst score and the best.
        form: How the LM writes answers.
        shown: The form of this answer as one line.
        template: Jinja2 text in place of the packaged prompt.
        as_lines: Ask for lines of text in place of JSON.
        prefers: Ask for the number of the better response.

    Raises:
        TemplateError: The template cannot be rendered.
        InputError: A value is not text, or holds a lone surrogate.
    """
    texts = [check_text(instruction, "instruction")]
    texts += [check_text(response, f"responses[{i}]") for i, response in enumerate(responses)]
    if template is not None:
        source = template
    elif prefers:
        source = read_template("forms/json/prefer")
    else:
        source = _score_template(form, as_lines=as_lines)
    try:
        prompt = compile_template(source, _SCORE, "template").render(
            criteria=criteria_for(criteria, form), instruction=instruction, responses=texts[1:],
            low=scale[0], high=scale[1], form=shown, mark=_mark(texts, form),
        )  # fmt: skip
    except UndefinedError as error:  # a loop's own names, used outside of the loop
        raise TemplateError(f"template: {error}", field="template") from error
    # The packaged loop ends with a newline; a caller's template may end with the text of a row.
    return prompt if template is not None else prompt.removesuffix("\n")


def score_template(*, as_lines: bool) -> str:
    """The packaged score prompt for LMs at large."""
    return _score_template("text", as_lines=as_lines)


def _score_template(form: Form, *, as_lines: bool) -> str:
    folder = "compact" if form == "compact" else "text" if as_lines else "json"
    return read_template(f"forms/{folder}/{'score_lines' if as_lines else 'score'}")


def _mark(texts: Sequence[str], form: Form) -> str:
    return choose_mark(texts) if form == "compact" else choose_heading_mark(texts, _HEADINGS)


def check_score_template(text: str) -> str:
    """The template, if it can be rendered as a score prompt.

    Raises:
        TemplateError: It does not parse, lacks ``instruction`` or ``responses``, names an unknown
            field, or uses more than output and one loop over the responses.
    """
    if not isinstance(text, str):
        raise TemplateError(
            f"template: must be text, found {type(text).__name__}", field="template"
        )
    render_score(
        "", instruction="", responses=("", ""), scale=(1, 3), form="json", shown="", template=text
    )
    return text


def render_fields(instructions: str, *, inputs: Mapping[str, str], form: Form, shown: str) -> str:
    """The prompt of any other signature: its instructions, the form, and each input in its section.

    Args:
        instructions: Of the signature.
        inputs: Name to text.
        form: How the LM writes answers.
        shown: The form of this answer as one line; where it is plain text, its name.

    Raises:
        InputError: A value holds a lone surrogate.
    """
    for name, value in inputs.items():
        check_text(value, name)
    if form == "compact":
        mark = choose_mark(inputs.values(), tuple(re.escape(name) for name in inputs))
        sections = [f"[{name}{mark}]\n{value}\n[/{name}{mark}]" for name, value in inputs.items()]
    else:
        mark = choose_heading_mark(inputs.values(), inputs)
        sections = [f"{name}{mark}:\n{value}" for name, value in inputs.items()]
    template = compile_template(read_template(f"forms/{form}/generic"), _FIELDS, "generic.jinja2")
    return template.render(instructions=instructions, form=shown, sections=sections).removesuffix(
        "\n"
    )
