"""Every keyword of the allow-list, held against an independent validator on random answers."""

from __future__ import annotations

import ipaddress
import json
import re
import uuid
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structq.decoding import guarded
from structq.errors import SchemaError
from structq.schemas.support import unsupported
from tests.decoding.walks import closed, grammars, has_spaces, read_strictly, walk

FORMATS = jsonschema.FormatChecker(formats=())
FORMATS.checks("uuid", raises=ValueError)(lambda text: bool(uuid.UUID(text)) or True)
FORMATS.checks("ipv4", raises=ValueError)(lambda text: bool(ipaddress.IPv4Address(text)))


def _check(schema: dict[str, Any], text: bytes) -> Any:
    value = read_strictly(text)
    jsonschema.Draft202012Validator(schema, format_checker=FORMATS).validate(value)
    assert has_spaces(text.decode(), spaced=False)
    return value


def _answers(schema: dict[str, Any], n: int, name: str = "merged-digits") -> list[Any]:
    room = grammars(name)
    found = []
    for seed in range(n):
        rng = np.random.default_rng([seed, n])
        free = int(rng.integers(0, 30))
        matcher = room.matcher(schema, spaced=False)
        tokens = walk(
            matcher, room.vocabulary.tokens, rng, free_tokens=free, use_forced=bool(seed % 2)
        )
        found.append(_check(schema, room.vocabulary.decode(tokens)))
    return found


SUPPORTED: dict[str, dict[str, Any]] = {
    "type-string": {"type": "string"},
    "type-integer": {"type": "integer"},
    "type-number": {"type": "number"},
    "type-boolean": {"type": "boolean"},
    "type-null": {"type": "null"},
    "type-list": {"type": ["integer", "null", "string"], "minimum": 3, "maxLength": 2},
    "enum": {"enum": [1, 10, 2.5, -3, "x", 'é\n"\\', "\f", None, True, {"b": [1]}, [1, "2"]]},
    "enum-type": {"type": "integer", "enum": [1, 10, "x"]},
    "enum-bounds": {"type": "integer", "enum": [1, 2, 3, 40], "minimum": 2, "maximum": 3},
    "const": {"const": {"a": [1, {"b": "</s>"}]}},
    "integer-bounds": {"type": "integer", "minimum": -12, "maximum": 105},
    "integer-exclusive": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 12},
    "integer-fraction-bounds": {"type": "integer", "exclusiveMinimum": 0.5, "maximum": 3.5},
    "number-bounds": {"type": "number", "minimum": -0.25, "maximum": 1.5},
    "number-exclusive": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    "number-exclusive-negative": {"type": "number", "exclusiveMinimum": -2.5, "maximum": -0.1},
    "number-lower": {"type": "number", "minimum": 3},
    "number-both-minimums": {"type": "number", "minimum": 3, "exclusiveMinimum": 3, "maximum": 4},
    "number-long-bounds": {"type": "number", "minimum": 0.3000000000000000444, "maximum": 0.31},
    "number-third": {"type": "number", "exclusiveMinimum": 1 / 3, "exclusiveMaximum": 2 / 3},
    "integer-and-number": {"type": ["integer", "number"], "exclusiveMaximum": 2},
    "multiple-of": {"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 200},
    "length": {"type": "string", "minLength": 3, "maxLength": 5},
    "min-length": {"type": "string", "minLength": 4},
    "pattern": {"type": "string", "pattern": "^(ab|c)+[0-9]{2,3}$"},
    "pattern-unanchored": {"type": "string", "pattern": "[a-z]"},
    "pattern-classes": {"type": "string", "pattern": r"^\d\w\s[^a-z].$"},
    "pattern-escapes": {"type": "string", "pattern": r"^[\n\t\f\\\"/\[\]]+\$$"},
    "pattern-length": {"type": "string", "pattern": "^[a-c]*$", "minLength": 2, "maxLength": 4},
    "pattern-fence": {"type": "string", "pattern": '^[\\s\\d]*```x\n"1"\n```(.|\n)*$'},
    "uuid": {"type": "string", "format": "uuid"},
    "ipv4": {"type": "string", "format": "ipv4"},
    "array": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}},
    "array-length": {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "maxItems": 4},
    "array-none": {"type": "array", "items": {"enum": [1, 2]}, "maxItems": 0},
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "boolean"}, {"enum": [1, 10]}],
        "items": False,
        "minItems": 2,
    },
    "tuple-and-rest": {
        "type": "array",
        "prefixItems": [{"type": "boolean"}],
        "items": {"type": "null"},
        "maxItems": 3,
    },
    "tuple-length": {
        "type": "array",
        "prefixItems": [{"type": "boolean"}, {"type": "null"}],
        "minItems": 2,
        "maxItems": 2,
    },
    "optional": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"type": "boolean"}, "c": {"type": "null"}},
        "required": ["b"],
        "additionalProperties": False,
    },
    "map": {"type": "object", "additionalProperties": {"type": "boolean"}},
    "map-and-properties": {
        "type": "object",
        "properties": {"a": {"type": "null"}, "b": {"type": "null"}},
        "required": ["b"],
        "additionalProperties": {"type": "boolean"},
    },
    "any-of": {"anyOf": [{"type": "integer", "minimum": 5}, {"enum": ["a", "ab"]}]},
    "all-of-one": {"allOf": [{"type": "integer", "maximum": 5}], "description": "x"},
    "reference": {"$ref": "#/$defs/a~1b"},
    "recursion": {"$ref": "#/$defs/tree"},
}
DEFINITIONS = {
    "a/b": {"type": "integer", "minimum": 1, "maximum": 3},
    "tree": closed(next={"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}),
}


@pytest.mark.parametrize("case", SUPPORTED)
def test_random_answers_obey_every_supported_keyword(case: str) -> None:
    schema = {**closed(a=SUPPORTED[case]), "$defs": DEFINITIONS}
    assert unsupported(schema) is None
    _answers(schema, 150)


@pytest.mark.parametrize("case", ["enum", "integer-bounds", "array-length", "optional", "any-of"])
def test_supported_keywords_hold_at_the_root(case: str) -> None:
    _answers(SUPPORTED[case], 60, "byte-fallback")


UNSUPPORTED: dict[str, tuple[dict[str, Any], str]] = {
    "unique": ({"type": "array", "items": {"enum": [1, 2]}, "uniqueItems": True}, "uniqueItems"),
    "not": ({"not": {"type": "null"}}, "not"),
    "one-of": ({"oneOf": [{"type": "null"}, {"type": "string"}]}, "oneOf"),
    "all-of-two": ({"allOf": [{"type": "integer"}, {"minimum": 3}]}, "allOf"),
    "if": ({"type": "string", "if": {"minLength": 3}}, "if"),
    "contains": (
        {"type": "array", "items": {"enum": [1, 2]}, "contains": {"const": 1}},
        "contains",
    ),
    "unknown": ({"type": "string", "maxLenght": 3}, "maxLenght"),
    "backdoor": ({"type": "string", "x-guidance": {"lenient": True}}, "x-guidance"),
    "format": ({"type": "string", "format": "date"}, "format"),
    "look-ahead": ({"type": "string", "pattern": "^(?=a)"}, "pattern"),
    "flags": ({"type": "string", "pattern": "(?i)a"}, "pattern"),
    "unicode-class": ({"type": "string", "pattern": r"\p{L}"}, "pattern"),
    "complement-class": ({"type": "string", "pattern": r"^\S+$"}, "pattern"),
    "back-reference": ({"type": "string", "pattern": r"(a)\1"}, "pattern"),
    "nested-class": ({"type": "string", "pattern": "[a[b]]"}, "pattern"),
    "class-operation": ({"type": "string", "pattern": "[a&&b]"}, "pattern"),
    "class-union": ({"type": "string", "pattern": "[a||b]"}, "pattern"),
    "empty-class": ({"type": "string", "pattern": "[]a]"}, "pattern"),
    "broken-pattern": ({"type": "string", "pattern": "("}, "pattern"),
    "decimal-multiple": ({"type": "number", "multipleOf": 0.1}, "multipleOf"),
    "number-multiple": ({"type": "number", "multipleOf": 2}, "multipleOf"),
    "anything": ({}, "type"),
    "keywords-without-type": ({"minimum": 3}, "type"),
    "unknown-type": ({"type": "text"}, "type"),
    "true": (True, "a"),  # type: ignore[dict-item]
    "open-object": ({"type": "object", "properties": {}}, "additionalProperties"),
    "pattern-properties": (
        {
            "type": "object",
            "patternProperties": {"^a": {"type": "null"}},
            "additionalProperties": False,
        },
        "patternProperties",
    ),
    "fewest-properties": (
        {"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 2},
        "minProperties",
    ),
    "undeclared-required": (
        {"type": "object", "required": ["x"], "additionalProperties": False},
        "required",
    ),
    "open-array": ({"type": "array"}, "items"),
    "open-tuple": ({"type": "array", "prefixItems": [{"type": "null"}]}, "items"),
    "draft-7-tuple": ({"type": "array", "items": [{"type": "null"}]}, "items"),
    "reference-siblings": ({"$ref": "#/$defs/x", "minimum": 3}, "minimum"),
    "remote-reference": ({"$ref": "https://example.org/x"}, "$ref"),
    "dangling-reference": ({"$ref": "#/$defs/nothing"}, "$ref"),
    "wrong-value": ({"type": "string", "maxLength": "3"}, "maxLength"),
    "wrong-properties": ({"type": "object", "properties": []}, "properties"),
    "dynamic-reference": ({"$dynamicRef": "#x"}, "$dynamicRef"),
    "any-of-siblings": ({"anyOf": [{"type": "integer"}], "minimum": 3}, "minimum"),
    "no-branch": ({"anyOf": []}, "anyOf"),
    "no-label": ({"enum": []}, "enum"),
    "contradicting-lengths": ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength"),
    "contradicting-bounds": ({"type": "integer", "minimum": 3, "maximum": 2}, "minimum"),
    "negative-length": ({"type": "string", "maxLength": -1}, "maxLength"),
    "half-an-item": ({"type": "array", "items": {"enum": [1]}, "minItems": 0.5}, "minItems"),
    "contradicting-items": (
        {"type": "array", "items": {"enum": [1, 2]}, "minItems": 3, "maxItems": 2},
        "minItems",
    ),
}


@pytest.mark.parametrize("case", UNSUPPORTED)
def test_what_cannot_be_guaranteed_is_refused_by_name(case: str) -> None:
    inner, keyword = UNSUPPORTED[case]
    schema = {**closed(a=inner), "$defs": {"x": {"type": "null"}}}
    found = unsupported(schema)
    assert found is not None
    assert found[0] == keyword
    assert found[1].startswith("/properties/a")
    with pytest.raises(SchemaError, match=re.escape(repr(keyword))):
        grammars("merged-digits").matcher(schema, spaced=False)


def test_the_pointer_leads_to_the_fault_through_nested_schemas() -> None:
    schema = closed(
        **{"a/b~": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"not": {}}]}}}
    )
    found = unsupported(schema)
    assert found is not None
    assert found[:2] == ("not", "/properties/a~1b~0/items/anyOf/1")


def test_numbers_stay_within_what_readers_hold() -> None:
    schema = closed(a={"type": "number"}, b={"type": "integer", "minimum": 3})
    bounded = guarded(schema)["properties"]
    limit = 10**15 - 1
    assert bounded["a"] == {"type": "number", "minimum": -limit, "maximum": limit}
    assert bounded["b"] == {"type": "integer", "minimum": 3, "maximum": limit}


_LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({"type": "string"}),
    st.just({"type": "number"}),
    st.tuples(st.integers(-50, 50), st.integers(0, 120)).map(
        lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[0] + pair[1]}
    ),
    st.tuples(st.integers(0, 4), st.integers(0, 6)).map(
        lambda pair: {"type": "string", "minLength": pair[0], "maxLength": pair[0] + pair[1]}
    ),
    st.lists(
        st.one_of(st.integers(-20, 120), st.text('ab10é"\\\n', max_size=4), st.booleans()),
        min_size=1,
        max_size=6,
    ).map(lambda values: {"enum": values}),
)


def _objects(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.text('abc1_ é"', min_size=1, max_size=4)
    return st.dictionaries(names, children, max_size=4).flatmap(
        lambda properties: st.sets(st.sampled_from(sorted(properties) or ["-"])).map(
            lambda optional: {
                "type": "object",
                "properties": properties,
                "required": [name for name in properties if name not in optional],
                "additionalProperties": False,
            }
        )
    )


def _arrays(children: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(children, st.integers(0, 3), st.integers(0, 2)).map(
        lambda drawn: {
            "type": "array",
            "items": drawn[0],
            "minItems": drawn[1],
            "maxItems": drawn[1] + drawn[2],
        }
    )


SCHEMAS = st.recursive(
    _LEAVES,
    lambda children: st.one_of(
        _objects(children),
        _arrays(children),
        st.lists(children, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
    ),
    max_leaves=8,
)


@given(
    schema=SCHEMAS,
    seed=st.integers(0, 2**32),
    name=st.sampled_from(["single-digits", "byte-fallback"]),
)
@settings(max_examples=80, deadline=None)
def test_random_answers_obey_random_schemas(schema: dict[str, Any], seed: int, name: str) -> None:
    room = grammars(name)
    assert unsupported(schema) is None
    rng = np.random.default_rng(seed)
    tokens = walk(
        room.matcher(schema, spaced=False), room.vocabulary.tokens, rng, use_forced=bool(seed % 2)
    )
    _check(schema, room.vocabulary.decode(tokens))


@given(schema=SCHEMAS)
@settings(max_examples=50, deadline=None)
def test_guarded_is_a_fixed_point_and_leaves_its_argument(schema: dict[str, Any]) -> None:
    before = json.dumps(schema)
    once = guarded(schema)
    assert guarded(once) == once
    assert json.dumps(schema) == before
