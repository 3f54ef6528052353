"""Score distributions from recorded answers of servers, and against the exact ones."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from structq.decoding import LabelTrie, TokenScore, read_slots

# A llama.cpp server (build 11549) with nano's weights, top_logprobs 5; the last token is the end.
RECORDED = [
    ("{", 0.0, [("{", 0.0), ("", -11.2804), (" dealing", -14.6751), ("2", -14.8476)]),
    ('"', -0.0002, [('"', -0.0002), ("}", -8.5484), ("scores", -11.8822), ("{", -12.2127)]),
    ("scores", -0.0003, [("scores", -0.0003), (":", -9.0049), ("evolved", -9.5896)]),
    ('"', -0.0011, [('"', -0.0011), ("}", -8.6873), (" the", -9.6803), (" You", -10.0416)]),
    (":", -0.0003, [(":", -0.0003), ("scores", -9.8625), ('"', -10.9047), ("{", -11.16)]),
    ("[", -0.0002, [("[", -0.0002), ('"', -10.9605), (":", -11.3039), (" ", -12.2996)]),
    ("1", -0.0292, [("1", -0.0292), ("2", -3.5872), ("3", -9.044), ("4", -9.5244), (".", -9.6201)]),
    (",", -0.1682, [(",", -0.1682), ("]", -1.9126), (".", -5.2385), ("0", -7.8488)]),
    ("1", -0.5958, [("1", -0.5958), ("2", -0.8155), ("3", -5.1898), ("4", -8.1843)]),
    ("]", -0.4286, [("]", -0.4286), (",", -1.0662), (".", -6.0553), ("0", -7.4219)]),
    ("}", -0.0011, [("}", -0.0011), ("", -7.1236), ("scores", -8.7441), ("\\n", -11.4712)]),
    ("", -0.0001, [("", -0.0001), ("\\n", -12.5079), ("scores", -12.6289), (" to", -13.1277)]),
]


def scored(rows):
    return [
        TokenScore(
            text=text.encode(), logprob=log, top=tuple((t.encode(), p) for t, p in alternatives)
        )
        for text, log, alternatives in rows
    ]


def answer(*slots, between=None):
    """Tokens of ``{"scores":[a,b]}`` from ``(chosen, {token: probability})`` a slot."""
    rows = [('{"', 0.0, [('{"', 0.0)]), ("scores", 0.0, [("scores", 0.0)])]
    rows.append(('":[', 0.0, [('":[', 0.0)]))
    for place, (chosen, alternatives) in enumerate(slots):
        if place and between:
            rows.append((between, 0.0, [(between, 0.0)]))
        top = [(token, math.log(p)) for token, p in alternatives.items()]
        rows.append((chosen, dict(top).get(chosen, -9.0), top))
    rows.append(("]}", 0.0, [("]}", 0.0)]))
    return "".join(row[0] for row in rows), scored(rows)


def test_a_recorded_answer_of_llama_cpp():
    found = read_slots('{"scores":[1,1]}', scored(RECORDED), (1, 2, 3), 2)
    assert found.reason is None
    np.testing.assert_allclose(found.distributions[0], [0.97218, 0.0277, 0.00012], atol=1e-5)
    np.testing.assert_allclose(np.sum(found.distributions, axis=1), 1, atol=1e-12)
    raw = [math.exp(-0.5958) + math.exp(-0.8155) + math.exp(-5.1898)]
    np.testing.assert_allclose(found.label_mass[1], raw[0], atol=1e-9)


def test_a_label_below_the_top_leaves_no_distribution_but_the_mass():
    found = read_slots('{"scores":[1,1]}', scored(RECORDED), (1, 2, 3, 4, 5), 2)
    assert found.distributions is None
    assert found.reason == (
        "score 1: the label 5 is not among the 5 most likely tokens that the server returned"
    )
    assert 0.99 < found.label_mass[0] <= 1


def test_spaces_and_what_follows_belong_to_the_label():
    text, tokens = answer(
        ("4,", {"4,": 0.3, "4": 0.1, " 4": 0.1, "3": 0.2, " 3,": 0.1, "4.": 0.1}),
        (" 3", {"3": 0.5, " 4": 0.25, " 3": 0.25}),
    )
    found = read_slots(text, tokens, (3, 4), 2)
    assert found.reason is None
    np.testing.assert_allclose(found.distributions[0], [0.3 / 0.8, 0.5 / 0.8], atol=1e-12)
    np.testing.assert_allclose(found.distributions[1], [0.75, 0.25], atol=1e-12)
    np.testing.assert_allclose(found.label_mass, [0.8, 1.0], atol=1e-12)


def test_a_score_that_shares_its_token_with_a_bracket():
    rows = [('{"scores":', 0.0, [('{"scores":', 0.0)])]
    top = [("[2", math.log(0.6)), ("[1", math.log(0.3)), ("2", math.log(0.05)), ("[", -9.0)]
    rows += [("[2", math.log(0.6), top), ("]}", 0.0, [("]}", 0.0)])]
    found = read_slots('{"scores":[2]}', scored(rows), (1, 2), 1)
    np.testing.assert_allclose(found.distributions[0], [1 / 3, 2 / 3], atol=1e-12)


def test_the_taken_token_counts_even_if_it_is_not_among_the_likeliest():
    rows = [('{"scores":[', 0.0, [('{"scores":[', 0.0)])]
    rows += [("3", math.log(0.1), [("1", math.log(0.5)), ("2", math.log(0.4))])]
    rows += [("]}", 0.0, [("]}", 0.0)])]
    found = read_slots('{"scores":[3]}', scored(rows), (1, 2, 3), 1)
    np.testing.assert_allclose(found.distributions[0], [0.5, 0.4, 0.1], atol=1e-12)


def test_ten_as_one_token_is_a_label_like_any_other():
    text, tokens = answer(("10", {"9": 0.5, "10": 0.3, "1": 0.2}))
    found = read_slots(text, tokens, (1, 9, 10), 1)
    np.testing.assert_allclose(found.distributions[0], [0.2, 0.5, 0.3], atol=1e-12)


@pytest.mark.parametrize("chosen", ["1", "9"])
def test_ten_in_single_digits_cannot_be_told_from_one(chosen):
    text, tokens = answer((chosen, {"9": 0.5, "1": 0.4, "2": 0.1}))
    found = read_slots(text, tokens, (1, 9, 10), 1)
    assert found.distributions is None
    assert "10 begins like another one (1)" in found.reason


def test_labels_of_several_tokens_count_where_the_answer_took_their_road():
    digits = ("1", {"1": 0.8, "2": 0.2}), ("2", {"0": 0.1, "1": 0.2, "2": 0.6, "]": 0.1})
    text, tokens = answer(*digits)
    found = read_slots(text, tokens, (10, 11, 12), 1)
    np.testing.assert_allclose(found.distributions[0], [1 / 9, 2 / 9, 6 / 9], atol=1e-12)
    np.testing.assert_allclose(found.label_mass, [0.8 * 0.9], atol=1e-12)


def test_labels_of_several_tokens_on_another_road_do_not():
    text, tokens = answer(("1", {"1": 0.8, "-": 0.2}))
    found = read_slots(text, tokens, (-1, 1), 1)
    assert "took another road" in found.reason


def test_signs_inside_one_token_are_read():
    text, tokens = answer(("-1", {"-1": 0.7, "0": 0.2, "1": 0.1}), (",0", {",0": 1.0, ",1": 1e-9}))
    found = read_slots(text, tokens, (-1, 0, 1), 2)
    assert found.distributions is None  # ",-1" was not shown
    assert found.reason.startswith("score 2: the label -1 ")
    np.testing.assert_allclose(found.label_mass[0], 1.0)


@pytest.mark.parametrize(
    ("text", "n_scores", "reason"),
    [
        ('{"scores":[1,1]}', 3, "2 scores"),
        ('{"scores":[2,1]}', 2, "do not spell"),
        ('{"scores":[]}', 0, "do not spell"),
        ('{"scores', 2, "0 lists"),
    ],
    ids=["too few", "another answer", "nothing", "cut off"],
)
def test_an_answer_that_does_not_fit_gives_a_reason(text, n_scores, reason):
    found = read_slots(text, scored(RECORDED), (1, 2, 3), n_scores)
    assert found.distributions is None
    assert reason in found.reason


def test_a_server_that_shows_no_alternatives():
    tokens = [TokenScore(text=t.text, logprob=t.logprob) for t in scored(RECORDED)]
    found = read_slots('{"scores":[1,1]}', tokens, (1, 2, 3), 2)
    assert "no alternatives" in found.reason


def test_tokens_before_and_after_the_answer_do_not_matter():
    around = [("<think>", -0.1, [("<think>", -0.1)]), *RECORDED, ("\n", -0.1, [("\n", -0.1)])]
    plain = read_slots('{"scores":[1,1]}', scored(RECORDED), (1, 2, 3), 2)
    assert read_slots('{"scores":[1,1]}', scored(around), (1, 2, 3), 2) == plain


@pytest.mark.parametrize("log", [math.nan, -math.inf, -3.4e38], ids=str)
def test_what_is_no_probability_is_not_counted(log):
    rows = [('{"scores":[', 0.0, [('{"scores":[', 0.0)])]
    rows += [("1", log, [("1", log), ("2", log)]), ("]}", 0.0, [("]}", 0.0)])]
    found = read_slots('{"scores":[1]}', scored(rows), (1, 2), 1)
    assert found.distributions is None
    assert found.reason


VOCABULARY = ["0", "1", "2", "3", "4", "5", " 1", "a", ",", "]"]


@given(
    logits=st.lists(st.floats(-8, 8), min_size=len(VOCABULARY), max_size=len(VOCABULARY)),
    n_top=st.integers(1, len(VOCABULARY)),
    chosen=st.integers(0, 5),
)
def test_it_is_the_exact_distribution_or_none(logits, n_top, chosen):
    """Against `LabelTrie` on the same logits, where no other token says a label."""
    logs = np.asarray(logits) - np.logaddexp.reduce(logits)
    logs[VOCABULARY.index(" 1")] = -50
    order = sorted(range(len(logs)), key=lambda i: -logs[i])[:n_top]
    top = [(VOCABULARY[i], float(logs[i])) for i in order]
    rows = [('{"scores":[', 0.0, [('{"scores":[', 0.0)])]
    rows += [(str(chosen), float(logs[chosen]), top), ("]}", 0.0, [("]}", 0.0)])]
    found = read_slots(f'{{"scores":[{chosen}]}}', scored(rows), range(6), 1)
    if set(range(6)) <= {*order, chosen}:
        exact = LabelTrie([(i,) for i in range(6)]).measure({(): logs.astype(np.float32)})
        np.testing.assert_allclose(found.distributions[0], exact.probabilities, atol=1e-6)
    else:
        assert found.distributions is None
        assert "is not among" in found.reason
