"""From the output fields of a DSPy signature to its canonical closed JSON Schema.

Canonical: fields in the order of the signature, ``additionalProperties: false``, everything
required, one spelling for each thing (``const`` becomes a one-value ``enum``), no titles and no
defaults.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin
from weakref import WeakKeyDictionary

from annotated_types import MaxLen, MinLen

from structq.errors import SchemaError

from .answers import AnswerFormatError, parse_answer
from .forms import show_form
from .lint import lint

if TYPE_CHECKING:
    import pydantic
    from dspy import Signature
    from pydantic.fields import FieldInfo

__all__ = ["Outputs", "outputs_of", "response_format"]

_DROPPED = frozenset({"title", "default", "description", "examples", "deprecated"})
_PLAIN = (str, int, bool, list[str], list[int])
_CACHE: WeakKeyDictionary[type[Signature], Outputs] = WeakKeyDictionary()
_LOCK = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a signature's answer must look like, and how to read it."""

    schema: dict[str, Any]
    """Canonical closed schema."""
    response_format: dict[str, Any]
    """The schema as ``Request.config.response_format`` carries it."""
    form: str
    """One line that shows the form to an LM; see `show_form`."""
    compact_form: str
    """The same for the compact form."""
    text_field: str | None
    """The output, where it is one text; its answer may then be the text itself."""
    max_chars: int | None
    """Most characters of that text."""
    labels: tuple[int, ...] | None
    """The labels of an answer that is one list of K integer labels, else ``None``."""
    model: type[pydantic.BaseModel] | None
    """Makes Python values of the fields; ``None`` where JSON values are the Python values."""

    def read(self, text: str) -> dict[str, Any]:
        """The value of each output field.

        Raises:
            AnswerFormatError: The text is not exactly an answer of this schema.
        """
        value: dict[str, Any] = parse_answer(text, self.schema)
        if self.model is None:
            return value
        try:
            read = self.model.model_validate(value)
        except ValueError as error:  # a validator of the caller's own types
            raise AnswerFormatError(str(error)) from error
        return {name: getattr(read, name) for name in value}


def outputs_of(signature: type[Signature]) -> Outputs:
    """The output side of a signature, built once for each signature class.

    Raises:
        SchemaError: An output type that cannot be guaranteed, such as a set or an open dict.
    """
    found = _CACHE.get(signature)
    if found is None:
        found = _build(signature)
        with _LOCK:
            _CACHE[signature] = found
    return found


def response_format(signature: type[Signature]) -> dict[str, Any]:
    """The strict ``json_schema`` response format of a signature, built once; do not change it."""
    return outputs_of(signature).response_format


def _build(signature: type[Signature]) -> Outputs:
    from pydantic import ConfigDict, PydanticUserError, create_model

    types: dict[str, Any] = {
        name: (field.rebuild_annotation(), ...) for name, field in signature.output_fields.items()
    }
    model = create_model("Outputs", __config__=ConfigDict(extra="forbid"), **types)
    try:
        found = model.model_json_schema()
    except PydanticUserError as error:
        names = ", ".join(types)
        raise SchemaError(f"outputs {names}: no JSON Schema: {error}", keyword="type") from error
    schema = _canonical(found)
    lint(schema)
    wire = {"type": "json_schema", "name": "answer", "strict": True, "schema": schema}
    plain = all(_is_plain(field) for field in signature.output_fields.values())
    text_field = _text_field(schema)
    return Outputs(
        schema=schema,
        response_format=wire,
        form=show_form(schema),
        compact_form=show_form(schema, "compact"),
        text_field=text_field,
        max_chars=schema["properties"][text_field].get("maxLength") if text_field else None,
        labels=_labels(schema),
        model=None if plain else model,
    )


def _canonical(part: Any) -> Any:
    if isinstance(part, list):
        return [_canonical(child) for child in part]
    if not isinstance(part, Mapping):
        return part
    made = {
        k: v if k in ("enum", "const") else _canonical(v)
        for k, v in part.items()
        if k not in _DROPPED
    }
    for group in ("properties", "$defs"):  # here the keys are names, and "title" is a good one
        if isinstance(part.get(group), Mapping):
            made[group] = {name: _canonical(child) for name, child in part[group].items()}
    if "const" in made:
        made["enum"] = [made.pop("const")]
    if made.get("type") == "object" and "properties" in made:
        made["required"] = list(made["properties"])
        made.setdefault("additionalProperties", False)
    return made


def _is_plain(field: FieldInfo) -> bool:
    """Whether the JSON value is what the field's type holds, with nothing left to validate."""
    if field.annotation in _PLAIN:
        return not field.metadata
    item = get_args(field.annotation)[:1] if get_origin(field.annotation) is list else ()
    labels = get_args(item[0]) if item and get_origin(item[0]) is Literal else ()
    # Scores: labels and length are in the schema, which has been checked by then.
    known = bool(labels) and all(type(label) in (int, str, bool) for label in labels)
    return known and all(isinstance(rule, MinLen | MaxLen) for rule in field.metadata)


def _text_field(schema: Mapping[str, Any]) -> str | None:
    """The only property of the schema, where any text of some length will do for it."""
    properties = schema["properties"]
    if len(properties) != 1:
        return None
    ((name, part),) = properties.items()
    is_text = part.get("type") == "string" and part.keys() <= {"type", "minLength", "maxLength"}
    return str(name) if is_text else None


def _labels(schema: Mapping[str, Any]) -> tuple[int, ...] | None:
    parts = list(schema["properties"].values())
    if len(parts) != 1 or parts[0].get("type") != "array":
        return None
    items = parts[0].get("items")
    fixed = "minItems" in parts[0] and parts[0].get("minItems") == parts[0].get("maxItems")
    if not fixed or not isinstance(items, Mapping) or "enum" not in items:
        return None
    labels = items["enum"]
    return tuple(labels) if all(type(label) is int for label in labels) else None
