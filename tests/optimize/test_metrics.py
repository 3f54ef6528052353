"""Metrics without a judge: what is better gets more, and what only looks so does not."""

import asyncio

import dspy
import pytest

from structq import InputError
from structq.optimize.metric import as_metric
from structq.optimize.metrics import NAMED, adds, concise, metric_named, readable

ASKED = "How does soap clean greasy plates?"
ORIGINAL = (
    "Soap molecules have two ends. One end holds on to grease and the other to water. In 1823 the "
    "chemist Michel Chevreul explained how fats become soap. Use 5 ml for 10 plates."
)
NEW = (
    " Warm water loosens the grease, so that molecules surround each droplet faster. "
    "Rinse the plates afterwards, because leftover foam attracts dust within hours."
)
EASY = (
    "Soap has two ends. One end holds grease. The other end holds water. In 1823 Michel Chevreul "
    "showed how fats become soap. Each molecule helps to clean. Use 5 ml for 10 plates. That "
    "explained it."
)
SHORT = (
    "Soap molecules have two ends, for grease and for water. In 1823 the chemist Michel Chevreul "
    "explained how fats become soap. Use 5 ml for 10 plates."
)
OTHER = "The cat sat on the mat. The sun was up. It was a nice day to be out and run about in."


def worth(metric, evolved, original=ORIGINAL, asked=ASKED, **options):
    example = dspy.Example(instruction=asked, response=original)
    return metric(example, dspy.Prediction(evolved_response=evolved), **options).score


ADDED = ORIGINAL + NEW


@pytest.mark.parametrize(
    ("evolved", "low", "high"),
    [
        (ADDED, 1, 1),
        (ORIGINAL, 0.25, 0.25),
        (ORIGINAL + NEW[: NEW.index(". ") + 1], 0.625, 0.625),
        (ADDED.replace("1823", "1825"), 0.5, 0.8),
        (ADDED.replace("Michel Chevreul", "someone"), 0.5, 0.8),
        (ORIGINAL + " " + ORIGINAL, 0, 0.1),
        (ADDED + NEW + NEW, 0, 0.4),
        (ORIGINAL + " " + OTHER, 0.25, 0.25),
        (ORIGINAL + " Let me know if you have further questions on this fine topic.", 0.2, 0.3),
        (NEW, 0, 0.45),
        (OTHER, 0, 0.05),
        (ADDED[:40], 0, 0.1),
        (ADDED[:-30], 0.5, 0.7),
        ("", 0, 0),
        (None, 0, 0),
        ("1823 5 10 Michel Chevreul", 0, 0.1),
        (ORIGINAL + " Soap is 12.50 + 3.75 = 16.25 and 18.30. Soap is 1.25, 2.25.", 0.25, 0.25),
    ],
    ids=[
        "two sentences", "unchanged", "one", "other number", "lost name", "twice", "a loop",
        "other matter", "a phrase", "only the new", "unrelated", "cut", "cut in the second",
        "empty", "none", "only the facts", "numbers",
    ],
)  # fmt: skip
def test_adds_is_worth_what_it_keeps_and_what_is_new(evolved, low, high):
    assert low <= worth(adds, evolved) <= high


@pytest.mark.parametrize(
    ("evolved", "low", "high"),
    [
        (SHORT, 0.5, 0.7),
        (ORIGINAL, 0.25, 0.25),
        (ORIGINAL + NEW, 0.1, 0.2),
        (SHORT.replace("1823", "the past"), 0.3, 0.8),
        ("molecules ends holds grease water 1823 chemist Michel Chevreul explained fats become "
         "soap 5 ml 10 plates", 0, 0.55),
        (ORIGINAL[:60], 0, 0.2),
        ("Soap cleans.", 0, 0.1),
        (OTHER, 0, 0.05),
        ("", 0, 0),
        ((SHORT + " ") * 3, 0, 0.1),
    ],
    ids=[
        "shorter", "unchanged", "longer", "lost number", "key words", "cut", "a word", "unrelated",
        "empty", "a loop",
    ],
)  # fmt: skip
def test_concise_is_worth_what_it_saves_without_loss(evolved, low, high):
    assert low <= worth(concise, evolved) <= high


HARD = (
    "Saponaceous molecules exhibit amphiphilic characteristics, simultaneously accommodating "
    "hydrophobic contamination and aqueous environments, thereby facilitating emulsification."
)
EASED = (
    "Soap molecules can do two things. They take hold of hydrophobic dirt, and of aqueous "
    "environments too. This makes emulsification work, by these characteristics."
)


@pytest.mark.parametrize(
    ("evolved", "low", "high"),
    [
        (EASED, 0.3, 1),
        (HARD, 0, 0.1),
        (HARD + " " + OTHER, 0, 0.1),
        (". ".join(HARD.split()), 0, 0.1),
        ("\n".join(HARD.split()), 0, 0.1),
        ("It cleans. " * 9, 0, 0.05),
        (OTHER, 0, 0.05),
        ("Soap.", 0, 0.05),
        ("", 0, 0),
        (EASED + " " + EASED, 0, 0.3),
    ],
    ids=[
        "easier", "unchanged", "padded with easy ones", "full stops", "lines", "a loop",
        "unrelated", "a word", "empty", "twice",
    ],
)  # fmt: skip
def test_readable_is_worth_what_is_easy_and_says_the_same(evolved, low, high):
    assert low <= worth(readable, evolved, HARD) <= high


def test_readable_asks_more_of_texts_for_younger_readers():
    found = [worth(readable, ORIGINAL, grade=grade) for grade in (2, 4, 6, 12)]
    assert found == sorted(found)
    assert found[0] < found[-1] == 1
    assert worth(metric_named("readable:2"), ORIGINAL) == found[0]
    assert worth(readable, EASY, grade=2) > worth(readable, ORIGINAL, grade=2)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize(
    ("original", "evolved"),
    [
        ("D", "D"),
        ("42", "42"),
        ("肥皂有两端。一端亲油。", "肥皂有两端。一端亲油。另一端亲水，因此能去除油污。"),
        ("```py\nx = 1\n```", "```py\nx = 1\n```\nIt sets x to one for later use."),
        ("- a\n- b", "1. a\n2. b"),
        ("🙂", "🙂🙂"),
        ("\u200b", "\x00"),
        ("ÄRGER ÜBER ALLES", "ärger über alles"),
        (" " * 9 + "x", "x" * 10_000),
        ("a. " * 500, "b. " * 500),
    ],
    ids=[
        "a letter", "a number", "Chinese", "code", "list", "emoji", "invisible", "capitals",
        "one word", "many ends",
    ],
)  # fmt: skip
def test_any_text_has_a_worth_from_0_to_1(name, original, evolved):
    assert 0 <= worth(NAMED[name], evolved, original) <= 1


@pytest.mark.parametrize(
    ("original", "evolved", "told"),
    [
        ("It costs 1,000 euros.", "It costs 1000 euros.", None),
        ("It costs 1,000 euros.", "It costs 10000 euros.", "It lost: '1000'"),
        ("Ask Ms Ada Lovelace.", "Ask someone.", "It lost: 'Ms Ada Lovelace'"),
        ("Run:\n```\nls -l\n```\n", "Run:\n```\nls -l\n```\n", None),
        ("Run:\n```\nls -l\n```\n", "Run:\n```\nls -a\n```\n", "It lost: '```"),
        ("1. Mix it.\n2. Bake it.", "Mix it. Then bake it.", None),
        ("It is 3.14, says Bob.", "Bob says that it is 3.14.", None),
        ("I think I am right.", "Perhaps that is right, some think.", None),
    ],
    ids=["comma", "digit", "name", "code", "other code", "list numbers", "order", "I"],
)
def test_what_is_lost_is_named(original, evolved, told):
    example = dspy.Example(instruction="Q", response=original)
    said = adds(example, dspy.Prediction(evolved_response=evolved)).feedback
    assert (told in said) if told else ("lost" not in said)


def test_dspy_and_structq_take_them():
    row = dspy.Example(instruction=ASKED, response=ORIGINAL).with_inputs("instruction", "response")
    found = asyncio.run(as_metric(adds).ameasure(row, dspy.Prediction(evolved_response=ADDED)))
    assert (found.gain, found.failure) == (1, None)
    assert "2.0 new sentences" in found.feedback
    dspy.GEPA(metric=adds, auto="light", reflection_lm=dspy.LM("x/y"))
    evaluate = dspy.Evaluate(devset=[row], metric=adds, num_threads=1)
    assert evaluate(lambda **_: dspy.Prediction(evolved_response=ORIGINAL)).score == 25


@pytest.mark.parametrize("text", ["nothing", "readable:x", "readable:", "adds:3", ""])
def test_a_name_that_there_is_not_is_told(text):
    with pytest.raises(InputError, match=r"metric: .*readable:"):
        metric_named(text)
