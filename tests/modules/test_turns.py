"""Scores of conversations: the last answer, or the sum over all, as DEITA adds them."""

import pytest

import structq
from structq.errors import InputError
from structq.modules.turns import read_conversation
from tests.scripted import ScriptedEngine, make_lm, prompt_of

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a prime."},
    {"role": "assistant", "content": "Nine."},
    {"role": "user", "content": "Sure?"},
    {"role": "assistant", "content": "Seven."},
]
GRADES = {"Nine.": 2, "Seven.": 5, "Seven, of course.": 6}


def grade(request):
    """The grades of the responses that a prompt shows, in their order."""
    prompt = prompt_of(request)
    shown = prompt[prompt.rindex("Sure?") :] if "Sure?" in prompt else prompt
    scores = [GRADES[text] for text in ("Nine.", "Seven.", "Seven, of course.") if text in shown]
    return f'{{"scores": {scores}}}'


def scored(row, script=grade, **options):
    engine = ScriptedEngine(script)
    options = {"scale": (1, 6), "turns": "sum", **options}
    scorer = structq.QualityScorer(lm=make_lm(engine), **options)
    (done,) = next(scorer.process([row]))
    return done, engine


@pytest.mark.parametrize("scoring", ["joint", "independent"])
def test_the_sum_adds_each_answer_under_what_was_said_before(scoring):
    done, engine = scored({"id": 3, "messages": TALK}, scoring=scoring)
    assert done["metadata"]["error"] is None
    assert (done["scores"], done["metadata"]["turn_scores"]) == ([7.0], [2.0])
    assert done["expected_scores"] is None
    prompts = [prompt_of(request) for request in engine.requests]
    assert len(prompts) == 2
    assert "Sure?" not in next(p for p in prompts if "Seven." not in p)
    assert "User: Name a prime.\n\nAssistant: Nine.\n\nUser: Sure?" in "\n".join(prompts)
    assert all(request.system == "Be brief." for request in engine.requests)


def test_several_last_answers_get_the_sum_each():
    row = {"messages": TALK, "responses": ["Seven.", "Seven, of course."]}
    done, _ = scored({**row, "best_response": "Seven."})
    assert done["scores"] == [7.0, 8.0]
    assert done["best_response"] == "Seven, of course."


def test_the_last_answer_alone_counts_by_default():
    row = {"instruction": "Sure?", "responses": ["Seven."], "messages": TALK}
    done, engine = scored(row, turns="last")
    assert done["scores"] == [5.0]
    assert len(engine.requests) == 1
    assert "turn_scores" not in done["metadata"]


def test_sums_of_expected_scores_are_measured_and_have_no_distribution():
    scorer = structq.QualityScorer(
        scale=(1, 6), turns="sum", lm=make_lm(ScriptedEngine(measures=True))
    )
    (done,) = next(scorer.process([{"messages": TALK}]))
    (before,) = done["metadata"]["turn_expected_scores"]
    alone = scorer(
        instruction=read_conversation(TALK).answers[-1][0], responses=["Seven."],
        system_prompt="Be brief.",
    )  # fmt: skip
    assert done["expected_scores"] == [pytest.approx(alone.expected_scores[0] + before)]
    assert done["score_distributions"] is None


def test_an_earlier_answer_without_a_score_leaves_no_sum_and_says_why():
    def lines(request):
        return "[1] Score: 5" if "Sure?" in prompt_of(request) else "nothing"

    done, _ = scored({"messages": TALK}, lines, use_default_structured_output=False)
    assert done["scores"] == [None]
    (unscored,) = done["metadata"]["unscored"]
    assert unscored["reason"].startswith("turn 1: ")


@pytest.mark.parametrize("n_turns", [1, 2, 3])
def test_one_question_an_answer(n_turns):
    talk = [
        {"from": who, "value": f"{who} {i}"} for i in range(n_turns) for who in ("human", "gpt")
    ]
    done, engine = scored({"conversations": talk}, lambda request: '{"scores": [3]}')
    assert (done["scores"], len(engine.requests)) == ([3.0 * n_turns], n_turns)


def test_a_sum_needs_a_fixed_scale():
    with pytest.raises(InputError, match="a sum over turns needs a fixed one"):
        structq.QualityScorer(turns="sum")


def test_what_is_evolved_is_compared_by_the_same_sum():
    scorer = structq.QualityScorer(scale=(1, 6), turns="sum")
    task = structq.EvolveAndScore(
        structq.EvolQuality(), scorer, lm=make_lm(ScriptedEngine(measures=False))
    )
    row = {"instruction": "Sure?", "response": "Seven.", "messages": TALK}
    (done,) = next(task.process([row]))
    assert len(done["scores"]) == 2
    (before,) = done["metadata"]["turn_scores"]
    assert min(done["scores"]) > before
    again = next(task.process([{**done, "messages": TALK[:3]}]))[0]
    assert "turn_scores" not in again["metadata"]


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ("text", "must be a list of messages"),
        ([], "no answer at the end"),
        (TALK[:2], "no answer at the end"),
        (TALK[:4], "no answer at the end"),
        ([{"role": "assistant", "content": "Hello."}], "no answer at the end"),
        ([{"role": "tool", "content": "x"}, *TALK], r"messages\[0\]: "),
        ([*TALK, {"role": "assistant", "content": None}], r"messages\[5\]: "),
    ],
)
def test_what_is_no_conversation_is_named(messages, told):
    with pytest.raises(InputError, match=told):
        read_conversation(messages)


def test_a_greeting_of_the_assistant_is_context_and_no_answer():
    talk = [{"role": "assistant", "content": "Hello."}, *TALK[1:3]]
    (only,) = read_conversation(talk).answers
    assert only == ("Assistant: Hello.\n\nUser: Name a prime.", "Nine.")
