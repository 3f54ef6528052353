import enum
import gc
import weakref
from typing import Annotated, Literal

import dspy
import pydantic
import pytest

from structq.errors import SchemaError
from structq.schemas import outputs_of, response_format, show_form
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
    assert outputs_of(derived).form == '{"scores":[s1,s2,s3]}'


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
    assert outputs.form == '{"zeta":"...","alpha":<integer>,"mid":<true or false>}'


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
    ("kind", "form"),
    [
        (list[str], '["...",...]'),
        (Literal["a", "b"], '"a"|"b"'),
        (Person, '{"name":"...","age":<integer>|null}'),
        (tuple[int, bool], "[<integer>,<true or false>]"),
    ],
    ids=str,
)
def test_forms(kind, form):
    assert show_form(outputs_of(signature(a=kind)).schema) == f'{{"a":{form}}}'
