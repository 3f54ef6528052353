"""What may be set: each setting once, with its type, bounds, default and description.

The constructors, the attributes of the modules, their saved states and the options of the command
line all come from here. Knows nothing of LMs, and does not import DSPy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo

from structq.errors import InputError, TemplateError, shorten
from structq.schemas.forms import Form

from .length import MAX_GROWTH
from .preserve import Preserve
from .scale import normal_scale

__all__ = [
    "MAX_SEED",
    "EvolOptions",
    "EvolSettings",
    "ScorerOptions",
    "ScorerSettings",
    "Scoring",
    "Settings",
    "Shown",
    "Turns",
    "check_bool",
    "check_count",
    "check_seed",
    "plain_types",
]

Scoring = Literal["joint", "independent", "pairwise", "likelihood"]
Turns = Literal["last", "sum"]
MAX_SEED = 2**64 - 1
_MAX_WORDS = 1_000_000


@dataclass(frozen=True)
class Shown:
    """How the command line shows the value of a setting that is no plain word."""

    metavar: str
    """Its form: ``FILE`` where the value is the content of a file."""


class Settings(BaseModel):
    """Settings that are checked together, and never change: `with_` makes others.

    Raises:
        InputError: A value is wrong; names the setting, what was found and what is allowed.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _fault(type(self), error) from None

    @classmethod
    def picked(cls, values: Mapping[str, Any]) -> Any:
        """These settings, out of values that may hold others too; what is not there is default."""
        return cls(**{name: values[name] for name in cls.model_fields if name in values})

    def with_(self, **changes: Any) -> Any:
        """The settings with these changes, checked."""
        return type(self)(**{**self.__dict__, **changes})


def plain_types(field: FieldInfo) -> tuple[Any, ...]:
    """The types of a setting, ``None`` apart; a choice is its ``Literal``."""
    kinds = get_args(field.annotation) if _is_union(field.annotation) else (field.annotation,)
    return tuple(kind for kind in kinds if kind is not NoneType)


def _is_union(annotation: Any) -> bool:
    return NoneType in get_args(annotation) and get_origin(annotation) is not Literal


def _fault(model: type[Settings], error: ValidationError) -> InputError:
    """The first thing that is wrong, in our words."""
    first = error.errors(include_url=False)[0]
    reason = first.get("ctx", {}).get("error")
    if isinstance(reason, InputError):
        return reason
    name, value = str(first["loc"][0]), first["input"]
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(model.model_fields))
        return InputError(f"unknown setting {name!r} (there are {known})", field=name)
    allowed = _allowed(model.model_fields[name], broken=first["type"])
    if first["type"] == "missing":
        return InputError(f"{name}: must be given, as {allowed}", field=name)
    return InputError(f"{name}: must be {allowed}, found {shorten(value)}", field=name)


def _allowed(field: FieldInfo, *, broken: str) -> str:
    kind = plain_types(field)[0]
    bounds = {key: getattr(rule, key) for rule in field.metadata for key in ("ge", "gt", "le", "lt")
              if getattr(rule, key, None) is not None}  # fmt: skip
    if get_origin(kind) is Literal:
        allowed = f"one of {', '.join(map(repr, get_args(kind)))}"
    elif kind is bool:
        allowed = "True or False"
    else:
        allowed = {int: "an integer", float: "a number", str: "text"}.get(kind, "another value")
        words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
        told = ("le", "lt") if broken.startswith("less_than") else ("ge", "gt")
        allowed += "".join(f" {words[key]} {bounds[key]}" for key in told if key in bounds)
    return f"{allowed}, or None" if NoneType in get_args(field.annotation) else allowed


# What reads templates loads Jinja: options are listed without it.


def _text(value: Any, info: ValidationInfo) -> Any:
    from structq.templates import check_text

    return None if value is None else check_text(value, str(info.field_name))


def _filled(value: Any, info: ValidationInfo) -> Any:
    text = _text(value, info)
    if text is not None and not text.strip():
        name = info.field_name
        raise InputError(f"{name}: is blank, found {shorten(text)}", field=name)
    return text


def _score_template(value: Any) -> Any:
    from structq.templates import check_score_template

    return None if value is None else check_score_template(value)


_NAME = re.compile(r"[\w .:+-]{1,64}")


def _templates(templates: Any) -> dict[str, str] | None:
    from structq.templates import check_mutation

    field = "mutation_templates"
    if templates is None:
        return None
    if not isinstance(templates, Mapping) or not templates:
        message = f"{field}: must name at least one template, found {shorten(templates)}"
        raise TemplateError(message, field=field)
    for name, text in templates.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            allowed = "1 to 64 letters, digits, spaces and _.:+- are"
            message = f"{field}: {shorten(name)} is no name ({allowed})"
            raise TemplateError(message, field=field)
        check_mutation(text, name)
    return dict(templates)


def _weights(weights: Any) -> dict[str, float] | None:
    field = "mutation_weights"
    if weights is None:
        return None
    if not isinstance(weights, Mapping):
        raise InputError(
            f"{field}: must map names to numbers, found {shorten(weights)}", field=field
        )
    for name, weight in weights.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight <= _MAX_WEIGHT:
            raise InputError(
                f"{field}[{name!r}]: must be a number of at least 0, found {shorten(weight)}",
                field=field,
            )
    if sum(weights.values()) <= 0:
        raise InputError(
            f"{field}: at least one must be above 0, found {shorten(weights)}", field=field
        )
    return dict(weights)


_MAX_WEIGHT = 1e100
"""So that sums of weights are finite."""

_Attempts = Annotated[int, Field(ge=1, le=100)]
_Templates = Annotated[Mapping[str, str] | None, PlainValidator(_templates), Shown("FILE")]
_Weights = Annotated[
    dict[str, float] | None, PlainValidator(_weights), Shown("NAME=NUMBER,...|FILE")
]
_Scale = Annotated[Any, PlainValidator(normal_scale), Shown("LOW-HIGH|FILE")]
_Template = Annotated[str | None, BeforeValidator(_score_template), Shown("FILE")]
_Criteria = Annotated[str | None, BeforeValidator(_filled), Shown("FILE")]
_Text = Annotated[str | None, BeforeValidator(_text)]


class _Asking(Settings):
    """How the LM is asked, whatever for."""

    system_prompt: _Text = Field(
        default=None, description="Text of the system message; none by default."
    )
    max_attempts: _Attempts = Field(
        default=1,
        description="How often one question is asked until its answer can be used. A second "
        "attempt shows the LM what was wrong with the first.",
    )
    form: Form | None = Field(
        default=None, description="How the LM is asked to answer; by default what is best for it."
    )


class EvolSettings(_Asking):
    """Settings of EvolQuality."""

    num_evolutions: int = Field(
        default=1, ge=1, le=1000, description="Steps for each row, one after another."
    )
    store_evolutions: bool = Field(
        default=False,
        description="Rows get all evolutions (evolved_responses) and not the last one "
        "(evolved_response).",
    )
    include_original_response: bool = Field(
        default=False, description="The original comes first in evolved_responses."
    )
    seed: int = Field(
        default=42, ge=0, le=MAX_SEED, description="Fixes every draw; each call may bring its own."
    )
    mutation_weights: _Weights = Field(
        default=None, description="Name to relative frequency; equal by default."
    )
    preserve: Preserve = Field(
        default="none",
        description="What of the original stands in every evolution verbatim: none of it; its "
        "blocks (code fences, tables, display formulas), in order; or all of it, as the beginning. "
        "Forced while decoding on local LMs; elsewhere an answer without it is an error.",
    )
    min_added_words: int | None = Field(
        default=None,
        ge=1,
        le=_MAX_WORDS,
        description="How many words longer than the last response an evolution must be. With all "
        "preserved at least five come behind the original in any case.",
    )
    max_added_words: int | None = Field(
        default=None,
        ge=1,
        le=_MAX_WORDS,
        description="How many words longer than the last response an evolution may be. Told to the "
        "LM; a local one ends at its last whole sentence within it, the answer of any other is an "
        "error beyond it.",
    )
    max_growth: float | None = Field(
        default=MAX_GROWTH,
        gt=1,
        description="A budget for the length: so many times the words of the last response, or of "
        "40 where it has fewer. Told to the LM, and kept by local ones; no error. None lifts it.",
    )
    check_answers: bool = Field(
        default=True,
        description="A refusal, an echo of the prompt, a placeholder, a fragment, less than half "
        "of the last response (unless the mutation asks to shorten), and the original unchanged "
        "are an error, and not an evolution.",
    )

    @model_validator(mode="after")
    def _check_added(self) -> EvolSettings:
        low, high = self.min_added_words, self.max_added_words
        if low is not None and high is not None and low > high:
            raise InputError(
                f"min_added_words: must be at most max_added_words, found {low} and {high}",
                field="min_added_words",
            )
        return self


class EvolOptions(EvolSettings):
    """What the constructor of EvolQuality takes: its settings, and the texts that it tunes."""

    mutation_templates: _Templates = Field(
        default=None,
        description="Name to template; five by default. A template is method text ('Rewrite the "
        "response with ...'), or the whole prompt if it has {{ instruction }} and {{ response }}.",
    )


class ScorerSettings(_Asking):
    """Settings of QualityScorer."""

    scale: _Scale = Field(
        default=None,
        description="What a score may be: from LOW to HIGH, or a rubric of label to description. "
        "By default DEITA's list-wise scale: 1..K for K responses, K+1 for one that cannot be "
        "improved.",
    )
    scoring: Scoring = Field(
        default="joint",
        description="All responses in one prompt; or each alone, which needs a fixed scale or a "
        "rubric; or every pair in both orders; or nothing asked, and how much likelier the "
        "instruction makes each response read from the LM's own probabilities.",
    )
    permutations: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Orders of the responses that are asked, all at once, and averaged, against "
        "position bias; for joint scoring.",
    )
    samples: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Answers that are drawn to each question, where the LM shows no probabilities: "
        "their shares stand for the distribution, and are marked as sampled.",
    )
    length_exponent: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="For likelihood: what the instruction adds to the log probability of a "
        "response is divided by its number of tokens to this power: 0, the sum, compares answers "
        "to one instruction; 1, the mean, finds those that answer another one.",
    )
    turns: Turns = Field(
        default="last",
        description="Which answers of a conversation (a column of messages) count: the last alone, "
        "or all. sum scores each answer with the turns before it as its context, and adds the "
        "scores of the earlier ones to each score of the row; it needs a fixed scale or a rubric.",
    )
    use_default_structured_output: bool = Field(
        default=True,
        description="Ask for JSON under a schema; off, for lines such as '[1] Score: 3'.",
    )
    template: _Template = Field(
        default=None,
        description="Jinja2 text in place of the packaged score prompt; knows instruction, "
        "responses, low, high, criteria, form and mark.",
    )

    @model_validator(mode="after")
    def _check_scoring(self) -> ScorerSettings:
        if self.samples == 1:
            raise InputError("samples: one draw has no shares (0 or at least 2)", field="samples")
        if self.scoring in ("pairwise", "likelihood"):
            return self._check_compared()
        if self.turns == "sum" and self.scale is None:
            raise InputError(
                "scale: a sum over turns needs a fixed one, (low, high) or a rubric: the list-wise "
                "scale compares responses, and each earlier answer stands alone",
                field="scale",
            )
        if self.scoring == "joint":
            return self
        if self.scale is None:
            raise InputError(
                "scale: independent scoring needs a fixed one, (low, high) or a rubric: the "
                "list-wise scale compares responses, and each is seen alone",
                field="scale",
            )
        if self.permutations > 1:
            raise InputError(
                f"permutations: {self.permutations} orders of one response are the same prompt "
                "(independent scoring allows 1)",
                field="permutations",
            )
        return self

    def _check_compared(self) -> ScorerSettings:
        """Settings that say nothing about responses that are compared or read are refused."""
        unused = {
            "scale": self.scale is not None,
            "permutations": self.permutations > 1,
            "samples": self.samples > 0,
            "turns": self.turns != "last",
            "use_default_structured_output": not self.use_default_structured_output,
            "template": self.template is not None,
        }
        for name in (name for name, given in unused.items() if given):
            raise InputError(
                f"{name}: says nothing with {self.scoring} scoring (joint and independent take it)",
                field=name,
            )
        return self


class ScorerOptions(ScorerSettings):
    """What the constructor of QualityScorer takes: its settings, and the text that it tunes."""

    criteria: _Criteria = Field(
        default=None, description="What to judge by, where it is not the usual."
    )


def check_count(value: object, name: str) -> None:
    """Raises ``InputError`` unless the value is an integer of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(
            f"{name}: must be an integer of at least 1, found {shorten(value)}", field=name
        )


def check_seed(value: object, name: str = "seed") -> None:
    """Raises ``InputError`` unless the value is an integer from 0 to 2**64 - 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SEED:
        allowed = "at most 2**64 - 1" if type(value) is int and value > 0 else "at least 0"
        raise InputError(
            f"{name}: must be an integer of {allowed}, found {shorten(value)}", field=name
        )


def check_bool(value: object, name: str) -> None:
    """Raises ``InputError`` unless the value is ``True`` or ``False``."""
    if not isinstance(value, bool):
        raise InputError(f"{name}: must be True or False, found {shorten(value)}", field=name)
