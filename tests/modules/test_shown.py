"""The prompts that a report shows are those that the LM was asked, letter by letter."""

import json

import pytest

import structq
from structq.modules.shown import INSTRUCTION, RESPONSE, EvolvePrompts
from structq.runs.facts import told_program
from tests.scripted import ScriptedEngine, make_lm

PROGRAMS = {
    "default": {},
    "system": {"system_prompt": "Be kind."},
    "limits": {"max_added_words": 20},
    "text": {"form": "text"},
    "compact": {"form": "compact"},
    "preserved": {"preserve": "all", "form": "json"},
    "whole prompt": {
        "mutation_templates": {"whole": "Q: {{ instruction }}\nA: {{ response }}\nBetter:"},
        "form": "text",
    },
    "distilabel": {
        "mutation_templates": {"angles": "Rewrite <RESPONSE> for <PROMPT>."},
        "form": "json",
    },
}
ROWS = {
    "plain": ("Why is the sky blue?", "Air scatters blue light, more than it scatters red light."),
    "marks": ("Explain [response] tags.", "They look so: [instruction]x[/instruction] and so on."),
    "headings": ("Write a form.", "Instruction: say it\nResponse: here it is, word for word."),
    "placeholders": ("What is \ue000?", "A private sign, as \ue001 is, for whoever wants one."),
    "braces": ("Explain {{ user.name }}.", "It prints <PROMPT> or <RESPONSE> of the named user."),
    "empty": ("Write nothing.", ""),
}


def asked(program, instruction, response):
    """Messages of each request, beside those that are shown for it."""
    engine = ScriptedEngine(
        lambda request: (
            "Words that are new and are enough of them to pass, one by one, for all."
            if request.config.response_format is None
            else json.dumps(
                {"evolved_response": f"{response} And a sentence that is new in all of it."}
            )
        )
    )
    evolve = structq.EvolQuality(
        num_evolutions=2, check_answers=False, lm=make_lm(engine), **program
    )
    row = next(evolve.process([{"instruction": instruction, "response": response}]))[0]
    prompts = EvolvePrompts(json.loads(json.dumps(told_program(evolve))))
    calls = row["metadata"]["calls"]
    raw = [call["raw_output"] for call in calls]
    texts = [json.loads(t)["evolved_response"] if t.startswith("{") else t for t in raw]
    texts = [response, *texts]
    for request, call, text in zip(engine.requests, calls, texts, strict=False):
        shown = prompts.prompt(
            call["mutation"], instruction=instruction, response=text, original=response,
            form=call["form"],
        )  # fmt: skip
        system = [("system", request.system)] if getattr(request, "system", None) else []
        found = [*system, *((m.role, m.text) for m in request.messages)]
        yield found, shown, {INSTRUCTION: instruction, RESPONSE: text}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_prompt_is_shown_as_it_was_asked(program, row):
    pairs = list(asked(program, *row))
    assert len(pairs) >= 1
    for found, shown, texts in pairs:
        filled = [
            (role, "".join(texts.get(part, part) for part in _parts(text, texts)))
            for role, text in shown
        ]
        assert filled[-1] == (str(found[-1][0]), found[-1][1])


def _parts(text, texts):
    """As the page fills a prompt: one pass, and a prompt that holds a row's own signs is whole."""
    if any(sign in value for sign in texts for value in texts.values()):
        return [text]
    return [
        part
        for piece in text.split(INSTRUCTION)
        for part in (*piece.partition(RESPONSE), INSTRUCTION)
    ][:-1]


def test_rows_share_a_prompt_where_nothing_but_their_texts_differs():
    evolve = structq.EvolQuality()
    prompts = EvolvePrompts(told_program(evolve))
    one, other, marked = (
        prompts.prompt("details", instruction="How?", response=text, original=text, form="json")
        for text in ("Some words.", "Other words.", "Instruction: heading")
    )
    assert one is other
    assert INSTRUCTION in one[-1][1]
    assert "Instruction: heading" in marked[-1][1]
