"""An LM whose answers are kept, and whose calls are counted and come to an end.

A question that was asked before in a run is answered again at no call, as from DSPy's cache. One
that an earlier run asked counts, and costs no time.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage
from worlds.rivals import Spent

__all__ = ["Answers", "counted"]


class Answers:
    """Answers by question, in a file of JSON Lines that grows."""

    def __init__(self, path: Path | None) -> None:
        self.path, self._lock = path, threading.Lock()
        self._known: dict[str, Mapping[str, Any]] = {}
        if path is not None and path.exists():
            for line in path.read_text("utf8").split("\n"):
                if line.endswith("}"):
                    found = json.loads(line)
                    self._known[found["key"]] = found

    def get(self, key: str, request: Request) -> Response | None:
        if (kept := self._known.get(key)) is None:
            return None
        return Response(
            id=None, model=request.model, message=Message.assistant(kept["text"]),
            finish_reason=kept["finish"], usage=Usage(input_tokens=kept["in"],
            output_tokens=kept["out"]), provider_data=kept["data"],
        )  # fmt: skip

    def put(self, key: str, response: Response) -> None:
        kept = {
            "key": key, "text": response.text, "finish": response.finish_reason,
            "in": response.usage.input_tokens, "out": response.usage.output_tokens,
            "data": response.provider_data,
        }  # fmt: skip
        with self._lock:
            self._known[key] = kept
            if self.path is not None:
                with self.path.open("a", encoding="utf8") as file:
                    file.write(json.dumps(kept) + "\n")


class _Counting:
    """The engine of one run, in front of the LM's own."""

    def __init__(self, engine: Any, answers: Answers, calls: int | None, seed: int) -> None:
        self._engine, self._answers, self.limit, self.seed = engine, answers, calls, seed
        self.calls = 0
        self._asked: set[str] = set()
        self._drawn: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_engine"], name)

    def __deepcopy__(self, memo: Any) -> _Counting:
        return self

    def complete(self, request: Request) -> Response:
        """The answer; draws with a temperature are numbered, so that a run can be repeated.

        Raises:
            Spent: It would be one call too many.
        """
        asked = repr((request.model, request.system, [(m.role, m.text) for m in request.messages]))
        key = sha256(f"{asked}{replace(request.config, seed=None)!r}".encode()).hexdigest()[:32]
        with self._lock:
            if request.config.temperature:
                self._drawn[key] += 1
                number = 1_000 * self.seed + self._drawn[key]
                request = replace(request, config=replace(request.config, seed=number))
                key = f"{key}-{number}"
            if key not in self._asked:
                if self.limit is not None and self.calls >= self.limit:
                    raise Spent
                self._asked.add(key)
                self.calls += 1
        if (kept := self._answers.get(key, request)) is not None:
            return kept
        response = self._engine.complete(request)
        self._answers.put(key, response)
        return response


class _Awaited:
    """The same engine for coroutines: structq waits for such engines in threads."""

    def __init__(self, engine: _Counting) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_engine"], name)

    def __deepcopy__(self, memo: Any) -> _Awaited:
        return self

    async def complete(self, request: Request) -> Response:
        import asyncio

        return await asyncio.to_thread(self._engine.complete, request)


def counted(lm: dspy.LM, answers: Answers, *, calls: int | None = None, seed: int = 0) -> dspy.LM:
    """The LM for one run; ``.engine.calls`` is what it has asked so far.

    Args:
        lm: Of `structq.lm`.
        answers: What is known.
        calls: Most calls; then ``Spent`` is raised.
        seed: Tells the draws of runs apart.
    """
    engine = _Counting(lm.engine, answers, calls, seed)
    options = {**lm.kwargs, "cache": False, "num_retries": 0}
    return dspy.LM(lm.model, engine=engine, async_engine=_Awaited(engine), **options)
