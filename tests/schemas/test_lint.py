import pytest

from structq.errors import SchemaError
from structq.schemas import lint


def closed(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        closed(a=TEXT),
        closed(a={"type": "array", "items": {"type": "integer", "enum": [1, 2]}, "minItems": 2}),
        closed(a={"anyOf": [TEXT, {"type": "null"}]}),
        closed(a={"type": "array", "prefixItems": [TEXT], "items": False}),
        closed(a={"type": "number", "minimum": 0, "maximum": 1.5}),
        closed(a={"const": "x"}),
        {**closed(a={"$ref": "#/$defs/B"}), "$defs": {"B": closed(title=TEXT)}},
        closed(a={"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a", "title": "A"}),
    ],
)
def test_what_can_be_guaranteed_passes(schema):
    lint(schema)


@pytest.mark.parametrize(
    ("schema", "keyword", "pointer"),
    [
        ({"type": "array", "items": TEXT, "uniqueItems": True}, "uniqueItems", "/properties/a"),
        ({"not": TEXT}, "not", "/properties/a"),
        ({"oneOf": [TEXT]}, "oneOf", "/properties/a"),
        ({"type": "string", "format": "email"}, "format", "/properties/a"),
        ({"type": "object"}, "additionalProperties", "/properties/a"),
        ({"type": "object", "additionalProperties": TEXT}, "additionalProperties", "/properties/a"),
        ({"type": ["string", "null"]}, "type", "/properties/a"),
        ({}, "type", "/properties/a"),
        ({"type": "array"}, "items", "/properties/a"),
        ({"enum": []}, "enum", "/properties/a"),
        ({"enum": [1.0]}, "enum", "/properties/a"),
        ({"type": "string", "enum": [1]}, "type", "/properties/a"),
        ({"$ref": "#/$defs/None"}, "$ref", "/properties/a"),
        ({"type": "string", "pattern": "("}, "pattern", "/properties/a"),
        ({"type": "string", "pattern": "^(?=a)"}, "pattern", "/properties/a"),
        ({"type": "number", "multipleOf": 0.1}, "multipleOf", "/properties/a"),
        ({"type": "string", "minItems": 1}, "minItems", "/properties/a"),
        ({"type": "string", "format": "uuid"}, "format", "/properties/a"),
        ({"allOf": [TEXT]}, "allOf", "/properties/a"),
        ({"$ref": "#/properties/a"}, "$ref", "/properties/a"),
        ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum", "/properties/a"),
        ({"type": "string", "maxLength": -1}, "maxLength", "/properties/a"),
        ({"type": "integer", "made_up": 1}, "made_up", "/properties/a"),
        ({"type": "array", "items": {"type": "string", "x/y": 1}}, "x/y", "/properties/a/items"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_guaranteed_is_refused_by_name(schema, keyword, pointer):
    with pytest.raises(SchemaError) as caught:
        lint(closed(a=schema))
    assert caught.value.keyword == keyword
    assert caught.value.pointer == f"{pointer}/{keyword.replace('/', '~1')}"
    assert repr(keyword) in str(caught.value)


def test_optional_property_is_refused():
    with pytest.raises(SchemaError, match="required"):
        lint({**closed(a=TEXT, b=TEXT), "required": ["a"]})


def test_a_definition_is_linted_too():
    with pytest.raises(SchemaError) as caught:
        lint({**closed(a=TEXT), "$defs": {"B": {"not": {}}}})
    assert caught.value.pointer == "/$defs/B/not"
