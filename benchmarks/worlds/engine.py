"""The simulated LM as an engine of DSPy: tells the kinds of requests apart, and counts them."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

import structq

__all__ = ["Judged", "SimulatedEngine", "Written", "make_lm"]

_SECTION = re.compile(
    r"^(?:\[(?P<tag>instruction|response|\d+)[a-z]*\]"
    r"|(?P<title>Instruction|Response(?: \d+)?)(?: [a-z]+)?:)\n",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Written:
    """A request to rewrite a response."""

    template: str
    instruction: str
    response: str


@dataclass(frozen=True)
class Judged:
    """A request for scores."""

    instruction: str
    responses: tuple[str, ...]
    labels: tuple[Any, ...]


class SimulatedEngine:
    """Answers each request by one of three functions.

    Args:
        write: From a request to rewrite to the new response.
        judge: From a request for scores to one label a response.
        propose: From the text of any other request, and how often the same was asked before, to a
            template.
    """

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens", "seed"})

    def __init__(
        self,
        write: Callable[[Written], str],
        judge: Callable[[Judged], list[Any]],
        propose: Callable[[str, int], str],
    ) -> None:
        self.write, self.judge, self.propose = write, judge, propose
        self.counts: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> SimulatedEngine:
        return self

    def complete(self, request: Request) -> Response:
        """The answer; a request of an unknown kind is one for a template."""
        schema = (request.config.response_format or {}).get("schema") or {}
        fields = schema.get("properties", {})
        if "evolved_response" in fields:
            text = json.dumps({"evolved_response": self.write(self._read(request, "evolve"))})
        elif "scores" in fields:
            text = json.dumps({"scores": self.judge(self._read_judged(request, fields["scores"]))})
        else:
            text = self._proposal(request, fields)
        usage = Usage(input_tokens=len(request.messages[-1].text or "") // 4, output_tokens=40)
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(text),
            finish_reason="stop",
            usage=usage,
        )

    def _count(self, kind: str) -> None:
        with self._lock:
            self.counts[kind] += 1

    def _read(self, request: Request, kind: str) -> Written:
        self._count(kind)
        head, sections = _sections(str(request.messages[-1].text))
        template = head.partition(_behind_template())[0].strip()
        return Written(template, sections["instruction"], sections["response"])

    def _read_judged(self, request: Request, scores: dict[str, Any]) -> Judged:
        self._count("score")
        _, sections = _sections(str(request.messages[-1].text))
        n_responses = int(scores["minItems"])
        texts = tuple(sections[str(place + 1)] for place in range(n_responses))
        return Judged(sections["instruction"], texts, tuple(scores["items"]["enum"]))

    def _proposal(self, request: Request, fields: dict[str, Any]) -> str:
        system = request.system if isinstance(request.system, str) else str(request.system or "")
        prompt = "\n".join([system, *(str(message.text) for message in request.messages)])
        with self._lock:
            self.counts["propose"] += 1
            n_before = self._asked[prompt]
            self._asked[prompt] += 1
        template = self.propose(prompt, n_before)
        if fields:
            return json.dumps({name: _filled(form, template) for name, form in fields.items()})
        asked = re.search(r"starting with the field (.+?)\[\[ ## completed ## \]\]", prompt, re.S)
        if asked:
            names = re.findall(r"\[\[ ## (\w+) ## \]\]", asked[1])
            marked = [f"[[ ## {name} ## ]]\n{template}\n" for name in names]
            return "\n".join([*marked, "[[ ## completed ## ]]"])
        return f"```\n{template}\n```" if "```" in prompt else template


class AsyncSimulatedEngine:
    """The same engine, awaited."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self.engine = engine

    def __deepcopy__(self, memo: dict[int, Any]) -> AsyncSimulatedEngine:
        return self

    async def complete(self, request: Request) -> Response:
        return self.engine.complete(request)


def make_lm(engine: SimulatedEngine, name: str) -> dspy.LM:
    """The engine behind a real ``dspy.LM`` that caches and retries nothing."""
    twin = AsyncSimulatedEngine(engine)
    return dspy.LM(name, engine=engine, async_engine=twin, cache=False, num_retries=0)


def _filled(form: dict[str, Any], template: str) -> Any:
    return [template] if form.get("type") == "array" else template


def _sections(prompt: str) -> tuple[str, dict[str, str]]:
    """What stands before the sections of a packaged prompt, and each section by its name."""
    found = list(_SECTION.finditer(prompt))
    ends = [match.start() for match in found[1:]] + [len(prompt)]
    sections = {}
    for match, end in zip(found, ends, strict=True):
        name = match["tag"] or match["title"].lower().removeprefix("response ")
        body = prompt[match.end() : end].strip("\n")
        sections[name] = re.sub(r"\n\[/\w+\]\Z", "", body)
    return prompt[: found[0].start()], sections


@lru_cache
def _behind_template() -> str:
    """The first words that structq itself puts behind a template, found by asking it once."""
    seen: list[str] = []

    class Probe(SimulatedEngine):
        def complete(self, request: Request) -> Response:
            seen.append(str(request.messages[-1].text))
            return super().complete(request)

    marker = "Rewrite the response with a probe."
    probe = Probe(lambda _: "", lambda _: [], lambda *_: "")
    probe._read = lambda *_: Written("", "", "")  # type: ignore[method-assign]
    module = structq.EvolQuality(
        mutation_templates={"probe": marker}, check_answers=False, lm=make_lm(probe, "worlds/probe")
    )
    row = {"instruction": "Name a tree.", "response": "An oak is a tree that grows slowly."}
    list(module.process([row]))
    behind = _sections(seen[0])[0].partition(marker)[2].strip()
    return behind[:30]
