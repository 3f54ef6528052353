"""Grammars of llama.cpp that leave an answer one layout."""

import json

import pytest

import structq
from structq.engines.backends.servers.layout import one_line
from tests.servers.fake_server import serving

TWO = {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "maxItems": 2}


def of(properties, **more):
    return {
        "type": "object", "properties": properties, "required": [*properties],
        "additionalProperties": False, **more,
    }  # fmt: skip


def test_scores_have_one_line():
    assert one_line(of({"scores": TWO})) == (
        'root ::= "{" "\\"scores\\"" ":" space "[" ("1" | "2") "," space ("1" | "2") "]" "}"\n'
        'space ::= " "?'
    )


@pytest.mark.parametrize(
    "value", ["a", 'quo"te', "back\\slash", "line\nbreak", "tab\t", "ü", "字", "\u2028", "", "\x01"]
)
def test_a_listed_text_is_what_json_writes(value):
    rule = one_line(of({"winner": {"const": value}})).split("\n")[0]
    literal = rule.split("space (", 1)[1].removesuffix(') "}"')
    assert json.loads(json.loads(literal)) == value


@pytest.mark.parametrize(
    "schema",
    [
        of({"text": {"type": "string"}}),
        of({"score": {"type": "integer"}}),
        of({"scores": {**TWO, "maxItems": 3}}),
        of({"scores": {"type": "array", "items": {"enum": [1]}}}),
        of({"scores": {"type": "array", "prefixItems": [{"const": 1}]}}),
        of({"scores": TWO}, required=[]),
        of({"scores": {"$ref": "#/$defs/s"}}),
        of({"scores": {"anyOf": [TWO]}}),
        {"type": ["object", "null"], "properties": {}, "required": []},
        of({"scores": {**TWO, "minItems": 9_000, "maxItems": 9_000}}),
    ],
)
def test_all_else_is_left_to_the_schema(schema):
    assert one_line(schema) is None


@pytest.mark.parametrize(("takes", "sent"), [(True, "grammar"), (False, "response_format")])
def test_a_grammar_takes_the_place_of_the_schema(takes, sent, monkeypatch):
    monkeypatch.setattr(structq.engines.backends.servers.ServerLM, "_grammars", takes)
    with serving(lambda body: '{"scores": [2, 1]}') as server:
        lm = structq.lm("llamacpp-server/m", api_base=server.address, cache=False)
        found = structq.QualityScorer(lm=lm)(instruction="Name a prime.", responses=["7", "9"])
    assert found.scores == [2.0, 1.0]
    assert {"grammar", "response_format"} & server.requests[0].keys() == {sent}
