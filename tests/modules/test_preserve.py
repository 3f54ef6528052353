"""What of a response stays as it is, whatever the LM says."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import structq
from structq import EvolQuality, InputError, OutputError
from structq.modules.preserve import blocks_of, literals_of, missing_literal
from tests.scripted import ScriptedEngine, make_lm, prompt_of
from tests.tiny_lm import write_tiny

FENCE = "```python\nprint('{{ x }}')\n```"
TABLE = "| a | b |\n|---|:-:|\n| 1 | $$x$$ |"
ORIGINAL = f"Run this:\n\n{FENCE}\n\nIt gives $$x^2$$ and\n{TABLE}\n\nDone."


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("", []),
        ("plain `code` and | bars | and $5 or $6", []),
        (ORIGINAL, [FENCE, "$$x^2$$", TABLE]),
        ("````md\n```py\nx\n```\n````\nend", ["````md\n```py\nx\n```\n````"]),
        ("```py\nx = 1\n~~~\n```", ["```py\nx = 1\n~~~\n```"]),
        ("~~~\n```\n~~~", ["~~~\n```\n~~~"]),
        ("text\n```py\nnever closed", ["```py\nnever closed"]),
        ("- ```py\n  x\n  ```\n- two", ["- ```py\n  x\n  ```"]),
        ("> ```\n> x\n> ```\nend", ["> ```\n> x\n> ```"]),
        ("``` inline ``` text", []),
        ("```\na\n``` b\n```", ["```\na\n``` b\n```"]),
        ("a | b\n--|--\n1 | 2\n\nend", ["a | b\n--|--\n1 | 2"]),
        ("a | b\n-----\n1", []),
        ("so $$\nx\n$$ and \\[ y \\] holds", ["$$\nx\n$$", "\\[ y \\]"]),
        ("$$ `\n```\n$$\n```", ["```\n$$\n```"]),
        ("```\necho $$\n```\nand\n```\nkill $$\n```", ["```\necho $$\n```", "```\nkill $$\n```"]),
        ("a\r\n```py\r\nx\r\n```\r\nb", ["```py\r\nx\r\n```"]),
        ("x\n\n    ```\n\nprose\nmore", ["    ```"]),
        ("- a\n\n      code\n\n  b", ["      code"]),
        ("a|b\n-|-\n1|2\nmore", ["a|b\n-|-\n1|2\nmore"]),
        ("> | a |\n> |---|\n> | 1 |\n\nend", ["> | a |\n> |---|\n> | 1 |"]),
        ("<pre>\n```\n</pre>\nend", []),
        ("a `$$x$$` b $$y$$ and \\$$5", ["$$y$$"]),
        ("$$ 5 and\n\n6 $$", []),
    ],
)  # fmt: skip
def test_blocks(text, blocks):
    assert list(blocks_of(text)) == blocks


def test_literals_by_setting():
    assert literals_of(ORIGINAL, "none") == ()
    assert literals_of(ORIGINAL, "blocks") == (FENCE, "$$x^2$$", TABLE)
    assert literals_of(ORIGINAL, "all") == (ORIGINAL,)
    assert literals_of("", "all") == ()


@given(st.text(st.sampled_from("`~|-$\\[]\n\r ax>"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_every_text_holds_its_own_blocks(text):
    assert missing_literal(text, blocks_of(text), anchored=False) is None


@given(st.text(st.sampled_from("`~|-> \n\r\tax1."), max_size=80))
@settings(max_examples=300, deadline=None)
def test_blocks_are_the_lines_that_commonmark_says(text):
    lines = re.split(r"\r\n|\r|\n", text)
    ends, found = 0, []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type in ("fence", "code_block", "table_open") and token.map[0] >= ends:
            ends = token.map[1]
            found.append([line.strip(" \t>") for line in lines[token.map[0] : ends]])
    ours = [re.split(r"\r\n|\r|\n", block) for block in blocks_of(text)]
    assert len(ours) == len(found)
    for block, known in zip(ours, found, strict=True):
        stripped = [line.strip(" \t>") for line in block]
        assert stripped == known[: len(stripped)]
        assert not any(known[len(stripped) :])


# On an LM that is validated


def evolver(*answers, **options):
    """An EvolQuality on an LM that gives these answers in turn, and its engine."""
    left = iter(answers)
    engine = ScriptedEngine(lambda request: json.dumps({"evolved_response": next(left)}))
    return EvolQuality(lm=make_lm(engine), **options), engine


ROW = {"instruction": "How?", "response": ORIGINAL}


@pytest.mark.parametrize("preserve", ["blocks", "all"])
def test_a_lost_block_is_a_failed_row(preserve):
    evolve, engine = evolver("Run it.", preserve=preserve)
    [row] = next(evolve.process([ROW]))
    assert row["evolved_response"] is None
    assert row["metadata"]["error"]["type"] == "OutputError"
    assert "the evolved response does not" in row["metadata"]["error"]["message"]
    assert engine.requests[0].config.extensions is None


def test_a_second_attempt_is_told_what_was_lost():
    evolve, engine = evolver("Run it.", f"{ORIGINAL} More.", preserve="blocks", max_attempts=2)
    assert evolve(**ROW).evolved_response == f"{ORIGINAL} More."
    assert 'does not keep this block verbatim: "```python' in prompt_of(engine.requests[1])


def test_the_last_attempt_raises():
    evolve, _ = evolver("a", "b", preserve="all", max_attempts=2)
    with pytest.raises(OutputError, match="begin with the whole response"):
        evolve(**ROW)


def test_all_of_the_original_stays_over_every_step():
    evolve, _ = evolver(f"{ORIGINAL} One.", f"{ORIGINAL} Two.", preserve="all", num_evolutions=2)
    assert evolve(**ROW).evolved_response == f"{ORIGINAL} Two."


def test_nothing_is_preserved_by_default():
    evolve, _ = evolver("Run this: it gives a number, and then it is done.")
    assert evolve(**ROW).evolved_response == "Run this: it gives a number, and then it is done."


def test_the_same_again_is_no_evolution_unless_allowed():
    evolve, _ = evolver(ORIGINAL)
    with pytest.raises(OutputError, match="unchanged"):
        evolve(**ROW)
    evolve, _ = evolver(ORIGINAL, check_answers=False)
    assert evolve(**ROW).evolved_response == ORIGINAL


def test_words_are_counted_from_step_to_step():
    evolve, _ = evolver("a b c", "a b c d e", max_added_words=2, num_evolutions=2)
    assert evolve(instruction="Why?", response="a").evolved_response == "a b c d e"
    evolve, _ = evolver("a b c d", max_added_words=2)
    with pytest.raises(OutputError, match="3 words more"):
        evolve(instruction="Why?", response="a")


# Settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preserve", "code"),
        ("preserve", None),
        ("preserve", ["all"]),
        ("max_added_words", 0),
        ("max_added_words", 1.5),
        ("check_answers", "yes"),
    ],
)
def test_wrong_settings_are_refused(name, value):
    with pytest.raises(InputError, match=name) as error:
        EvolQuality(**{name: value})
    assert error.value.field == name


def test_settings_are_saved_and_loaded(tmp_path):
    saved = EvolQuality(preserve="blocks", max_added_words=20, check_answers=False)
    saved.save(tmp_path / "evolve.json")
    again = EvolQuality()
    again.load(tmp_path / "evolve.json")
    found = again.preserve, again.max_added_words, again.check_answers
    assert found == ("blocks", 20, False)


# On a local LM


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A dspy.LM on random weights, which says nothing that makes sense."""
    folder = write_tiny(tmp_path_factory.mktemp("lm") / "tiny")
    lm = structq.lm(f"onnx:{folder}", temperature=2.0, max_tokens=300, seed=1)
    yield lm
    lm.engine.close()


HOSTILE = [
    FENCE,
    TABLE,
    '````\n```\n"\\"\n```\n````',
    '$$\\frac{"a"}{b}$$',
    "\\[ {{ x }} \\]",
    "```\n\u2028\x00\x7f\t🙂\n```",
    "~~~js\n" + "x" * 60 + "\n~~~",
    'text "quoted" \\ and `code`',
]


@given(
    parts=st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=3),
    preserve=st.sampled_from(["blocks", "all"]),
    seed=st.integers(0, 2**31),
)
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_local_lm_cannot_lose_them(local, parts, preserve, seed):
    original = "\n\n".join(parts)
    evolve = EvolQuality(preserve=preserve, check_answers=False, lm=local.copy(seed=seed))
    try:
        found = evolve(instruction="How?", response=original).evolved_response
    except OutputError as error:
        if error.finish_reason != "length" and "is blank" not in str(error):
            raise
        return
    literals = literals_of(original, preserve)
    assert missing_literal(found, literals, anchored=preserve == "all") is None


def test_the_original_costs_a_local_lm_no_passes(local):
    original = "A sentence of some words. " * 12
    evolve = EvolQuality(preserve="all", check_answers=False, lm=local.copy(max_tokens=400))
    row = next(evolve.process([{"instruction": "Why?", "response": original}]))[0]
    [call] = row["metadata"]["calls"]
    assert call["usage"]["output_tokens"] - call["n_passes"] > 50


def test_an_original_that_does_not_fit_is_a_prompt_that_is_too_long(local):
    evolve = EvolQuality(preserve="all", lm=local)
    with pytest.raises(structq.PromptTooLongError):
        evolve(instruction="Why?", response="many words " * 90)
