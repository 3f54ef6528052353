"""Answers a search's steps by a known effect of each sentence; the test double of the driver."""

from __future__ import annotations

import numpy as np

from structq.optimize.proposers import Reflective
from structq.optimize.search import template_search
from structq.optimize.trials import Answers, Ask, Outcome, Space

SEED = {"depth": "Give the response more depth.", "detail": "Give it more detail."}
GOOD = ("Give one number.", "Name the cause.", "Say what comes next.")
BAD = ("Shout every word.", "Say it three times.")


class FakeLM:
    """Proposes known sentences and measures templates by them.

    Args:
        effects: Sentence to worth.
        noise: Of one gain.
        replies: Replies to prompts in turn; ``None`` writes sentences of the effects.
    """

    def __init__(self, effects=None, *, noise=0.1, replies=None, seed=0, cost=2, change=None):
        self.effects = effects if effects is not None else dict.fromkeys(GOOD, 0.2)
        self.noise, self.replies, self.cost = noise, replies, cost
        self.rng = np.random.default_rng(seed)
        self.change = change or (lambda outcome: outcome)
        self.n_calls, self.max_calls = 0, 0
        self.known = set()
        self.steps = []
        self.stop_after = None

    def answer(self, step):
        self.steps.append(step)
        stop = self.stop_after is not None and len(self.steps) >= self.stop_after
        if isinstance(step, Ask):
            self.n_calls += len(step.prompts)
            replies = tuple(self._reply() for _ in step.prompts)
            return Answers(n_left=self.max_calls - self.n_calls, replies=replies, stop=stop)
        outcomes = tuple(self.change(self._outcome(trial)) for trial in step.trials)
        self.n_calls += sum(outcome.n_calls for outcome in outcomes)
        left = self.max_calls - self.n_calls
        return Answers(n_left=left, outcomes=outcomes, stop=stop)

    def _reply(self):
        if self.replies is not None:
            return self.replies[int(self.rng.integers(len(self.replies)))]
        names = list(self.effects)
        chosen = self.rng.choice(len(names), min(2, len(names)), replace=False)
        return " ".join(names[int(i)] for i in chosen)

    def _outcome(self, trial):
        ((_, text),) = trial.texts
        gain = sum(worth for sentence, worth in self.effects.items() if sentence in text)
        gain += self.noise * self.rng.normal()
        n_calls = 0 if trial in self.known else self.cost
        self.known.add(trial)
        return Outcome(trial=trial, gain=float(gain), n_calls=n_calls, evolved="Better.")


def make_search(
    max_calls=400, *, lm, n_train=20, n_val=40, templates=SEED, weights=None, cost=2, **options
):
    options = {"proposers": [Reflective()], **options}
    lm.max_calls = max_calls
    return template_search(
        Space.of(templates, weights),
        n_train=n_train,
        n_val=n_val,
        max_calls=max_calls,
        calls_per_trial=cost,
        **options,
    )


def run(max_calls=400, *, lm, **options):
    """A whole search against a fake LM."""
    search, answers = make_search(max_calls, lm=lm, **options), None
    while True:
        try:
            step = next(search) if answers is None else search.send(answers)
        except StopIteration as stop:
            return stop.value
        answers = lm.answer(step)
