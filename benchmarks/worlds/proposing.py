"""The simulated LM as a proposer: it sees a prompt, knows a bank of sentences, and writes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .draws import generator
from .rules import Rule
from .sentences import known_sentences, other_wordings, write

__all__ = ["PROPOSERS", "Proposer", "bank_of"]

PROPOSERS = ("good", "repeats", "paraphrases", "ignorant", "longer")
"""Who proposes.

- ``good``: draws evenly from a bank of which 57 % help.
- ``repeats``: the same bank; a few sentences and whole templates come again and again.
- ``paraphrases``: the same wishes, each time in any of their wordings, and with other leads.
- ``ignorant``: draws evenly from a bank of which 30 % help.
- ``longer``: the 57 % bank; writes more and more sentences, and the later one stands in a template
  the likelier it harms.
"""


def bank_of(rule: Rule, kind: str) -> list[str]:
    """The sentences that a proposer knows."""
    if kind == "ignorant":
        return [*rule.helpful[:6], *rule.harmful[:10], *rule.neutral[:4]]
    known = [*rule.helpful[:12], *rule.harmful[:7], *rule.neutral[:2]]
    if kind == "paraphrases":
        return [wording for sentence in known for wording in other_wordings(sentence)]
    return known


@dataclass
class Proposer:
    """Writes templates of what it knows.

    Args:
        rule: Only its seed templates and, for ``longer``, what harms are looked at.
        kind: One of ``PROPOSERS``.
        seed: Fixes every draw, with the prompt and how often it came before.
    """

    rule: Rule
    kind: str
    seed: int

    def __post_init__(self) -> None:
        self.bank = bank_of(self.rule, self.kind)
        shuffled = generator(self.seed, "habit").permutation(self.bank)
        self.habit = [str(sentence) for sentence in shuffled]
        self.n_asked = 0

    def __call__(self, prompt: str, n_before: int) -> str:
        random = generator(self.seed, prompt, n_before)
        if self.kind == "repeats" and random.random() < 0.5:
            random = generator(self.seed, "again", int(random.integers(6)))
        self.n_asked += 1
        lead, there = self._read(prompt, random)
        if re.search(r"other words|reword|paraphras", prompt, re.IGNORECASE):
            return write(_other_lead(lead, random), [_other(s, random) for s in there])
        kept = [sentence for sentence in there if random.random() < 0.6][:4]
        ways: dict[str, Callable[..., list[str]]] = {"repeats": self._usual, "longer": self._long}
        new = ways.get(self.kind, self._even)(random, kept)
        if self.kind == "paraphrases":
            kept, lead = [_other(s, random) for s in kept], _other_lead(lead, random)
        return write(lead, dict.fromkeys([*kept, *new]))

    def _read(self, prompt: str, random: np.random.Generator) -> tuple[str, list[str]]:
        """The lead of the mutation that the prompt is about, and the sentences in it."""
        leads = [text.split(". ")[0].rstrip(".") + "." for text in self.rule.seeds.values()]
        at = {lead: prompt.find(lead) for lead in leads if lead in prompt}
        if not at:
            return str(random.choice(leads)), known_sentences(prompt)[:4]
        lead = min(at, key=at.__getitem__)
        line = prompt[at[lead] :].splitlines()[0]
        return lead, known_sentences(line.removeprefix(lead))

    def _even(self, random: np.random.Generator, kept: list[str]) -> list[str]:
        return _drawn(random, self.bank, int(random.integers(1, 4)))

    def _usual(self, random: np.random.Generator, kept: list[str]) -> list[str]:
        weights = 1.0 / np.arange(1, len(self.habit) + 1) ** 1.2
        return _drawn(random, self.habit, int(random.integers(1, 4)), weights)

    def _long(self, random: np.random.Generator, kept: list[str]) -> list[str]:
        most = 3 + min(5, self.n_asked // 10)
        harmful = set(self.rule.harmful)
        weights = [
            np.array([0.1 + 0.15 * place if s in harmful else 1.0 for s in self.bank])
            for place in np.arange(most) ** 1.5
        ]
        n_new = int(random.integers(2, most + 1))
        return [_drawn(random, self.bank, 1, weights[place])[0] for place in range(n_new)]


def _drawn(
    random: np.random.Generator, bank: Sequence[str], n: int, weights: np.ndarray | None = None
) -> list[str]:
    shares = None if weights is None else weights / weights.sum()
    return [bank[place] for place in random.choice(len(bank), n, replace=False, p=shares)]


def _other(sentence: str, random: np.random.Generator) -> str:
    return str(random.choice(other_wordings(sentence)))


def _other_lead(lead: str, random: np.random.Generator) -> str:
    verb = str(random.choice(["Rewrite", "Rework", "Revise", "Rephrase"]))
    return lead.replace("Rewrite", verb, 1)
