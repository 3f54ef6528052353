"""EvolQuality: rewrites a response step by step, by mutations that are drawn for each row alone."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import dspy
import numpy as np

from structq.errors import InputError, LMError, OutputError, is_fatal, shorten
from structq.schemas import Form
from structq.signatures import EvolveResponse
from structq.templates import check_text, default_mutations

from .calls import Ask, Caller, Steps, adrive, drive
from .checks import EvolveCheck
from .derived import without_derived
from .length import MAX_GROWTH, Length
from .predictor import Predictor
from .preserve import Preserve, literals_of
from .programs import check_state
from .results import EvolveResult
from .rows import RowModule, check_instruction, describe_error, row_values
from .settings import EvolOptions, EvolSettings, check_seed
from .settled import SavedSettings, Settled

__all__ = ["EvolQuality"]


class EvolQuality(Settled, RowModule, settings=EvolSettings, options=EvolOptions):
    """Evolves responses, as in DEITA (arXiv 2312.15685, section 2.3).

    Each of ``num_evolutions`` steps draws one mutation and asks the LM to rewrite the last response
    by it. The draw is keyed by (seed, row content, step): it does not depend on batch, order or
    concurrency.

    Args:
        settings: {settings}
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
        options = EvolOptions.picked(locals())
        super().__init__(n_in_flight=n_in_flight)
        self.mutation_templates = options.mutation_templates or default_mutations()
        self.lm = lm
        self.settings = SavedSettings(EvolSettings.picked(vars(options)))
        self.check()
        if include_original_response and not store_evolutions:
            message = "include_original_response has no effect without store_evolutions=True"
            warnings.warn(message, UserWarning, stacklevel=3)

    @property
    def mutation_templates(self) -> dict[str, str]:
        """Name to template text, as it is now: a new dict at each call."""
        return {name: predict.signature.instructions for name, predict in self.mutations.items()}

    @mutation_templates.setter
    def mutation_templates(self, templates: Mapping[str, str]) -> None:
        checked = EvolOptions(mutation_templates=templates).mutation_templates
        self.mutations = self._predictors(checked or {})

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
            ``model_name``, ``metadata``. Where a step after the first fails, those before it
            are kept, and ``metadata["short"]`` has its error.

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

    async def aprocess_row(self, row: Mapping[str, Any] | dspy.Example) -> dict[str, Any]:
        """One row with the output columns, without those of an earlier run."""
        return await super().aprocess_row(without_derived(row_values(row)))

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
        """Takes over the names of the mutations in a saved state, so that it can be loaded.

        Raises:
            InputError: The state is none of a program, or too large.
        """
        check_state(state, trusted=True)
        pattern = re.compile(re.escape(prefix) + r"mutations\['(.*)'\]")
        names = [found[1] for key in state if (found := pattern.fullmatch(key))]
        if names:
            self.mutations = self._predictors(dict.fromkeys(names, "-"))

    def _predictors(self, templates: Mapping[str, str]) -> dict[str, Predictor]:
        """A predictor for each template, with the LM of the one that had its name before."""
        before = getattr(self, "mutations", {})
        known = {name: predict.unopened for name, predict in before.items()}
        shared = next(iter(known.values())) if len({*known.values()}) == 1 else None
        return {
            name: Predictor(EvolveResponse.with_instructions(text), known.get(name, shared))
            for name, text in templates.items()
        }

    def check(self) -> None:
        """Checks the templates as they are now: an optimizer or a file may have set them.

        Raises:
            TemplateError: A template cannot be rendered.
            InputError: A weight belongs to no mutation.
        """
        templates = self.mutation_templates
        EvolOptions(mutation_templates=templates)
        unknown = sorted((self.mutation_weights or {}).keys() - templates.keys())
        if unknown:
            field = "mutation_weights"
            raise InputError(
                f"{field}: there is no mutation {unknown[0]!r} (there are {', '.join(templates)})",
                field=field,
            )

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
        model, short = "", {}
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
            try:
                reply = yield self._question(name, check)
            except (OutputError, LMError) as error:
                if not evolved or is_fatal(error):
                    raise
                short = {"short": describe_error(error)}
                break
            evolved.append(reply.prediction.evolved_response)
            model = reply.answer.model
        return EvolveResult(
            evolved_response=evolved[-1],
            evolved_responses=[original, *evolved] if self.include_original_response else evolved,
            mutations=names[: len(evolved)],
            model_name=model,
            metadata={"calls": caller.calls, "error": None, **short},
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
