from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structq.errors import InputError
from structq.export import ExportSettings, ExportTally, export_rows

from .run_rows import run_row

USER = {"role": "user", "content": "Name a prime."}
TURNS = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Name a number."},
    {"role": "assistant", "content": "8"},
    {"role": "user", "content": "Name a prime."},
    {"role": "assistant", "content": "7"},
]


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def export(rows: list[dict[str, Any]], **settings: Any) -> tuple[list[Any], ExportTally]:
    tally = ExportTally()
    return list(export_rows(rows, ExportSettings(**settings), tally)), tally


def why_dropped(row: dict[str, Any], **settings: Any) -> str:
    _, tally = export([run_row(), row], **({"to": "dpo"} | settings))
    assert tally.n_rows == 2
    (reason, dropped), *others = tally.dropped.items()
    assert (others, dropped.n, dropped.first) == ([], 1, 2)
    return reason


RECORDS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("dpo", "trl"): [
        {"prompt": [USER], "chosen": [said("7 is prime.")], "rejected": [said("9")], "margin": 1.5}
    ],
    ("kto", "trl"): [
        {"prompt": [USER], "completion": [said("7 is prime.")], "label": True},
        {"prompt": [USER], "completion": [said("9")], "label": False},
    ],
    ("sft", "trl"): [{"messages": [USER, said("7 is prime.")]}],
    ("sharegpt", "trl"): [
        {
            "conversations": [
                {"from": "human", "value": "Name a prime."},
                {"from": "gpt", "value": "7 is prime."},
            ]
        }
    ],
    ("dpo", "axolotl"): [
        {
            "messages": [USER],
            "chosen": said("7 is prime."),
            "rejected": said("9"),
            "margin": 1.5,
        }
    ],
    ("reward", "axolotl"): [
        {
            "system": "",
            "input": "Name a prime.",
            "chosen": "7 is prime.",
            "rejected": "9",
            "margin": 1.5,
        }
    ],
    ("kto", "axolotl"): [
        {"completion": [USER, said("7 is prime.")], "label": True},
        {"completion": [USER, said("9")], "label": False},
    ],
    ("alpaca", "axolotl"): [
        {"instruction": "Name a prime.", "input": "", "output": "7 is prime.", "system": ""}
    ],
}
for _kind, _trainer, _like in [
    ("reward", "trl", ("dpo", "trl")),
    ("sft", "axolotl", ("sft", "trl")),
    ("sharegpt", "axolotl", ("sharegpt", "trl")),
    ("dpo", "llama-factory", ("dpo", "axolotl")),
    ("reward", "llama-factory", ("dpo", "axolotl")),
    ("kto", "llama-factory", ("kto", "axolotl")),
    ("sft", "llama-factory", ("sft", "trl")),
    ("sharegpt", "llama-factory", ("sharegpt", "trl")),
    ("alpaca", "llama-factory", ("alpaca", "axolotl")),
]:
    RECORDS[_kind, _trainer] = RECORDS[_like]


@pytest.mark.parametrize(("kind", "trainer"), RECORDS, ids="-".join)
def test_records_have_the_columns_of_their_trainer(kind: str, trainer: str) -> None:
    records, _ = export([run_row()], to=kind, trainer=trainer)
    assert records == RECORDS[kind, trainer]


def test_margin_can_be_left_out() -> None:
    records, _ = export([run_row()], to="dpo", margin=False)
    assert list(records[0]) == ["prompt", "chosen", "rejected"]


DROPPED: dict[str, tuple[dict[str, Any], str]] = {
    "tie": ({"expected_scores": [2.0, 2.0, 2.0]}, "a tie"),
    "tie by rounding": ({"expected_scores": [0.1 + 0.2, 0.3, 0.3]}, "a tie"),
    "null scores": ({"scores": [None] * 3, "expected_scores": None}, "no scores"),
    "NaN scores": ({"scores": [float("nan")] * 3, "expected_scores": None}, "no scores"),
    "failed row": ({"scores": None, "expected_scores": None}, "no scores"),
    "one score": (
        {"scores": [None, 2.0, None], "expected_scores": None},
        "fewer than two responses with a score",
    ),
    "true is no score": ({"scores": [True] * 3, "expected_scores": None}, "no scores"),
    "too few scores": (
        {"scores": [1.0], "expected_scores": None},
        "scores: not one a response",
    ),
    "same text": ({"responses": ["7", "7", "7"]}, "the responses are the same text"),
    "same but for white space": (
        {"responses": ["a b", " a\n\tb ", "a  b"]},
        "the responses are the same text",
    ),
    "same but for composition": (
        {"responses": ["caf\u00e9"] * 2 + ["cafe\u0301"]},
        "the responses are the same text",
    ),
    "blank": ({"responses": ["", "\n", " "]}, "responses: blank"),
    "a number": ({"responses": ["7", 7, "9"]}, "responses: not text"),
    "text": ({"responses": "7"}, "no responses"),
    "nothing asked": ({"instruction": " "}, "instruction: blank"),
    "no instruction": ({"instruction": None}, "no instruction and no messages"),
    "surrogate in a response": (
        {"responses": ["7", "\ud800", "9"]},
        "responses: a lone surrogate, which UTF-8 cannot hold",
    ),
    "surrogate in the instruction": (
        {"instruction": "\udfff?"},
        "instruction: a lone surrogate, which UTF-8 cannot hold",
    ),
    "surrogate in the system prompt": (
        {"system_prompt": "\ud83d"},
        "system_prompt: a lone surrogate, which UTF-8 cannot hold",
    ),
    "tool turn": (
        {"messages": [USER, {"role": "tool", "content": "7"}]},
        "messages: a role other than system, user and assistant",
    ),
    "two user turns": (
        {"messages": [USER, USER]},
        "messages: turns of user and assistant do not alternate",
    ),
    "only a system turn": (
        {"messages": TURNS[:1]},
        "messages: turns of user and assistant do not alternate",
    ),
    "only an answer": (
        {"messages": TURNS[-1:]},
        "messages: turns of user and assistant do not alternate",
    ),
    "parts": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}]}]},
        "messages: not text",
    ),
    "no turns": ({"messages": []}, "messages: not a list of turns"),
    "texts as turns": ({"messages": ["?"]}, "messages: a turn without role and content"),
}


@pytest.mark.parametrize(("changes", "reason"), DROPPED.values(), ids=DROPPED)
def test_a_row_is_dropped_for_its_reason(changes: dict[str, Any], reason: str) -> None:
    assert why_dropped(run_row(**changes)) == reason


SETTINGS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "best against worst": ({}, [("7 is prime.", "9")]),
    "best against original": ({"pairs": "best-original"}, [("7 is prime.", "7")]),
    "all": ({"pairs": "all"}, [("7 is prime.", "7"), ("7 is prime.", "9"), ("7", "9")]),
    "all above a margin": ({"pairs": "all", "min_margin": 1.0}, [("7 is prime.", "9"), ("7", "9")]),
    "all above a threshold": (
        {"pairs": "all", "threshold": 2.5},
        [("7 is prime.", "7"), ("7 is prime.", "9")],
    ),
    "by labels": ({"scores": "scores", "min_margin": 2.0}, [("7 is prime.", "9")]),
}


@pytest.mark.parametrize(("settings", "expected"), SETTINGS.values(), ids=SETTINGS)
def test_pairs_are_those_asked_for(
    settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    records, _ = export([run_row()], to="reward", trainer="axolotl", **settings)
    assert [(one["chosen"], one["rejected"]) for one in records] == expected


@pytest.mark.parametrize(
    ("changes", "settings", "reason"),
    [
        ({}, {"min_margin": 1.6}, "the margin is too small"),
        ({}, {"min_margin": 1.6, "pairs": "all"}, "the margin is too small"),
        ({}, {"threshold": 2.8}, "the best response is below the threshold"),
        ({"expected_scores": [3, 2, 1]}, {"pairs": "best-original"}, "the original is the best"),
        (
            {"expected_scores": [None, 2, 1]},
            {"pairs": "best-original"},
            "the original has no score",
        ),
        ({"expected_scores": None}, {"scores": "expected_scores"}, "no scores"),
        (
            {"messages": TURNS},
            {"to": "alpaca", "trainer": "axolotl"},
            "several turns, where alpaca for axolotl holds one",
        ),
    ],
    ids=["margin", "margin of all", "threshold", "original", "no original", "column", "turns"],
)
def test_a_row_that_the_settings_refuse_is_counted(
    changes: dict[str, Any], settings: dict[str, Any], reason: str
) -> None:
    tally = ExportTally()
    rows = export_rows([run_row(**changes)], ExportSettings(**({"to": "dpo"} | settings)), tally)
    with pytest.raises(InputError, match=reason):
        list(rows)
    assert list(tally.dropped) == [reason]


def test_the_worst_is_the_worst_of_other_texts() -> None:
    row = run_row(responses=["7", "8", "8 "], expected_scores=[2.0, 3.0, 1.0])
    records, _ = export([row], to="dpo")
    assert records[0]["rejected"] == [said("7")]


def test_the_first_of_equal_responses_is_the_best() -> None:
    records, _ = export([run_row(expected_scores=[3.0, 3.0, 1.0])], to="sft")
    assert records[0]["messages"][-1] == said("7")


def test_missing_scores_of_some_responses_leave_the_others() -> None:
    row = run_row(scores=[None, 2, 3], expected_scores=[None, None, None])
    records, _ = export([row], to="dpo")
    assert (records[0]["chosen"], records[0]["rejected"]) == ([said("9")], [said("7 is prime.")])


def test_a_text_that_came_twice_is_the_first_of_them() -> None:
    row = run_row(responses=["7", "8", " 7"], expected_scores=[1.0, 2.0, 3.0])
    pairs, _ = export([row], to="reward", trainer="axolotl", pairs="all")
    assert [(one["chosen"], one["rejected"]) for one in pairs] == [("8", "7")]
    labelled, _ = export([row], to="kto", threshold=2.0)
    assert [one["label"] for one in labelled] == [False, True]


def test_labels_follow_the_threshold() -> None:
    records, tally = export([run_row()], to="kto", threshold=2.25)
    assert [one["label"] for one in records] == [True, True, False]
    assert (tally.n_records, tally.n_desirable) == (3, 2)


def test_messages_are_context_and_their_last_answer_is_not() -> None:
    records, _ = export([run_row(messages=TURNS)], to="dpo")
    assert records[0]["prompt"] == TURNS[:-1]


def test_the_last_answer_is_the_response_where_there_are_no_others() -> None:
    row = {"messages": TURNS, "scores": [4.0]}
    records, _ = export([row], to="sft")
    assert records[0]["messages"] == TURNS


def test_a_response_and_its_score_are_enough_to_learn_from() -> None:
    records, _ = export([{"instruction": "?", "response": "!", "scores": [4.0]}], to="sft")
    assert records[0]["messages"][-1] == said("!")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Be kind."),
        ({"system_prompt": None}, "Be kind."),
        ({"system_prompt": "Be brave."}, "Be brave."),
        ({"messages": TURNS}, "Be brief."),
        ({"messages": TURNS[1:]}, "Be kind."),
    ],
    ids=["none", "null", "own", "turn", "turns without"],
)
def test_a_conversation_keeps_its_own_system_message(
    changes: dict[str, Any], expected: str
) -> None:
    records, _ = export([run_row(**changes)], to="dpo", system_prompt="Be kind.")
    assert records[0]["prompt"][0] == {"role": "system", "content": expected}


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"to": "alpaca"}, "to: alpaca for trl"),
        ({"to": "kto", "pairs": "all"}, "pairs: all with kto"),
        ({"to": "ppo"}, "to: "),
        ({"to": "dpo", "min_margin": -1}, "min_margin: "),
        ({"to": "dpo", "threshold": float("nan")}, "threshold: "),
        ({"to": "dpo", "trainer": "unsloth"}, "trainer: "),
        ({"to": "dpo", "tie": 1}, "unknown setting 'tie'"),
        ({}, "to: "),
    ],
    ids=["alpaca", "kto", "kind", "negative", "nan", "trainer", "unknown", "missing"],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(InputError, match=fault) as told:
        ExportSettings(**settings)
    assert told.value.field in (*settings, "to")


def test_no_rows_is_an_error() -> None:
    with pytest.raises(InputError, match="there are none"):
        export([], to="dpo")


def test_rows_of_another_kind_are_told_what_is_needed() -> None:
    with pytest.raises(InputError, match=r"none of 2 .*: 2, first row 1.*: needs instruction"):
        export([{"prompt": "?", "completion": "!"}] * 2, to="dpo")


TEXTS = st.text("ab \n\u00e9\u00a0", max_size=4)
SCORES = st.one_of(st.none(), st.floats(), st.integers(-3, 3), st.booleans(), st.just("1"))


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"instruction": st.one_of(TEXTS, st.none(), st.just("?"))},
            optional={
                "responses": st.lists(st.one_of(TEXTS, st.sampled_from(["a", "a ", "b"]))),
                "scores": st.lists(SCORES, max_size=4),
                "expected_scores": st.lists(SCORES, max_size=4),
            },
        ),
        max_size=4,
    ),
    pairs=st.sampled_from(["best-worst", "best-original", "all"]),
    min_margin=st.sampled_from([0.0, 0.5, 2.0]),
)
def test_every_row_is_used_or_counted_and_no_pair_is_of_one_text(
    rows: list[dict[str, Any]], pairs: str, min_margin: float
) -> None:
    tally = ExportTally()
    settings = ExportSettings(to="dpo", pairs=pairs, min_margin=min_margin)
    good = run_row(expected_scores=[2.0, 5.0, 1.0])
    records = list(export_rows([*rows, good], settings, tally))
    assert tally.n_rows == len(rows) + 1 == tally.n_used + tally.dropped.n_rows
    for record in records:
        chosen, rejected = record["chosen"][0]["content"], record["rejected"][0]["content"]
        assert chosen.split() != rejected.split()
        assert record["margin"] > 0
        assert record["margin"] >= min_margin - 1e-9
