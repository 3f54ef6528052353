"""The adapter of a text that is read and not asked for: how likely it is as the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dspy
from dspy.lm15 import Request, Response

from structq.errors import InputError, LMError
from structq.templates import check_text

from .answers import Answer
from .requests import ask, ask_async, build_request, call_settings

__all__ = ["ReadAdapter"]


class ReadAdapter(dspy.Adapter):  # type: ignore[misc]
    """Gives an LM an instruction with its response, and takes the response's log probability.

    Args:
        system_prompt: Text of the system message; none by default.
        on_answer: Called with every answer as it came.
        others: What `StructAdapter` knows besides: nothing is written here, so nothing of it says
            anything.
    """

    def __init__(
        self,
        *,
        system_prompt: str | None = None,
        on_answer: Callable[[Answer], None] | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        self.system_prompt = system_prompt
        self.on_answer = on_answer

    def __call__(
        self,
        lm: dspy.BaseLM,
        lm_kwargs: Mapping[str, Any],
        signature: type[dspy.Signature],
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """One answer: ``log_probability`` and ``n_tokens``.

        Raises:
            InputError: A text cannot be sent.
            LMError: The LM cannot answer, or gives no log probability of a text.
        """
        request = self._request(lm, lm_kwargs, inputs)
        _, settings = call_settings(lm, lm_kwargs)
        return [self._read(ask(lm, request, settings), request)]

    async def acall(
        self,
        lm: dspy.BaseLM,
        lm_kwargs: Mapping[str, Any],
        signature: type[dspy.Signature],
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """As a call, awaiting the LM."""
        request = self._request(lm, lm_kwargs, inputs)
        _, settings = call_settings(lm, lm_kwargs)
        return [self._read(await ask_async(lm, request, settings), request)]

    def _request(
        self, lm: dspy.BaseLM, lm_kwargs: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> Request:
        if getattr(getattr(lm, "engine", None), "reads_text", False) is not True:
            raise InputError(
                f"scoring: {lm.model!r} gives no log probability of a prompt, which likelihood "
                "needs (local LMs and vLLM do)",
                field="scoring",
            )
        told = check_text(inputs["instruction"], "instruction")
        read = check_text(inputs["response"], "responses")
        messages = [{"role": "system", "content": self.system_prompt}] if self.system_prompt else []
        messages.append({"role": "user", "content": told})
        return build_request(lm, lm_kwargs, messages, None, extensions={"read": read})

    def _read(self, response: Response, request: Request) -> dict[str, Any]:
        data = response.provider_data
        facts = data.get("structq", {}) if isinstance(data, Mapping) else {}
        found = facts.get("read")
        if not isinstance(found, Mapping):
            raise LMError(f"the LM {request.model!r} gave no log probability of the text")
        if self.on_answer is not None:
            self.on_answer(
                Answer(
                    raw="",
                    model=request.model,
                    finish_reason=response.finish_reason,
                    input_tokens=response.usage.input_tokens,
                    output_tokens=response.usage.output_tokens,
                    n_passes=facts.get("n_passes"),
                    n_requests=facts.get("n_requests", 1),
                )
            )
        return {"log_probability": float(found["logprob"]), "n_tokens": int(found["n_tokens"])}
