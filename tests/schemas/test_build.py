import enum
import gc
import json
import weakref
from typing import Annotated, Literal

import dspy
import pydantic
import pytest

from structq.errors import SchemaError
from structq.schemas import outputs_of, response_format, show_form, to_json
from structq.signatures import EvolveResponse, ScoreCall, ScoreResponses, score_signature


class Person(pydantic.BaseModel):
    name: str
    age: int | None = None


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


def signature(**types):
    fields = {"question": (str, dspy.InputField())}
    fields.update({name: (kind, dspy.OutputField()) for name, kind in types.items()})
    return dspy.Signature(fields, "Do it.")


def test_evolve_schema_is_closed_and_complete():
    assert outputs_of(EvolveResponse).schema == {
        "type": "object",
        "properties": {"evolved_response": {"type": "string"}},
        "required": ["evolved_response"],
        "additionalProperties": False,
    }


def test_score_schema_has_exactly_k_items():
    derived = score_signature(ScoreResponses, ScoreCall(3, None))
    item = {"type": "integer", "enum": [1, 2, 3, 4]}
    scores = outputs_of(derived).schema["properties"]["scores"]
    assert scores == {"type": "array", "items": item, "minItems": 3, "maxItems": 3}
    assert outputs_of(derived).labels == (1, 2, 3, 4)
    score = "<1, 2, 3 or 4>"
    assert outputs_of(derived).form == f'{{"scores": [{score}, {score}, {score}]}}'
    assert outputs_of(derived).compact_form == '{"scores":[s1,s2,s3]}'


def test_a_long_list_of_scores_is_shown_by_its_first():
    derived = score_signature(ScoreResponses, ScoreCall(9, (0, 1)))
    assert outputs_of(derived).form == '{"scores": [<0 or 1>, ...]}'
    assert outputs_of(derived).compact_form.endswith("s8,s9]}")


def test_response_format_is_strict_and_built_once():
    first = response_format(EvolveResponse)
    assert first is response_format(EvolveResponse)
    assert first["type"] == "json_schema"
    assert first["strict"] is True
    assert first["schema"] is outputs_of(EvolveResponse).schema


def test_cache_lets_go_of_dropped_signatures():
    made = signature(answer=str)
    outputs_of(made)
    dropped = weakref.ref(made)
    del made
    gc.collect()
    assert dropped() is None


def test_fields_keep_the_order_of_the_signature():
    outputs = outputs_of(signature(zeta=str, alpha=int, mid=bool))
    assert list(outputs.schema["properties"]) == ["zeta", "alpha", "mid"]
    assert outputs.schema["required"] == ["zeta", "alpha", "mid"]
    assert outputs.form == '{"zeta": <text>, "alpha": <integer>, "mid": <true or false>}'
    assert outputs.compact_form == '{"zeta":"...","alpha":<integer>,"mid":<true or false>}'


def test_bounds_of_lists_are_kept():
    kind = Annotated[list[int], pydantic.Field(min_length=2, max_length=2)]
    assert outputs_of(signature(a=kind)).schema["properties"]["a"]["maxItems"] == 2


def test_values_become_the_types_of_the_fields():
    outputs = outputs_of(signature(person=Person, level=Level, pair=tuple[int, str], x=float))
    read = outputs.read('{"person":{"name":"Ann","age":null},"level":"low","pair":[1,"b"],"x":2}')
    assert read == {"person": Person(name="Ann"), "level": Level.LOW, "pair": (1, "b"), "x": 2.0}
    assert isinstance(read["x"], float)


def test_validators_of_the_caller_are_heard():
    even = Annotated[int, pydantic.AfterValidator(lambda v: v if v % 2 == 0 else 1 / 0)]
    with pytest.raises(ZeroDivisionError):
        outputs_of(signature(a=even)).read('{"a":3}')


@pytest.mark.parametrize(
    ("kind", "keyword"),
    [(set[int], "uniqueItems"), (dict[str, int], "additionalProperties"), (bytes, "format")],
    ids=str,
)
def test_types_that_cannot_be_guaranteed_are_refused(kind, keyword):
    with pytest.raises(SchemaError) as caught:
        outputs_of(signature(a=kind))
    assert caught.value.keyword == keyword


def test_property_called_title_is_kept():
    kind = pydantic.create_model("Book", title=(str, ...))
    defs = outputs_of(signature(book=kind)).schema["$defs"]
    assert list(defs["Book"]["properties"]) == ["title"]


@pytest.mark.parametrize(
    ("kind", "spaced", "compact"),
    [
        (list[str], "[<text>, ...]", '["...",...]'),
        (Literal["a", "b"], '<"a" or "b">', '"a"|"b"'),
        (Literal["a"], '"a"', '"a"'),
        (Person, '{"name": <text>, "age": <integer>|null}', '{"name":"...","age":<integer>|null}'),
        (tuple[int, bool], "[<integer>, <true or false>]", "[<integer>,<true or false>]"),
    ],
    ids=str,
)
def test_forms(kind, spaced, compact):
    schema = outputs_of(signature(a=kind)).schema
    assert show_form(schema) == f'{{"a": {spaced}}}'
    assert show_form(schema, "compact") == f'{{"a":{compact}}}'


def test_a_form_with_something_to_fill_in_cannot_pass_for_an_answer():
    shown = show_form(outputs_of(EvolveResponse).schema)
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(shown)


@pytest.mark.parametrize(
    ("form", "text"),
    [("text", '{"a": ["é", 1]}'), ("json", '{"a": ["é", 1]}'), ("compact", '{"a":["é",1]}')],
)
def test_json_is_spaced_as_its_form_says(form, text):
    assert to_json({"a": ["é", 1]}, form) == text


@pytest.mark.parametrize(
    ("kinds", "field"),
    [
        ({"a": str}, "a"),
        ({"a": Annotated[str, pydantic.Field(max_length=9)]}, "a"),
        ({"a": str | None}, None),
        ({"a": Literal["x", "y"]}, None),
        ({"a": str, "b": str}, None),
        ({"a": list[str]}, None),
    ],
    ids=str,
)
def test_one_text_output_alone_can_be_the_answer_itself(kinds, field):
    assert outputs_of(signature(**kinds)).text_field == field


def test_most_characters_of_the_one_text_are_known():
    short = Annotated[str, pydantic.Field(max_length=9)]
    assert outputs_of(signature(a=short)).max_chars == 9
    assert outputs_of(signature(a=str)).max_chars is None
