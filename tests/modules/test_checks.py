"""What passes for an evolution, and what does not."""

import pytest

from structq.modules.checks import EvolveCheck, is_refusal
from structq.templates import default_mutations

METHOD = default_mutations()["details"]
LONG = "I'm sorry, but I can't help with that. " + "Here is what can be said all the same. " * 12

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I can’t assist with this request.",
    "I'm sorry, I can't.",
    "I am very sorry, but I cannot provide that.",
    "Sorry, but I am not able to rewrite this response.",
    "Sorry, I won't be able to help you with that.",
    "I cannot help you with that.",
    "I can not comply with your request.",
    "I'm unable to assist with that request.",
    "Unfortunately, I cannot fulfil this request.",
    "I apologize, but I can't continue.",
    "As an AI language model, I cannot provide opinions.",
    "I'm sorry, but as an AI language model, I can't answer.",
    "\"I'm sorry, but I can't do that.\"",
]
ANSWERS = [
    "I can't.",
    "I'm sorry, but I can't come to the party on Friday.",
    "Sorry for the late reply: the meeting is at noon.",
    "I cannot help but admire the oak.",
    "I can't help falling in love with you.",
    "I cannot recommend this book enough.",
    "Unfortunately, the whale is no fish.",
    "A refusal such as \"I'm sorry, but I can't help with that.\" is short.",
    "As an AI tool, a calculator cannot think.",
    "I won't share my toys.",
    LONG,
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_known(text):
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_are_no_refusals(text):
    assert not is_refusal(text)


def check(**changes):
    values = {"instruction": "Why?", "response": "Because of the air.", "template": METHOD}
    return EvolveCheck(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "evolved", "reason"),
    [
        ({}, "Because of the air. For example, smoke.", None),
        ({}, "Because  of\nthe air. ", "unchanged"),
        ({}, "because of the air.", None),
        ({}, REFUSALS[0], "is a refusal"),
        ({"response": REFUSALS[0]}, REFUSALS[3], None),
        ({}, "[response]\nBecause of air.\n[/response]", "repeats the prompt"),
        ({}, "Because of air. [/responsea]", "repeats the prompt"),
        ({"instruction": "What is [response]?"}, "[response] is a tag.", None),
        ({}, "#Rewritten Response#: Because of air.", "repeats the prompt"),
        ({}, "# Given Prompt #\nWhy?", "repeats the prompt"),
        ({"response": "See #Given Prompt#."}, "Look at #Given Prompt#.", None),
        ({}, "# New prompts\nBecause.", None),
        ({}, '{"evolved_response": "Because"}', "repeats the prompt"),
        ({}, '{\\"evolved_response\\":\\"Because\\"}', "repeats the prompt"),
        ({}, f"Because. {METHOD.upper()}", "repeats the prompt"),
        ({"instruction": METHOD}, f"You asked: {METHOD}", None),
        ({"template": "Say it."}, "Say it. Because.", None),
        ({}, "Reply with JSON in this form and nothing else: x", "repeats the prompt"),
        ({"max_added_words": 2}, "Because of the air up there.", None),
        ({"max_added_words": 2}, "Because of the air far up there.", "3 words more"),
        ({"max_added_words": 2}, "Air.", None),
        ({"literals": ("$$x$$",)}, "Because of $$x$$.", None),
        ({"literals": ("$$x$$",)}, "Because of $$ x $$.", "keep this block verbatim: '$$x$$'"),
        ({"literals": ("a", "b")}, "b then a", "verbatim: 'b'"),
        ({"literals": ("aa", "a")}, "aa", "verbatim: 'a'"),
        ({"literals": ("Air",), "anchored": True}, "Air, that is.", None),
        ({"literals": ("Air",), "anchored": True}, "The Air.", "begin with the whole response"),
        ({"judge": False}, "Because of the air.", None),
        ({"judge": False}, REFUSALS[0], None),
        ({"judge": False}, "[response]", None),
        ({"judge": False, "max_added_words": 1}, "Because of the air up there.", "words more"),
        ({"judge": False, "literals": ("x",)}, "y", "verbatim"),
    ],
)
def test_faults(changes, evolved, reason):
    found = check(**changes).fault(evolved)
    assert found is None if reason is None else reason in found
