"""A scripted engine behind a real ``dspy.LM``: the test double of every LM."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

Script = Callable[[Request], "str | Response | Exception"]


class ScriptedEngine:
    """Answers each request by a function of it; counts what it sees.

    Args:
        script: From a request to a text, a response, or an error to raise.
        measures: Whether it declares and gives label distributions.
        form: How it says that it writes answers best.
        constrains_text: Whether it declares that it holds a text to rules.
        delay_s: From a request to the seconds that its answer takes.
    """

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed"})

    def __init__(
        self,
        script: Script | None = None,
        *,
        measures: bool = False,
        form: str = "json",
        constrains_text: bool = False,
        delay_s: Callable[[Request], float] | None = None,
    ) -> None:
        self.script = script or default_script
        self.measures_labels = measures
        self.form = form
        self.constrains_text = constrains_text
        self.delay_s = delay_s
        self.requests: list[Request] = []
        self.in_flight = self.most_in_flight = 0
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> ScriptedEngine:
        return self

    def _enter(self, request: Request) -> float:
        with self._lock:
            self.requests.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return self.delay_s(request) if self.delay_s else 0.0

    def _leave(self, request: Request) -> Response:
        with self._lock:
            self.in_flight -= 1
        answer = self.script(request)
        if isinstance(answer, Exception):
            raise answer
        return respond(request, answer) if isinstance(answer, str) else answer

    def complete(self, request: Request) -> Response:
        time.sleep(self._enter(request))
        return self._leave(request)


class AsyncScriptedEngine:
    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine

    def __deepcopy__(self, memo: dict[int, Any]) -> AsyncScriptedEngine:
        return self

    async def complete(self, request: Request) -> Response:
        await asyncio.sleep(self.engine._enter(request))
        return self.engine._leave(request)


def respond(
    request: Request, text: str, finish_reason: str = "stop", data: dict[str, Any] | None = None
) -> Response:
    usage = Usage(input_tokens=len(prompt_of(request)), output_tokens=len(text))
    message = Message.assistant(text)
    return Response(
        id=None,
        model=request.model,
        message=message,
        finish_reason=finish_reason,
        usage=usage,
        provider_data=data,
    )


def prompt_of(request: Request) -> str:
    return request.messages[-1].text


def schema_of(request: Request) -> dict[str, Any]:
    return request.config.response_format["schema"]["properties"]


def extensions_of(request: Request) -> dict[str, Any]:
    """What the request asks of structq's engines alone."""
    return (request.config.extensions or {}).get("structq", {})


def default_script(request: Request) -> str | Response:
    """Evolves by adding a word; scores by length, measured where the request asks for it."""
    if request.config.response_format is None:
        return body_of(prompt_of(request), "response") + " More."
    fields = schema_of(request)
    if "evolved_response" in fields:
        return json.dumps({"evolved_response": body_of(prompt_of(request), "response") + " More."})
    n_scores, labels = fields["scores"]["minItems"], fields["scores"]["items"]["enum"]
    lengths = [len(body_of(prompt_of(request), str(i + 1))) for i in range(n_scores)]
    ranks = [sorted(set(lengths)).index(length) for length in lengths]
    scores = [labels[min(rank, len(labels) - 1)] for rank in ranks]
    text = json.dumps({"scores": scores})
    if not extensions_of(request).get("measure"):
        return text
    rows = [
        [0.75 if label == score else 0.25 / (len(labels) - 1) for label in labels]
        for score in scores
    ]
    facts = {
        "labels": labels,
        "distributions": rows,
        "label_mass": [0.9] * n_scores,
        "n_passes": n_scores,
    }
    return respond(request, text, data={"structq": facts})


_FIRST_SECTION = re.compile(
    r"^(?:\[instruction([a-z]*)\]|Instruction((?: [a-z]+)?):)$", re.MULTILINE
)

_LIMITS = re.compile(r"\n\n(?:(?:Add|Use) at (?:least|most) \d+ words\.(?: |\Z))+\Z")
"""What an evolution must keep to, as it stands behind the response."""


def body_of(prompt: str, section: str) -> str:
    """The text of a section of a packaged prompt, whatever its mark.

    Args:
        prompt: With tags or with headings.
        section: ``"instruction"``, ``"response"``, or the number of a response.
    """
    first = _FIRST_SECTION.search(prompt)
    if first[1] is not None:
        mark = first[1]
        return prompt.split(f"\n[{section}{mark}]\n", 1)[1].split(f"\n[/{section}{mark}]", 1)[0]
    name = f"Response {section}" if section.isdigit() else section.capitalize()
    body = prompt.split(f"\n{name}{first[2]}:\n", 1)[1]
    # The mark is such that no text of a row holds a heading with it.
    body = re.split(rf"\n\nResponse(?: \d+)?{first[2]}:\n", body)[0]
    return _LIMITS.sub("", body)


def make_lm(engine: ScriptedEngine, **options: Any) -> dspy.LM:
    options = {"cache": False, "num_retries": 0, **options}
    return dspy.LM(
        "scripted/lm", engine=engine, async_engine=AsyncScriptedEngine(engine), **options
    )
