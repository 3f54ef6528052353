"""EvolQuality: rewrites a response step by step, by mutations that are drawn for each row alone."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, get_args

import dspy
import numpy as np

from structq.errors import InputError, TemplateError, shorten
from structq.schemas import FORMS, Form
from structq.signatures import EvolveResponse
from structq.templates import check_mutation, check_text, default_mutations

from .calls import Ask, Caller, Steps, adrive, drive
from .checks import EvolveCheck
from .length import MAX_GROWTH, Length, check_growth
from .predictor import Predictor
from .preserve import Preserve, literals_of
from .results import EvolveResult
from .rows import RowModule, check_instruction
from .settings import Setting, Settings, check_bool, check_choice, check_count, check_seed

__all__ = ["EvolQuality"]


@dataclass(kw_only=True)
class EvolSettings(Settings):
    """Settings of EvolQuality; see there."""

    num_evolutions: int = 1
    store_evolutions: bool = False
    include_original_response: bool = False
    seed: int = 42
    system_prompt: str | None = None
    mutation_weights: dict[str, float] | None = None
    max_attempts: int = 1
    preserve: Preserve = "none"
    min_added_words: int | None = None
    max_added_words: int | None = None
    max_growth: float | None = MAX_GROWTH
    check_answers: bool = True
    form: Form | None = None

    def __post_init__(self) -> None:
        check_count(self.num_evolutions, "num_evolutions")
        check_count(self.max_attempts, "max_attempts")
        check_bool(self.store_evolutions, "store_evolutions")
        check_bool(self.include_original_response, "include_original_response")
        check_seed(self.seed)
        check_choice(self.preserve, "preserve", get_args(Preserve))
        check_bool(self.check_answers, "check_answers")
        for name in ("min_added_words", "max_added_words"):
            if getattr(self, name) is not None:
                check_count(getattr(self, name), name)
        self._check_added()
        if self.form is not None:
            check_choice(self.form, "form", FORMS)
        if self.system_prompt is not None:
            check_text(self.system_prompt, "system_prompt")
        if self.mutation_weights is not None:
            self.mutation_weights = _check_weights(self.mutation_weights)

    def _check_added(self) -> None:
        low, high = self.min_added_words, self.max_added_words
        if low is not None and high is not None and low > high:
            raise InputError(
                f"min_added_words: must be at most max_added_words, found {low} and {high}",
                field="min_added_words",
            )
        check_growth(self.max_growth)


class EvolQuality(RowModule):
    """Evolves responses, as in DEITA (arXiv 2312.15685, section 2.3).

    Each of ``num_evolutions`` steps draws one mutation and asks the LM to rewrite the last response
    by it. The draw is keyed by (seed, row content, step): it does not depend on batch, order or
    concurrency.

    Args:
        num_evolutions: Steps for each row.
        store_evolutions: Rows get all evolutions (``evolved_responses``) and not the last one
            (``evolved_response``).
        include_original_response: The original comes first in ``evolved_responses``.
        mutation_templates: Name to template; five by default. A template is method text ("Rewrite
            the response with ..."), or the whole prompt if it has ``{{ instruction }}`` and
            ``{{ response }}``.
        seed: Fixes every draw; each call may bring its own.
        system_prompt: Text of the system message; none by default.
        mutation_weights: Name to relative frequency; equal by default.
        max_attempts: How often one step is asked until the answer can be used. A second attempt
            shows the LM what was wrong with the first.
        preserve: What of the original stands in every evolution verbatim: ``"none"`` of it; its
            ``"blocks"`` (code fences, tables, display formulas), in order; or ``"all"`` of it, as
            the beginning. Forced while decoding on local LMs; elsewhere an answer without it is an
            ``OutputError``.
        min_added_words: How many words longer than the last response an evolution must be. With
            ``preserve="all"`` at least five come behind the original in any case.
        max_added_words: How many words longer than the last response an evolution may be. Told to
            the LM; a local one ends at its last whole sentence within it, the answer of any other
            is an ``OutputError`` beyond it.
        max_growth: A budget for the length: so many times the words of the last response, or of 40
            where it has fewer. Told to the LM, and kept by local ones; no error. ``None`` lifts it.
        check_answers: A refusal, an echo of the prompt, a placeholder, a fragment, less than half
            of the last response (unless the mutation asks to shorten), and the original unchanged
            are an ``OutputError``, and not an evolution.
        form: How the LM is asked to answer: ``"text"``, ``"json"`` or ``"compact"``, see
            `structq.schemas.Form`; by default what is best for the LM. The caller gets the same.
        lm: A ``dspy.LM`` or a spec for ``structq.lm``; by default the LM that DSPy is configured
            with.
        n_in_flight: Most rows that ``process`` works on at once.

    Attributes:
        mutations: Name to ``dspy.Predict``; the template is its ``signature.instructions``, and so
            DSPy's optimizers tune it and ``save`` keeps it.

    Raises:
        InputError: A value is wrong; the message names it.
        TemplateError: A template cannot be rendered.

    Example:
        >>> evolve = EvolQuality(num_evolutions=2, store_evolutions=True, lm="nano")
        >>> evolve(instruction="Why is the sky blue?", response="The air.").evolved_responses
    """

    num_evolutions = Setting[int]("Steps for each row.")
    store_evolutions = Setting[bool]("Whether rows get all evolutions.")
    include_original_response = Setting[bool]("Whether the original comes first.")
    seed = Setting[int]("Fixes every draw.")
    system_prompt = Setting["str | None"]("Text of the system message.")
    mutation_weights = Setting["dict[str, float] | None"]("Name to relative frequency.")
    max_attempts = Setting[int]("How often one step is asked.")
    preserve = Setting[Preserve]("What of the original stands in every evolution.")
    min_added_words = Setting["int | None"]("How many words longer an evolution must be.")
    max_added_words = Setting["int | None"]("How many words longer an evolution may be.")
    max_growth = Setting["float | None"]("How many times as long an evolution may grow.")
    check_answers = Setting[bool]("Whether what is no evolution is an error.")
    form = Setting["Form | None"]("How the LM is asked to answer.")

    def __init__(
        self,
        *,
        num_evolutions: int = 1,
        store_evolutions: bool = False,
        include_original_response: bool = False,
        mutation_templates: Mapping[str, str] | None = None,
        seed: int = 42,
        system_prompt: str | None = None,
        mutation_weights: Mapping[str, float] | None = None,
        max_attempts: int = 1,
        preserve: Preserve = "none",
        min_added_words: int | None = None,
        max_added_words: int | None = None,
        max_growth: float | None = MAX_GROWTH,
        check_answers: bool = True,
        form: Form | None = None,
        lm: dspy.BaseLM | str | None = None,
        n_in_flight: int = 64,
    ) -> None:
        super().__init__(n_in_flight=n_in_flight)
        templates = default_mutations() if mutation_templates is None else mutation_templates
        self.mutations = {
            name: Predictor(EvolveResponse.with_instructions(text))
            for name, text in _check_templates(templates).items()
        }
        self.lm = lm
        self.settings = EvolSettings(
            num_evolutions=num_evolutions,
            store_evolutions=store_evolutions,
            include_original_response=include_original_response,
            seed=seed,
            system_prompt=system_prompt,
            mutation_weights=None if mutation_weights is None else dict(mutation_weights),
            max_attempts=max_attempts,
            preserve=preserve,
            min_added_words=min_added_words,
            max_added_words=max_added_words,
            max_growth=max_growth,
            check_answers=check_answers,
            form=form,
        )
        self.check()
        if include_original_response and not store_evolutions:
            message = "include_original_response has no effect without store_evolutions=True"
            warnings.warn(message, UserWarning, stacklevel=3)

    @property
    def mutation_templates(self) -> dict[str, str]:
        """Name to template text, as it is now: a new dict at each call."""
        return {name: predict.signature.instructions for name, predict in self.mutations.items()}

    def forward(
        self, instruction: str, response: str, seed: int | None = None, mutation: str | None = None
    ) -> EvolveResult:
        """The evolutions of one response.

        Args:
            instruction: What was asked; not blank.
            response: The answer to evolve; may be empty.
            seed: In place of the module's.
            mutation: Name of the mutation of every step, in place of a draw.

        Returns:
            ``evolved_response`` (the last), ``evolved_responses`` (all, in order, after the
            original if ``include_original_response``), ``mutations`` (one name a step),
            ``model_name``, ``metadata``.

        Raises:
            InputError: A value is wrong; names the field.
            OutputError: An answer was cut off, broke its schema or is no evolution; ``calls`` has
                the steps until then.
            LMError: The LM could not answer.
        """
        caller = self._caller()
        return drive(self._steps(caller, instruction, response, seed, mutation), caller)

    async def aforward(
        self, instruction: str, response: str, seed: int | None = None, mutation: str | None = None
    ) -> EvolveResult:
        """As ``forward``, awaiting the LM."""
        caller = self._caller()
        return await adrive(self._steps(caller, instruction, response, seed, mutation), caller)

    if TYPE_CHECKING:
        __call__ = forward
        acall = aforward

    @property
    def output_columns(self) -> tuple[str, ...]:
        """Columns that ``process`` adds to a row, ``metadata`` apart."""
        evolved = "evolved_responses" if self.store_evolutions else "evolved_response"
        return (evolved, "mutations", "model_name")

    def row_inputs(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a call, from the columns of a row."""
        return {"instruction": row.get("instruction"), "response": row.get("response")}

    def load_state(self, state: dict[str, Any], *, allow_unsafe_lm_state: bool = False) -> None:
        """Becomes the saved module: its mutations, their templates and its settings.

        Raises:
            InputError: The state is not one of an EvolQuality that could be constructed.
        """
        before = self.mutations, self.settings
        try:
            self.match_state(state)
            super().load_state(state, allow_unsafe_lm_state=allow_unsafe_lm_state)
            self.check()
        except Exception:
            self.mutations, self.settings = before
            raise

    def match_state(self, state: Mapping[str, Any], prefix: str = "") -> None:
        """Takes over the names of the mutations in a saved state, so that it can be loaded."""
        pattern = re.compile(re.escape(prefix) + r"mutations\['(.*)'\]")
        names = [found[1] for key in state if (found := pattern.fullmatch(key))]
        if names:
            known = {name: predict.unopened for name, predict in self.mutations.items()}
            shared = next(iter(known.values())) if len({*known.values()}) == 1 else None
            self.mutations = {
                name: Predictor(EvolveResponse, known.get(name, shared)) for name in names
            }

    def check(self) -> None:
        """Checks the templates as they are now: an optimizer or a file may have set them.

        Raises:
            TemplateError: A template cannot be rendered.
            InputError: A weight belongs to no mutation.
        """
        _check_names(self.settings, _check_templates(self.mutation_templates))

    def _caller(self) -> Caller:
        options = {"system_prompt": self.system_prompt, "form": self.form}
        return Caller(max_attempts=self.max_attempts, adapter_options=options)

    def _steps(
        self,
        caller: Caller,
        instruction: object,
        response: object,
        seed: int | None,
        mutation: str | None,
    ) -> Steps[EvolveResult]:
        asked, original = check_instruction(instruction), check_text(response, "response")
        names = self._draw(asked, original, seed, mutation)
        literals = literals_of(original, self.preserve)
        evolved: list[str] = []
        for name in names:
            check = EvolveCheck(
                instruction=asked,
                response=evolved[-1] if evolved else original,
                original=original,
                template=self.mutations[name].signature.instructions,
                literals=literals,
                anchored=self.preserve == "all",
                length=self._length,
                judge=self.check_answers,
            )
            reply = yield self._question(name, check)
            evolved.append(reply.prediction.evolved_response)
        return EvolveResult(
            evolved_response=evolved[-1],
            evolved_responses=[original, *evolved] if self.include_original_response else evolved,
            mutations=names,
            model_name=reply.answer.model,
            metadata={"calls": caller.calls, "error": None},
        )

    @property
    def _length(self) -> Length:
        return Length(
            min_added=self.min_added_words,
            max_added=self.max_added_words,
            max_growth=self.max_growth,
        )

    def _question(self, name: str, check: EvolveCheck) -> Ask:
        """Asks for one evolution, to be judged by the check."""
        return Ask(
            predict=self.mutations[name],
            inputs={"instruction": check.instruction, "response": check.response},
            mutation=name,
            adapter_options={
                "limits": check.length.sentence(check.response),
                "rules": check.rules(),
                "check": check.fields,
            },
        )

    def _draw(
        self, instruction: str, response: str, seed: int | None, mutation: str | None
    ) -> list[str]:
        """The mutation of each step."""
        seed = self.seed if seed is None else seed
        check_seed(seed)
        if mutation is not None:
            if mutation not in self.mutations:
                known = ", ".join(self.mutations)
                raise InputError(
                    f"mutation: there is no {shorten(mutation)} (there are {known})",
                    field="mutation",
                )
            return [mutation] * self.num_evolutions
        # Sorted, so that the order in which templates were given changes nothing.
        names = sorted(self.mutations)
        weights = self.mutation_weights
        row = _row_key(instruction, response)
        ends = None if weights is None else np.cumsum([weights.get(name, 0.0) for name in names])
        draws = []
        for step in range(self.num_evolutions):
            rng = np.random.default_rng((seed, row, step))
            if ends is None:
                draws.append(names[int(rng.integers(len(names)))])
            else:
                draws.append(
                    names[int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))]
                )
        return draws


def _row_key(instruction: str, response: str) -> int:
    """128 bits of the row; the length in front keeps ("ab", "c") apart from ("a", "bc")."""
    text = instruction.encode()
    return int.from_bytes(
        blake2b(b"%d:%s%s" % (len(text), text, response.encode()), digest_size=16).digest(), "big"
    )


_NAME = re.compile(r"[\w .:+-]{1,64}")


def _check_templates(templates: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(templates, Mapping) or not templates:
        message = f"mutation_templates: must name at least one template, found {shorten(templates)}"
        raise TemplateError(message, field="mutation_templates")
    for name, text in templates.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            allowed = "1 to 64 letters, digits, spaces and _.:+- are"
            message = f"mutation_templates: {shorten(name)} is no name ({allowed})"
            raise TemplateError(message, field="mutation_templates")
        check_mutation(text, name)
    return dict(templates)


def _check_weights(weights: object) -> dict[str, float]:
    field = "mutation_weights"
    if not isinstance(weights, Mapping):
        raise InputError(
            f"{field}: must map names to numbers, found {shorten(weights)}", field=field
        )
    for name, weight in weights.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight < 0:
            raise InputError(
                f"{field}[{name!r}]: must be a number of at least 0, found {shorten(weight)}",
                field=field,
            )
    if sum(weights.values()) <= 0:
        raise InputError(
            f"{field}: at least one must be above 0, found {shorten(weights)}", field=field
        )
    return dict(weights)


def _check_names(settings: EvolSettings, mutations: Mapping[str, object]) -> None:
    weights = settings.mutation_weights or {}
    if unknown := sorted(weights.keys() - mutations.keys()):
        field = "mutation_weights"
        raise InputError(
            f"{field}: there is no mutation {unknown[0]!r} (there are {', '.join(mutations)})",
            field=field,
        )
