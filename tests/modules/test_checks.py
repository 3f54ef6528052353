"""What passes for an evolution, and what does not."""

import pytest

from structq.modules.checks import EvolveCheck, is_refusal
from structq.modules.length import Length
from structq.templates import added_words, default_mutations

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


BOUNDS = ("min_added", "max_added", "max_growth")


def check(**changes):
    values = {"instruction": "Why?", "response": "Because of the air.", "template": METHOD}
    values = {**values, **changes}
    length = Length(**{name: values.pop(name) for name in BOUNDS if name in values})
    return EvolveCheck(**{"original": values["response"], "length": length, **values})


@pytest.mark.parametrize(
    ("changes", "evolved", "reason"),
    [
        ({}, "Because of the air. For example, smoke.", None),
        ({}, "Because  of\nthe air. ", "unchanged"),
        ({}, "because of the air.", None),
        ({"original": "Air."}, "Because of the air.", None),
        ({"original": "Air."}, "Air.", "unchanged"),
        (
            {},
            "The air bends the blue light. So the air bends the blue light. And the air bends all "
            "the blue light.",
            "says the same again: 'So the air",
        ),
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
        ({}, "Reply with the rewritten response and nothing else.", "repeats the prompt"),
        ({}, "**Rewritten response:** Because of the air.", "repeats the prompt"),
        (
            {},
            "The original unchanged.\n\nThe response is the original unchanged.",
            "repeats the prompt",
        ),
        ({}, "The evolved response is a placeholder, because of air.", "repeats the prompt"),
        ({}, "I give the original response unchanged here.", "repeats the prompt"),
        (
            {"response": "Leave the original unchanged."},
            "Leave the original unchanged: copy it.",
            None,
        ),
        ({}, "Because of the air.\n\nRewritten response:\nSmoke.", "repeats the prompt"),
        ({}, "Here is the rewritten response: because of air.", "repeats the prompt"),
        ({}, "Use at most 120 words.\nBecause of the air.", "repeats the prompt"),
        ({"instruction": "Use at most 9 words: why?"}, "Use at most 9 words, then air.", None),
        ({}, "Because of the air. The rewritten response is this.", "speaks about itself"),
        ({}, "Because of air.\n\nThis response is more detailed.", "speaks about itself"),
        ({}, "Your answer should be longer than this.", "speaks about itself"),
        ({}, "I suggest rewriting it to say that.", "speaks about itself"),
        ({}, "The response of the eye to blue light is weak.", None),
        ({}, "Because of air. Use at most 120 words.", "repeats the prompt"),
        ({}, "In a shady room the soil stays moist for a week or more.", "repeats the example"),
        ({"max_added": 2}, "Because of the air up there.", None),
        ({"max_added": 2}, "Because of the air far up there.", "3 words more"),
        ({"max_added": 2}, "Because of air.", None),
        ({"min_added": 2}, "Because of the air up there.", None),
        ({"min_added": 2}, "Because of the air there.", "1 words more"),
        ({"min_added": 2}, "Because of the air.", "0 words more than the response (at least 2"),
        ({"max_growth": 1.5}, "Because of the air. " + "and so on it goes, " * 40 + "on.", None),
        ({"literals": ("$$x$$",)}, "Because of $$x$$.", None),
        ({"literals": ("$$x$$",)}, "Because of $$ x $$.", "keep this block verbatim: '$$x$$'"),
        ({"literals": ("a", "b")}, "b then a", "verbatim: 'b'"),
        ({"literals": ("aa", "a")}, "aa", "verbatim: 'a'"),
        ({"literals": ("Air",), "anchored": True}, "Air, that is.", None),
        ({"literals": ("Air",), "anchored": True}, "The Air.", "begin with the whole response"),
        ({"judge": False}, "Because of the air.", None),
        ({"judge": False}, REFUSALS[0], None),
        ({"judge": False}, "[response]", None),
        ({"judge": False, "max_added": 1}, "Because of the air up there.", "words more"),
        ({"judge": False, "min_added": 1}, "Because.", "words more"),
        ({"judge": False}, "...", None),
        ({"judge": False}, "Because of the air and", None),
        ({"judge": False}, "Air.", None),
        ({"judge": False, "literals": ("x",)}, "y", "verbatim"),
    ],
)
def test_faults(changes, evolved, reason):
    found = check(**changes).fault(evolved)
    assert found is None if reason is None else reason in found


# What was never written

PLACEHOLDERS = [
    "...",
    "\u2026",
    "<text>",
    "<rewritten response>",
    '"..."',
    "[Your response here]",
    "Your response here",
    "the rewritten response here.",
    "Your text goes here",
    "Lorem ipsum dolor sit amet",
    "evolved_response",
    "Evolved response",
    "rewritten response",
    "string",
    "-",
    "```",
]


@pytest.mark.parametrize("text", PLACEHOLDERS)
def test_placeholders_are_no_evolutions(text):
    assert "a placeholder" in check(response="Air.").fault(text)


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "42.",
        "Text and more of it.",
        "A string is a text.",
        "The answer is here.",
        "<b>Air</b> scatters.",
        "空気。",
        "воздух",
        "x = 1",
    ],
)
def test_short_answers_are_no_placeholders(text):
    assert check(response="Air.").fault(text) is None


def test_a_response_that_is_a_placeholder_may_stay_one():
    assert check(response="...", original="x").fault("<text>") is None


@pytest.mark.parametrize(
    "end",
    [",", ", ", ";", " (", " [", " and", " or", " the", " a", " an", " of", " to", " with",
     ", such as", " AND\n"],
)  # fmt: skip
def test_a_text_that_breaks_off_is_no_evolution(end):
    evolved = f"Because of the air and what is in it{end}"
    assert "a fragment: it ends with" in check().fault(evolved)


@pytest.mark.parametrize(
    "end",
    ["", ".", ":", "!", " hand", " band", " floor", "\n```\nx = 1\n```", " (so)", " he said", "。"],
)
def test_a_text_may_end_without_a_full_stop(end):
    assert check().fault(f"Because of the air and what is in it{end}") is None


@pytest.mark.parametrize(
    "evolved",
    [
        "const sum = (a, b) => a + b;\nconsole.log(sum(1, 2));",
        "export default WelcomeComponent;",
        "SELECT name FROM employees;",
        "The answer is a",
        "D",
        "1. Air\n2. Light",
        "因为空气散射蓝光",
        "Потому что воздух рассеивает свет",
        "x = a",
    ],
)
def test_code_lists_short_answers_and_other_scripts_are_no_fragments(evolved):
    assert check(response="Air").fault(evolved) is None


def test_a_revision_may_be_named_where_one_was_asked_for():
    evolved = "Here is the revised code: it reads the air first, and then the light."
    assert check(instruction="Revise the code of the lamp.").fault(evolved) is None
    assert "repeats the prompt" in check().fault(evolved)


def test_a_response_that_breaks_off_may_be_evolved_to_one_that_does():
    response = "Because of the air, the light and"
    assert check(response=response).fault(f"So: {response}") is None


LONG_RESPONSE = "The sky is blue because the air scatters the blue light of the sun."


@pytest.mark.parametrize(
    "template",
    [METHOD, *default_mutations().values(), "Make it rhyme.", "Tell it in other words."],
)
def test_less_than_half_is_no_evolution(template):
    found = check(response=LONG_RESPONSE, template=template).fault("The air scatters it.")
    assert "less than half of the response's 14" in found
    assert check(response=LONG_RESPONSE, template=template).fault("So: " + LONG_RESPONSE) is None


@pytest.mark.parametrize(
    "template",
    [
        "Rewrite the response in one sentence.",
        "Make it shorter.",
        "Shorten it: {{ instruction }} {{ response }}",
        "Be concise.",
        "Condense the response.",
        "Summarize it.",
        "Say it with fewer words.",
        "Cut it down.",
        "Remove what is not needed.",
    ],
)
def test_a_mutation_that_asks_for_less_may_get_it(template):
    assert check(response=LONG_RESPONSE, template=template).fault("Air scatters it.") is None


def test_half_of_the_words_is_enough():
    assert check(response="one two three four").fault("one five") is None
    assert "1 words" in check(response="one two three four").fault("one")


# What only the prompt says


@pytest.mark.parametrize("method", default_mutations().values(), ids=default_mutations())
def test_the_words_of_a_template_are_no_evolution(method):
    for text in (method, method.upper(), method.replace("Rewrite the response", "The response")):
        found = check(template=method).fault(f"Because of the air, as smoke does.\n{text}")
        assert "repeats the prompt" in found


def test_a_sentence_with_a_word_of_its_own_is_no_echo():
    method = "Rewrite the response with more detail: add a specific example."
    found = check(template=method).fault("Because of the air. A specific example is smoke.")
    assert found is None


def test_a_sentence_of_the_row_is_no_echo_of_the_template():
    method = "Rewrite the response with more detail: add a specific example."
    row = {"instruction": f"What does this ask? {method}", "template": method}
    assert check(**row).fault(f"Because of the air. It asks: {method}") is None
    assert check(**row).fault(f"Because of the air, so far.\n{method}") is None


def test_the_example_of_the_prompt_is_no_evolution():
    first = added_words().split(". ")[0] + "."
    assert "the example of the prompt" in check().fault(f"Because of the air. {first}")
    row = {"instruction": "How do I water plants?", "response": f"So. {first}"}
    assert check(**row).fault(f"So it is. {first}") is None


# A text about itself

COMMENTS = [
    "Because of the air. The rewritten response is this.",
    "This response is too short for what was asked.",
    "Your answer should name the air that scatters it.",
    "The response includes the air and what is in it.",
    "I would suggest rewriting it so that it names the air.",
    "Because of the air.\nI have rewritten it for you here.",
    "Here is the revised response: because of the air.",
]


@pytest.mark.parametrize("text", COMMENTS)
def test_a_text_about_the_response_is_no_evolution(text):
    found = check().fault(text)
    assert "speaks about itself" in found or "repeats the prompt" in found


def test_who_asks_about_a_response_may_be_told_about_it():
    assert (
        check(instruction="How good is it? This response is too long.").fault(COMMENTS[1]) is None
    )


@pytest.mark.parametrize(
    "text",
    [
        "The immune response is fast, and the air is blue.",
        "In response to light, the air scatters it.",
        "Answer: the air. This is too much to say in a word.",
        "The answer has three parts, all of them about air.",
    ],
)
def test_a_response_in_another_sense_is_no_comment(text):
    assert check().fault(text) is None


# What an LM that can is held to


def rules(**changes):
    return check(**changes).rules()


def test_rules_have_the_bounds_of_the_length():
    found = rules(response="word " * 50, min_added=3, max_growth=2.0)
    assert (found["min_words"], found["max_words"]) == (53, 100)
    assert rules(response="word " * 50)["max_words"] is None
    assert rules(response="word " * 50)["min_words"] == 25
    assert rules(response="word " * 50, judge=False)["min_words"] == 1
    assert rules(response="word " * 50, template="Shorten it.")["min_words"] == 1


def test_no_rule_asks_for_more_than_the_rules_allow():
    # An anchored original leaves room for nothing under this bound: the bound gives way.
    found = rules(response="x", original="word " * 200, literals=("word " * 200,),
                  anchored=True, max_growth=1.5)  # fmt: skip
    assert found["max_words"] == found["min_words"] == 205


def test_rules_name_what_must_stand_in_the_text():
    found = rules(literals=("a", "b"), anchored=True)
    assert (found["literals"], found["anchored"]) == (["a", "b"], True)
    assert "literals" not in rules(anchored=True)


def test_repetitions_are_guarded_against_where_answers_are_judged():
    assert (rules()["guard"], rules()["known"]) == (True, "Because of the air.")
    assert not {"guard", "known"} & rules(judge=False).keys()


@pytest.mark.parametrize(
    ("template", "asks"),
    [
        *((text, True) for text in default_mutations().values() if "add" in text),
        ("Make it rhyme.", False),
        ("Add less: shorten it.", False),
    ],
)
def test_a_mutation_that_asks_for_more_is_held_to_new_words(template, asks):
    assert ("min_new_words" in rules(template=template)) == asks
    assert "min_new_words" not in rules(template=template, judge=False)


CODE = "def f(x):\n    return x * 2\n\nprint(f(1))"
TASK = "Write a function that doubles a number in Python."


@pytest.mark.parametrize(
    ("changes", "evolved", "reason"),
    [
        ({}, "Your explanation is clear and concise. The air is blue.", "speaks about itself"),
        ({}, "This answer is a great example of how to explain.", "speaks about itself"),
        ({}, "It is the air. The only minor improvement is the phrase.", "speaks about itself"),
        ({}, "The response was reworded to fit.", "speaks about itself"),
        ({}, "The answer is 42, and here is why: air.", None),
        ({}, "The answer to the question is good news for all.", None),
        ({"instruction": "Give feedback on: I like air."}, "Your answer is clear. Say why.", None),
        ({"response": "This answer is good."}, "This answer is good: it has air.", None),
        ({"response": CODE}, "This code defines a function that doubles.", "lost the code"),
        ({"response": CODE}, "```python\nf = lambda x: 2 * x\n```\nIt doubles.", None),
        ({"response": CODE, "template": "Shorten it."}, "It doubles a number.", None),
        ({"response": "x = 10\ny = 20"}, "The first is ten and the second is twenty.", None),
        ({"response": CODE}, f"{CODE}\n```\nIt doubles its input.", "something else: '```'"),
        ({"response": CODE}, f"Look:\n```python\n{CODE}\nand so on", "without its partner"),
        ({"response": f"```\n{CODE}"}, f"```python\n{CODE}\n# doubles", None),
        ({}, "Rest a while.\nUser: What now?\nAssistant: Sleep.", "something else: 'User:"),
        ({"instruction": "Go on.\nUser: hi"}, "Hello.\nUser: What now?", None),
        ({"instruction": TASK, "response": CODE}, f"{TASK}\n{CODE}", "begins with the instruction"),
        (
            {"instruction": TASK, "response": CODE},
            f"Write a Python function that doubles a number.\n\n{CODE}",
            "begins with the instruction",
        ),
        ({"instruction": TASK, "response": f"{TASK}\n{CODE}"}, f"{TASK}\n\n{CODE}\n# x", None),
        ({"instruction": "Why is the sky blue?"}, "The sky is blue as air scatters it.", None),
        ({"instruction": "Fix: i has a dog for two years."}, "I had a dog for two years.", None),
    ],
)  # fmt: skip
def test_a_text_that_is_no_answer_to_the_instruction(changes, evolved, reason):
    found = check(**changes).fault(evolved)
    assert (found is None) if reason is None else (reason in (found or ""))
