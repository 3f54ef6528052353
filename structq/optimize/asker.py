"""Asks the proposer's LM for text, under the same budget; knows nothing of what the text is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import dspy

from structq.adapter.requests import ask_async, build_request
from structq.errors import LMError
from structq.modules.stream import stream

from .budget import Budget
from .lms import bare_lm

__all__ = ["Asker", "Reply"]

Reply = tuple["str | None", int]
"""What the LM said, or ``None``, and the calls that it cost."""


class Asker:
    """The replies to prompts, one call each.

    Args:
        lm: The proposer's LM.
        budget: Counts every call.
        n_in_flight: Most prompts that are asked at once.

    Attributes:
        closing: Set it, and no further prompt is asked.
    """

    def __init__(self, lm: dspy.BaseLM, *, budget: Budget, n_in_flight: int = 16) -> None:
        self.budget = budget
        self.closing = False
        self._lm = bare_lm(lm)
        self._n_in_flight = n_in_flight

    async def ask(
        self,
        prompts: Sequence[str],
        on_reply: Callable[[int, Reply], None],
        done: Mapping[int, Reply] | None = None,
    ) -> list[str | None]:
        """One reply a prompt, in order; ``None`` where the LM failed or the budget is spent.

        Args:
            prompts: Whole prompts.
            on_reply: Told of each new reply, with its place, as soon as it is there.
            done: Replies of an earlier run that was interrupted, by place.
        """
        replies = dict(done or {})
        for _, n_calls in replies.values():
            self.budget.restore(n_calls)
        waiting = [place for place in range(len(prompts)) if place not in replies]

        async def run(place: int) -> None:
            if self.closing or not self.budget.reserve(1):
                return
            try:
                text = await self._reply(prompts[place])
            finally:
                self.budget.settle(1, 1)
            replies[place] = text, 1
            on_reply(place, replies[place])

        admitted = waiting[: max(0, self.budget.left)]
        with dspy.context(disable_history=True, trace=None):
            async for _ in stream(run, admitted, n_in_flight=self._n_in_flight):
                pass
        return [replies.get(place, (None, 0))[0] for place in range(len(prompts))]

    async def _reply(self, prompt: str) -> str | None:
        request = build_request(self._lm, {}, [{"role": "user", "content": prompt}], None)
        try:
            response = await ask_async(self._lm, request, {})
        except LMError:
            return None
        # Half a template is none.
        return None if response.finish_reason == "length" else response.text
