import pytest

from structq.errors import InputError
from structq.evaluation import labels_of

RESPONSES = ["a", "b", "c"]
GOOD = {
    "the best one": ({"best": 1}, (0, 1, 0), "best"),
    "its place alone": (2, (0, 0, 1), "best"),
    "right or wrong": ({"correct": [True, False, True]}, (1, 0, 1), "correct"),
    "booleans": ([False, True, False], (0, 1, 0), "correct"),
    "numbers": ([1, 2.5, 3], (1, 2.5, 3), "human_scores"),
    "people's scores": ({"human_scores": [0.0, 0.3, 1]}, (0, 0.3, 1), "human_scores"),
    "a model's scores": ({"model_scores": [5, 4, 1], "scorer": "x"}, (5, 4, 1), "model_scores"),
    "the first kind counts": ({"human_scores": [1, 2, 3], "best": 0}, (1, 0, 0), "best"),
    "a tie": ({"tie": True, "votes": [0, 0, 1]}, (0.5, 0.5, 0.5), "best"),
}


@pytest.mark.parametrize(("given", "values", "kind"), GOOD.values(), ids=GOOD)
def test_labels_are_one_number_a_response(given, values, kind):
    found = labels_of({"responses": RESPONSES, "labels": given})
    assert (found.values, found.kind, found.compares) == (values, kind, kind == "best")


def test_one_kind_may_be_asked_for():
    row = {"responses": RESPONSES, "labels": {"best": 0, "human_scores": [3, 2, 1]}}
    assert labels_of(row, kind="human_scores").values == (3, 2, 1)
    assert labels_of(row, kind="correct") is None
    assert labels_of({"responses": RESPONSES}) is None
    assert labels_of({"responses": RESPONSES, "marks": 1}, column="marks").kind == "best"


BAD = {
    "a place that is not there": ({"best": 3}, r"labels.best: must be the place"),
    "a place below 0": (-1, r"labels.best"),
    "a boolean place": ({"best": True}, r"labels.best"),
    "too few": ({"correct": [True]}, r"labels.correct: must be a list of 3"),
    "no number": ([1, None, 2], r"labels.human_scores\[1\]"),
    "not finite": ([1, float("nan"), 2], r"labels.human_scores\[1\]"),
    "text": ("good", r"labels: must be labels"),
    "texts": ({"human_scores": ["5", "4", "1"]}, r"labels.human_scores\[0\]"),
    "no list": ({"human_scores": 5}, r"labels.human_scores"),
}


@pytest.mark.parametrize(("given", "told"), BAD.values(), ids=BAD)
def test_other_labels_are_refused_by_their_place(given, told):
    with pytest.raises(InputError, match=told):
        labels_of({"responses": RESPONSES, "labels": given})
