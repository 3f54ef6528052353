import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structq.schemas import AnswerFormatError, parse_answer

SCORES = {
    "type": "object",
    "properties": {
        "scores": {
            "type": "array",
            "items": {"type": "integer", "enum": [1, 2, 3]},
            "minItems": 2,
            "maxItems": 2,
        }
    },
    "required": ["scores"],
    "additionalProperties": False,
}
TEXT = {
    "type": "object",
    "properties": {"evolved_response": {"type": "string"}},
    "required": ["evolved_response"],
    "additionalProperties": False,
}


def one(schema):
    return {**TEXT, "properties": {"a": schema}, "required": ["a"]}


def test_valid_answer_is_its_value():
    assert parse_answer(' {"scores":[3,1]}\n', SCORES) == {"scores": [3, 1]}


@pytest.mark.parametrize(
    "text",
    [
        '{"scores":[3]}',
        '{"scores":[3,1,1]}',
        '{"scores":[3,4]}',
        '{"scores":[3,1.0]}',
        '{"scores":[3,true]}',
        '{"scores":[3,"1"]}',
        '{"scores":[3,null]}',
        '{"scores":3}',
        '{"scores":[3,1],"why":"x"}',
        '{"scores":[3,1],"scores":[1,3]}',
        "{}",
        "[3,1]",
        '{"scores":[3,1',
        '{"scores":[3,1]} and more',
        '```json\n{"scores":[3,1]}\n```',
        "{'scores':[3,1]}",
        '{"scores":[3,NaN]}',
        "",
        "[" * 100_000,
        '{"scores":[3,' + "1" * 5000 + "]}",
    ],
    ids=lambda text: text[:24],
)
def test_anything_else_is_refused(text):
    with pytest.raises(AnswerFormatError):
        parse_answer(text, SCORES)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer", "minimum": 2}, "2", ["1", "2.0", "true"]),
        ({"type": "integer", "multipleOf": 3}, "9" * 400, ["4"]),
        ({"type": "number", "maximum": 1}, "0.5", ["1.5", "1e999", "true", '"1"']),
        ({"type": "number", "multipleOf": 0.1}, "0.3", ["0.35"]),
        ({"type": "boolean"}, "true", ["1", '"true"']),
        ({"type": "null"}, "null", ["0"]),
        ({"type": "string", "maxLength": 2}, '"ab"', ['"abc"', "1"]),
        ({"type": "string", "pattern": "^a"}, '"ab"', ['"b"']),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "null", ["1"]),
        ({"const": 1}, "1", ["true", "1.0"]),
        ({"type": "array", "prefixItems": [{"type": "null"}], "items": False}, "[null]", ["[1]"]),
        ({"type": "string"}, '"\\u00e9"', ['"\\ud800"']),
    ],
    ids=str,
)
def test_types_are_strict(schema, good, bad):
    parse_answer(f'{{"a":{good}}}', one(schema))
    for text in bad:
        with pytest.raises(AnswerFormatError, match="/a"):
            parse_answer(f'{{"a":{text}}}', one(schema))


@given(st.text())
def test_every_text_survives(text):
    answer = json.dumps({"evolved_response": text})
    assert parse_answer(answer, TEXT) == {"evolved_response": text}


@given(st.text())
def test_no_text_is_repaired(text):
    try:
        value = parse_answer(text, TEXT)
    except AnswerFormatError:
        return
    assert json.loads(text) == value
