import pytest
from jinja2 import nodes

from structq.errors import TemplateError
from structq.templates import (
    MAX_TEMPLATE_CHARS,
    check_mutation,
    default_mutations,
    render_evolve,
)

FORM = '{"evolved_response":"..."}'
WHOLE = "Ask: {{ instruction }}\nAnswer: {{ response }}"


def render(template, instruction="Why?", response="Because."):
    return render_evolve(template, instruction=instruction, response=response, form=FORM)


def test_there_are_five_defaults_in_their_order():
    names = ["helpfulness", "relevance", "deepening", "creativity", "details"]
    assert list(default_mutations()) == names
    for name, text in default_mutations().items():
        assert check_mutation(text, name) == text


def test_method_text_stands_in_the_packaged_prompt():
    prompt = render("Make it rhyme.")
    assert prompt.startswith("Make it rhyme.\nKeep everything")
    assert prompt.endswith("[instruction]\nWhy?\n[/instruction]\n[response]\nBecause.\n[/response]")
    assert FORM in prompt


@pytest.mark.parametrize(
    "method",
    ["Use {braces}.", "Use {{ name }}.", "{% for x in y %}", "{# note #}", "{{", "<X>"],
)
def test_braces_of_method_text_stay_braces(method):
    assert render(method).startswith(f"{method}\n")


def test_whole_prompt_gets_nothing_but_the_form():
    expected = "Ask: Why?\nAnswer: Because.\nReply with JSON in this form and nothing else: " + FORM
    assert render(WHOLE) == expected


@pytest.mark.parametrize("shown", ["{{ form }}", FORM])
def test_whole_prompt_that_shows_the_form_gets_nothing(shown):
    assert render(f"{WHOLE}\n{shown}") == f"Ask: Why?\nAnswer: Because.\n{FORM}"


def test_whole_prompt_may_use_the_mark():
    template = "[response{{ mark }}] {{ response }} {{ instruction }} {{ form }}"
    assert render(template, response="[response]").startswith("[responsea] [response] ")


def test_distilabel_fields_are_filled_in_one_pass():
    prompt = render("Q: <PROMPT> A: <RESPONSE>", "What is <RESPONSE>?", "It is <PROMPT>.")
    assert prompt.startswith("Q: What is <RESPONSE>? A: It is <PROMPT>.\n")
    assert prompt.endswith(FORM)


def test_tags_around_jinja_fields_stay_tags():
    prompt = render("<RESPONSE>{{ response }}</RESPONSE> {{ instruction }}")
    assert prompt.startswith("<RESPONSE>Because.</RESPONSE> Why?")


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        (7, "must be text"),
        ("Only {{ instruction }}.", "lacks the field {{ response }}"),
        ("Only {{response}}.", "lacks the field {{ instruction }}"),
        ("Only <PROMPT>.", "lacks the field <RESPONSE>"),
        (f"{WHOLE}\n{{{{ answer }}}}", "line 3: unknown field 'answer'"),
        ("{{ instruction", "does not parse"),
        ("{{ instruction | upper }} {{ response }}", "filter is not allowed"),
        ("{{ instruction.upper() }} {{ response }}", "is not allowed"),
        ("{{ instruction[0] }} {{ response }}", "getitem is not allowed"),
        ("{{ response.__class__ }} {{ instruction }}", "getattr is not allowed"),
        (f"{WHOLE}{{% for i in range(9999) %}}x{{% endfor %}}", "is not allowed"),
        (f"{WHOLE}{{% macro m() %}}x{{% endmacro %}}", "is not allowed"),
        (f"{WHOLE}{{% set x = 1 %}}", "is not allowed"),
        (f"{WHOLE}{{{{ 'a' * 999999999 }}}}", "is not allowed"),
        (f"{WHOLE}{{% include 'x' %}}", "is not allowed"),
        (f"{WHOLE}{{% if response %}}x{{% endif %}}", "is not allowed"),
        (WHOLE * 5, "times (at most 4)"),
        ("<PROMPT>" * 5 + "<RESPONSE>", "names <PROMPT> 5 times"),
        ("x" * (MAX_TEMPLATE_CHARS + 1), "too long"),
        (WHOLE + "{{ (" + "(" * 5000 + "1" + ")" * 5000 + ") }}", "nested too deeply"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_template_that_cannot_be_rendered_is_refused_by_name(template, reason):
    with pytest.raises(TemplateError) as caught:
        check_mutation(template, "depth")
    assert "mutation_templates['depth']" in str(caught.value)
    assert reason in str(caught.value)


def test_every_other_node_of_jinja_is_refused():
    # A new version of Jinja2 may bring nodes; none of them is let in unseen.
    from structq.templates import environment

    assert set(environment._PLAIN) == {nodes.Output, nodes.TemplateData, nodes.Name}
