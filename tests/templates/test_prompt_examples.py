"""The judged examples that stand before a score prompt."""

import pytest

from structq.templates import score_examples

SCALES = [(1, 2), (1, 2, 3), (1, 2, 3, 4, 5), (0, 1), (0, 2, 4, 6), (1, 5), tuple(range(1, 101))]
every_scale = pytest.mark.parametrize("labels", SCALES, ids=lambda labels: f"{len(labels)} labels")
every_k = pytest.mark.parametrize("k", [1, 2, 3, 4])


@every_k
@every_scale
def test_scores_are_labels_one_a_response(k, labels):
    examples = list(score_examples(k, labels))
    assert len(examples) == 2
    for example in examples:
        assert len(example.responses) == len(set(example.responses)) == len(example.scores) == k
        assert set(example.scores) <= set(labels)
        assert example.instruction


@pytest.mark.parametrize("k", [2, 3, 4])
@every_scale
def test_the_best_and_the_worst_have_the_ends_of_the_scale(k, labels):
    for example in score_examples(k, labels):
        assert (min(example.scores), max(example.scores)) == (labels[0], labels[-1])


@every_scale
def test_one_alone_is_good_in_one_example_and_bad_in_the_other(labels):
    assert sorted(example.scores for example in score_examples(1, labels)) == [
        (labels[0],),
        (labels[-1],),
    ]


@pytest.mark.parametrize("k", [2, 3, 4])
def test_once_the_first_is_the_best_and_once_the_last(k):
    labels = tuple(range(1, k + 2))
    upwards = [list(one.scores) == sorted(one.scores) for one in score_examples(k, labels)]
    downwards = [
        list(one.scores) == sorted(one.scores, reverse=True) for one in score_examples(k, labels)
    ]
    assert sorted(upwards) == sorted(downwards) == [False, True]


@every_k
def test_a_response_that_is_in_two_lists_has_the_same_rank(k):
    # What is better than another with K responses is better with four.
    whole = {one.instruction: one for one in score_examples(4, (1, 2, 3, 4))}
    for example in score_examples(k, (1, 2, 3, 4)):
        known = whole[example.instruction]
        graded = dict(zip(known.responses, known.scores, strict=True))
        by_grade = sorted(example.responses, key=graded.__getitem__)
        by_score = [r for _, r in sorted(zip(example.scores, example.responses, strict=True))]
        assert by_grade == by_score


@pytest.mark.parametrize("k", [5, 6, 40])
def test_more_than_four_responses_have_none(k):
    assert list(score_examples(k, tuple(range(1, k + 2)))) == []
