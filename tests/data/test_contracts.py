import pytest

from structq.data import EVOLVING, SCORING
from structq.data.contracts import MAX_DEPTH, find_unwritable

GOOD = {"instruction": "Name a tree.", "response": "oak"}


@pytest.mark.parametrize(
    ("changed", "field", "found"),
    [
        ({"instruction": 7}, "instruction", "a number: 7"),
        ({"instruction": True}, "instruction", "a boolean: True"),
        ({"instruction": ""}, "instruction", "blank: ''"),
        ({"instruction": " \t\u3000"}, "instruction", "blank"),
        ({"response": None}, "response", "null"),
        ({"response": {"text": "oak"}}, "response", "an object"),
        ({"response": ["oak"]}, "response", "a list"),
    ],
)
def test_evolving_names_the_field_and_what_was_found(changed, field, found):
    fault = EVOLVING.fault(GOOD | changed)
    assert fault is not None
    assert fault.field == field
    assert found in fault.reason


@pytest.mark.parametrize("column", ["instruction", "response"])
def test_evolving_misses_a_column(column):
    fault = EVOLVING.fault({name: text for name, text in GOOD.items() if name != column})
    assert fault is not None
    assert (fault.field, "missing" in fault.reason) == (column, True)


@pytest.mark.parametrize("response", ["", " ", "oak", "\u2028"])
def test_evolving_takes_any_text_as_response(response):
    assert EVOLVING.fault(GOOD | {"response": response}) is None


def test_evolving_does_not_look_at_other_columns():
    assert EVOLVING.fault(GOOD | {"responses": None, "system_prompt": 7, "id": {}}) is None


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"responses": []}, "responses"),
        ({"responses": "oak"}, "responses"),
        ({"responses": ["oak", None]}, "responses[1]"),
        ({"responses": ["oak", "ash", 3]}, "responses[2]"),
        ({"system_prompt": 7}, "system_prompt"),
    ],
)
def test_scoring_names_the_field(changed, field):
    fault = SCORING.fault({"instruction": "Name a tree.", "responses": ["oak"]} | changed)
    assert fault is not None
    assert fault.field == field


@pytest.mark.parametrize("extra", [{}, {"system_prompt": None}, {"system_prompt": "Be strict."}])
def test_scoring_takes_a_system_prompt_or_none(extra):
    assert SCORING.fault({"instruction": "Name a tree.", "responses": ["", "oak"]} | extra) is None


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"a": "\ud83d"}, "a"),
        ({"a": {"b": ["x", "\udc00"]}}, "a.b[1]"),
        ({"a": {"\ud83d": 1}}, "a"),
        ({"\ud83d": 1}, None),
        ({"a": [1.0, float("nan")]}, "a[1]"),
        ({"a": float("inf")}, "a"),
    ],
)
def test_what_a_utf8_json_file_cannot_hold_is_found(values, field):
    fault = find_unwritable(values)
    assert fault is not None
    assert fault.field == field


def test_nesting_is_limited():
    value: object = "deep"
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert find_unwritable({"a": value}) is None
    fault = find_unwritable({"a": [value]})
    assert fault is not None
    assert "nested" in fault.reason
