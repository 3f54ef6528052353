from __future__ import annotations

import itertools
import json
from typing import Any

import jsonschema
import pytest

from structq.decoding import Slot, SlotPlan
from tests.decoding.walks import closed, dumped, score_schema


@pytest.mark.parametrize(
    ("spaced", "start", "comma"), [(True, '{"scores": [', ", "), (False, '{"scores":[', ",")]
)
def test_scores_are_slots_between_separators(spaced: bool, start: str, comma: str) -> None:
    slot = Slot(("1", "2", "10"))
    plan = SlotPlan.of(score_schema(2, [1, 2, 10]), spaced=spaced)
    assert plan == SlotPlan((start, slot, comma, slot, "]}"))


def test_an_answer_in_text_has_a_slot_between_each_two_texts() -> None:
    slot = Slot(("1", "2"))
    plan = SlotPlan.between(("Score: ", "\nScore: ", ""), ("1", "2"))
    assert plan == SlotPlan(("Score: ", slot, "\nScore: ", slot))
    assert plan.render([1, 0]) == "Score: 2\nScore: 1"


def test_a_single_label_is_fixed_text() -> None:
    plan = SlotPlan.of(closed(kind={"const": "a"}, n={"enum": [3]}, ok={"type": "boolean"}))
    assert plan is not None
    assert plan.steps == ('{"kind": "a", "n": 3, "ok": ', Slot(("false", "true")), "}")


def test_labels_keep_their_order_and_their_json_text() -> None:
    plan = SlotPlan.of({"enum": ["é\n", 10, 2, 10, None]})
    assert plan == SlotPlan((Slot(('"é\\n"', "10", "2", "null")),))


def test_labels_of_another_type_than_the_schema_says_are_left_out() -> None:
    plan = SlotPlan.of({"type": "integer", "enum": [1, "x", True, 2]})
    assert plan == SlotPlan((Slot(("1", "2")),))


def test_tuples_and_references_are_followed() -> None:
    schema = {
        **closed(
            pair={
                "type": "array",
                "prefixItems": [{"$ref": "#/$defs/level"}, {"type": "boolean"}],
                "items": False,
                "minItems": 2,
            }
        ),
        "$defs": {"level": {"enum": ["low", "high"], "title": "Level"}},
    }
    plan = SlotPlan.of(schema)
    assert plan is not None
    assert [slot.labels for slot in plan.slots] == [('"low"', '"high"'), ("false", "true")]


@pytest.mark.parametrize(
    "schema",
    [
        score_schema(3, [1, 2]),
        score_schema(0, [1, 2]),
        closed(a=closed(b={"enum": ["x", "y"]}), c={"const": None}, d={"type": "boolean"}),
        closed(),
    ],
    ids=["scores", "none", "nested", "empty"],
)
@pytest.mark.parametrize("spaced", [True, False])
def test_every_rendering_is_valid(schema: dict[str, Any], spaced: bool) -> None:
    plan = SlotPlan.of(schema, spaced=spaced)
    assert plan is not None
    for choice in itertools.product(*(range(len(slot.labels)) for slot in plan.slots)):
        value = json.loads(plan.render(choice))
        jsonschema.Draft202012Validator(schema).validate(value)
        assert plan.render(choice) == dumped(value, spaced=spaced)


@pytest.mark.parametrize(
    "schema",
    [
        closed(a={"type": "string"}),
        closed(a={"type": "integer", "minimum": 1, "maximum": 3}),
        {**closed(a={"enum": [1, 2]}), "required": []},
        {**closed(a={"enum": [1, 2]}), "additionalProperties": True},
        {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]},
        {"type": "array", "items": {"enum": [1, 2]}, "minItems": 1, "maxItems": 2},
        {"type": "array", "items": {"enum": [1, 2]}, "minItems": 2},
        {"type": "array", "items": {"enum": [1, 2]}, "minItems": 5000, "maxItems": 5000},
        {"type": "array", "prefixItems": [{"enum": [1, 2]}], "minItems": 1},
        {"type": "array", "prefixItems": [{"enum": [1, 2]}], "items": False},
        {"type": "array", "minItems": 2, "maxItems": 2},
        {"enum": [1, 2], "minimum": 2},
        {"enum": []},
        {"enum": [1, 2], "const": 1},
        {"anyOf": [{"enum": [1, 2]}]},
        {"$ref": "#/$defs/none"},
        {"$ref": "https://example.org/x"},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"enum": ["\ud800", "a"]},
        {"type": "boolean", "description": "x", "unknown": 1},
        {},
    ],
)
def test_a_free_part_leaves_no_plan(schema: dict[str, Any]) -> None:
    assert SlotPlan.of(schema) is None


def test_rendering_needs_one_choice_a_slot() -> None:
    plan = SlotPlan.of(score_schema(2, [1, 2]))
    assert plan is not None
    with pytest.raises(ValueError, match=r"wrong number of choices: 1 \(2 slots\)"):
        plan.render([0])
