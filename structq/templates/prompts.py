"""Row values in, prompt out; knows nothing of signatures and schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from jinja2 import UndefinedError

from structq.errors import TemplateError

from .environment import Rules, compile_template
from .library import read_template
from .marks import check_text, choose_mark
from .mutations import compile_mutation

__all__ = ["check_score_template", "render_evolve", "render_fields", "render_score"]

_SCORE = Rules(
    fields=frozenset({"instruction", "responses", "low", "high", "criteria", "form", "mark"}),
    required=frozenset({"instruction", "responses"}),
    loop_over="responses",
)
_FIELDS = Rules(fields=frozenset({"instructions", "form", "sections"}), loop_over="sections")


def render_evolve(template: str, *, instruction: str, response: str, form: str) -> str:
    """The prompt that asks for an evolved response.

    Args:
        template: A mutation template: method text, or a whole prompt.
        instruction: The instruction of the row.
        response: The response to evolve; may be empty.
        form: The JSON form of the answer.

    Raises:
        TemplateError: The template cannot be rendered.
        InputError: A value is not text, or holds a lone surrogate.
    """
    mutation = compile_mutation(template)
    texts = (check_text(instruction, "instruction"), check_text(response, "response"))
    return mutation(instruction=texts[0], response=texts[1], form=form, mark=choose_mark(texts))


def render_score(
    criteria: str,
    *,
    instruction: str,
    responses: Sequence[str],
    low: int,
    high: int,
    form: str,
    template: str | None = None,
    as_text: bool = False,
) -> str:
    """The prompt that asks for one score a response, in order.

    Args:
        criteria: What to judge by: a value, never a template.
        instruction: The instruction of the row.
        responses: The candidates, in order.
        low: The worst score.
        high: The best score.
        form: The form of the answer.
        template: Jinja2 text in place of the packaged prompt.
        as_text: Ask for lines of text in place of JSON.

    Raises:
        TemplateError: The template cannot be rendered.
        InputError: A value is not text, or holds a lone surrogate.
    """
    texts = [check_text(instruction, "instruction")]
    texts += [check_text(response, f"responses[{i}]") for i, response in enumerate(responses)]
    source = read_template("score_text" if as_text else "score") if template is None else template
    try:
        prompt = compile_template(source, _SCORE, "template").render(
            criteria=criteria, instruction=instruction, responses=texts[1:],
            low=low, high=high, form=form, mark=choose_mark(texts),
        )  # fmt: skip
    except UndefinedError as error:  # a loop's own names, used outside of the loop
        raise TemplateError(f"template: {error}", field="template") from error
    # The packaged loop ends with a newline; a caller's template may end with the text of a row.
    return prompt if template is not None else prompt.removesuffix("\n")


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
    render_score("", instruction="", responses=("", ""), low=1, high=3, form="", template=text)
    return text


def render_fields(instructions: str, *, inputs: Mapping[str, str], form: str) -> str:
    """The prompt of any other signature: its instructions, the form, and each input in its section.

    Raises:
        InputError: A value holds a lone surrogate.
    """
    for name, value in inputs.items():
        check_text(value, name)
    mark = choose_mark(inputs.values(), tuple(re.escape(name) for name in inputs))
    sections = [f"[{name}{mark}]\n{value}\n[/{name}{mark}]" for name, value in inputs.items()]
    template = compile_template(read_template("generic"), _FIELDS, "generic.jinja2")
    return template.render(instructions=instructions, form=form, sections=sections).removesuffix(
        "\n"
    )
