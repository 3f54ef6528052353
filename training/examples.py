"""Training examples: prompts as structq renders them, answers as its schemas allow, and guides.

Beside the tokens, an example says where the model should look (`copy_from`: which source token the
next token repeats; `peek_from`: a little further on; `score_from`: which closing tag a score slot
reads; `part_from`: that an added part follows the mutation; `topic_from` and `question_from`:
whether a response speaks about the instruction's topic and answers its question) and what it should
know on the way (the role of each piece at its end, the level of each response at its closing tag,
the family of a question and of an answer). The training loop turns these into small extra losses;
nothing of them is left in the shipped model.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import numpy as np
from numpy.typing import NDArray

import structq

from .corpus import World, compact
from .families import FAMILIES
from .levels import KINDS, Piece, Response, joined, label_distribution
from .writer import Subject, unnamed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tokenizers import Encoding, Tokenizer

__all__ = ["ROLES", "TRAITS", "Example", "ExampleMaker", "evolve_prompt", "score_prompt"]

ROLES = (
    *KINDS,
    "answer",
    "bare",
    "filler",
    "praise",
    "refusal",
    "off",
    "other",
    "contradiction",
    "cut",
    "repeat",
    "text",
)
TRAITS = (
    *((kind,) for kind in KINDS),
    ("answer",),
    ("contradiction", "cut", "repeat"),
    ("off", "refusal"),
)
_FAMILIES = [family.name for family in FAMILIES]
_N_OPENING = 3
"""First tokens of an added part that look at the mutation; the rest follows from them."""
_TEMPLATES = Path(structq.__file__).parent / "templates" / "forms" / "compact"
SYSTEM_PROMPTS = (
    "You are a careful editor.",
    "You are a fair judge of answers.",
    "Answer in English unless told otherwise.",
    "You work for a publisher of training data.",
)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(_TEMPLATES)
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, autoescape=False)


def evolve_prompt(method: str, instruction: str, response: str, mark: str = "") -> str:
    """The prompt of EvolQuality, as its template renders it."""
    form = compact({"evolved_response": "..."})
    template = _environment().get_template("evolve.jinja2")
    return template.render(
        method=method, form=form, mark=mark, instruction=instruction, response=response
    ).strip("\n")


def score_prompt(
    instruction: str, responses: list[str], low: int, high: int, mark: str = "", extra: str = ""
) -> str:
    """The prompt of QualityScorer, as its template renders it."""
    criteria = _environment().get_template("criteria.jinja2").render().strip() + extra
    form = '{"scores":[' + ",".join(f"s{i + 1}" for i in range(len(responses))) + "]}"
    return _environment().get_template("score.jinja2").render(
        responses=responses, low=low, high=high, criteria=criteria, form=form, mark=mark,
        instruction=instruction,
    ).strip("\n")  # fmt: skip


@dataclass(kw_only=True)
class Example:
    """One tokenised example; positions count from 0."""

    tokens: list[int]
    """Prompt, answer, end token."""
    n_prompt: int
    """Tokens before the answer."""
    soft: list[tuple[int, list[tuple[int, float]]]] = field(default_factory=list)
    """Score slots: position of the token to predict, and its target distribution."""
    copy_from: list[tuple[int, int]] = field(default_factory=list)
    """(position that predicts, position of the same token in the source)."""
    peek_from: list[tuple[int, int]] = field(default_factory=list)
    """(position that predicts, two tokens behind the source of what it predicts): whether the text
    goes on or its closing tag has begun."""
    score_from: list[tuple[int, int]] = field(default_factory=list)
    """(position that predicts a score, closing tag of its response)."""
    part_from: list[tuple[int, int]] = field(default_factory=list)
    """(position that predicts one of the first tokens of an added part, end of the mutation)."""
    topic_from: list[tuple[int, int]] = field(default_factory=list)
    """(end of a topic in a response, end of the same topic in the instruction, or 0 if it is not
    the instruction's)."""
    question_from: list[tuple[int, int]] = field(default_factory=list)
    """(end of an answer, closing tag of the instruction that it answers, or 0 if another one)."""
    families: list[tuple[int, int]] = field(default_factory=list)
    """(closing tag of the instruction or end of an answer, index into FAMILIES)."""
    asks: list[tuple[int, int]] = field(default_factory=list)
    """(end of the mutation text, bit i for KINDS[i]): the kinds of part that it asks for."""
    levels: list[tuple[int, int]] = field(default_factory=list)
    """(position of a closing tag, level from 0)."""
    traits: list[tuple[int, int]] = field(default_factory=list)
    """(position of a closing tag, bit i for TRAITS[i]): what the response is made of."""
    roles: list[tuple[int, int]] = field(default_factory=list)
    """(last position of a piece, index into ROLES)."""


class ExampleMaker:
    """Draws examples from a world and tokenises them.

    Args:
        world: Where subjects and responses come from.
        tokenizer: The tokenizer, with its chat tokens.
        max_tokens: Longer examples are drawn again.
        min_tokens: Shorter ones too.
        evolve_share: Share of evolve examples; the others are score examples.
    """

    def __init__(
        self,
        world: World,
        tokenizer: Tokenizer,
        *,
        max_tokens: int = 1024,
        min_tokens: int = 0,
        evolve_share: float = 0.5,
    ) -> None:
        self.world = world
        self.rng = world.rng
        self.tokenizer = tokenizer
        tokenizer.encode_special_tokens = True
        self.max_tokens, self.min_tokens = max_tokens, min_tokens
        self.evolve_share = evolve_share
        names = ("system", "user", "assistant", "end")
        self._id = {name: self._token_id(f"<|{name}|>") for name in names}

    def _token_id(self, text: str) -> int:
        found = self.tokenizer.token_to_id(text)
        if found is None:
            raise ValueError(f"the tokenizer has no token {text!r}")
        return found

    def draw(self) -> Example:
        """The next example that fits."""
        while True:
            make = self._evolve if self.world.chance(self.evolve_share) else self._score
            example = make()
            if self.min_tokens <= len(example.tokens) <= self.max_tokens:
                return example

    def _mark(self) -> str:
        return "abc"[int(self.rng.integers(3))] if self.world.chance(0.05) else ""

    def _assemble(self, prompt: str, answer: str) -> tuple[Example, int, Encoding, Encoding]:
        head: list[int] = []
        if self.world.chance(0.04):
            text = SYSTEM_PROMPTS[int(self.rng.integers(len(SYSTEM_PROMPTS)))]
            head = [self._id["system"], *self.tokenizer.encode(text).ids, self._id["end"]]
        asked, said = self.tokenizer.encode(prompt), self.tokenizer.encode(answer)
        head.append(self._id["user"])
        start = len(head)
        prompt_ids = [*head, *asked.ids, self._id["end"], self._id["assistant"]]
        tokens = [*prompt_ids, *said.ids, self._id["end"]]
        return Example(tokens=tokens, n_prompt=len(prompt_ids)), start, asked, said

    # evolve -----------------------------------------------------------------------------------

    def _evolve(self) -> Example:
        subject = self.world.subject()
        method, kinds = self.world.mutation()
        original = self.world.original(subject)
        arbitrary = any(piece.role == "text" for piece in original.pieces)
        unclear = arbitrary and self.world.chance(0.5)
        if unclear:
            subject = unnamed(subject)
        evolved = self.world.evolved(subject, original, kinds)
        mark = self._mark()
        instruction = self._instruction(subject, arbitrary, unclear)
        prompt = evolve_prompt(method, instruction, original.text, mark)
        answer = compact({"evolved_response": evolved.text})
        example, start, asked, said = self._assemble(prompt, answer)
        source = prompt.rindex(f"[response{mark}]\n") + len(f"[response{mark}]\n")
        example.copy_from = list(self._copies(original.text, source, start, asked, said, example))
        example.peek_from = [(at, source + 2) for at, source in example.copy_from]
        if example.copy_from:
            at, source = example.copy_from[-1]
            example.peek_from.append((at + 1, source + 3))
        told = start + _token_at(asked, len(method) - 1)
        example.asks = [(told, sum(1 << i for i, kind in enumerate(KINDS) if kind in kinds))]
        added = evolved.spans[len(evolved.spans) - max(1, len(kinds)) :]
        closing = f"[/instruction{mark}]"
        question = start + _token_at(asked, prompt.rindex(closing + "\n") + len(closing) - 1)
        example.families = [(question, _FAMILIES.index(subject.family.name))]
        spans = zip(evolved.pieces, evolved.spans, strict=True)
        answers = [a for p, (a, _) in spans if p.role == "answer" and a >= len(original.text)]
        opening = [_first(evolved.text, a, said, example) - 1 for a in answers]
        example.question_from = [(at + i, question) for at in opening for i in range(_N_OPENING)]
        starts = [_first(evolved.text, at, said, example) for at, _ in added]
        example.part_from = [(start - 1 + i, told) for start in starts for i in range(_N_OPENING)]
        example.roles = [
            (start + _token_at(asked, source + end - 1), ROLES.index(piece.role))
            for piece, (_, end) in zip(original.pieces, original.spans, strict=True)
        ]
        return example

    def _instruction(self, subject: Subject, arbitrary: bool, unclear: bool) -> str:
        """What is asked; arbitrary text around it or in its place where the original is so too."""
        if unclear:
            text = self.world.arbitrary()
            return text if self.world.chance(0.4) else " ".join(text.split()[:8])
        if not arbitrary or not self.world.chance(0.4):
            return subject.instruction
        parts = [subject.instruction, self.world.arbitrary()]
        return "\n".join(parts[:: 1 if self.world.chance(0.5) else -1])

    @staticmethod
    def _copies(
        text: str, source: int, start: int, asked: Encoding, said: Encoding, example: Example
    ) -> Iterator[tuple[int, int]]:
        """Pairs (query position, source position) for every copied token of the answer."""
        place = len('{"evolved_response":"')
        starts = [a for a, _ in said.offsets]
        for i, char in enumerate(text):
            width = len(compact(char)) - 2
            j = bisect_right(starts, place) - 1
            if starts[j] == place:
                yield example.n_prompt + j - 1, start + _token_at(asked, source + i)
            place += width

    # score ------------------------------------------------------------------------------------

    def _responses(self, subject: Subject, k: int) -> list[Response]:
        world = self.world
        drawn = [world.response(subject) for _ in range(k)]
        if k >= 2 and world.chance(0.35):  # an original beside its evolution
            i, j = (int(x) for x in self.rng.permutation(k)[:2])
            base = world.good(subject, int(self.rng.integers(0, 3)), noise=0.1)
            drawn[i], drawn[j] = base, world.evolved(subject, base, world.mutation()[1])
        if world.chance(0.3):
            drawn[int(self.rng.integers(k))] = world.misplaced(subject)
        if world.chance(0.04):
            text = world.arbitrary()
            drawn[0] = joined([Piece(text=text, role="off")])
        return drawn

    def _scale(self, k: int) -> tuple[int, int]:
        draw = self.rng.random()
        if draw < 0.72:
            return 1, k + 1
        if draw < 0.87:
            return 1, 6
        return ((1, 5), (0, 9), (1, 10), (1, 4), (1, 3))[int(self.rng.integers(5))]

    def _score(self) -> Example:
        k = int(self.rng.choice([1, 2, 3, 4, 5, 6, 8], p=[0.1, 0.3, 0.21, 0.18, 0.13, 0.05, 0.03]))
        subject = self.world.subject()
        responses = self._responses(subject, k)
        low, high = self._scale(k)
        targets = [label_distribution(r.level, low, high) for r in responses]
        labels = [low + int(self.rng.choice(len(t), p=t)) for t in targets]
        mark = self._mark()
        prompt = score_prompt(subject.instruction, [r.text for r in responses], low, high, mark)
        answer = compact({"scores": labels})
        example, start, asked, said = self._assemble(prompt, answer)
        self._mark_responses(example, responses, prompt, mark, start, asked, subject)
        self._mark_slots(example, labels, targets, low, said)
        return example

    def _mark_responses(
        self,
        example: Example,
        responses: list[Response],
        prompt: str,
        mark: str,
        start: int,
        asked: Encoding,
        subject: Subject,
    ) -> None:
        topic, family = subject.topic, subject.family.name
        at = prompt.rindex(f"[/instruction{mark}]\n")
        named = prompt.lower().rfind(topic.lower(), 0, at) + len(topic) - 1
        question = start + _token_at(asked, at + len(f"[/instruction{mark}]") - 1)
        example.families.append((question, _FAMILIES.index(family)))
        for i, response in enumerate(responses, 1):
            opening = f"[{i}{mark}]\n"
            at = prompt.index(opening, at) + len(opening)
            for piece, (begin, end) in zip(response.pieces, response.spans, strict=True):
                spot = start + _token_at(asked, at + end - 1)
                example.roles.append((spot, ROLES.index(piece.role)))
                if piece.family:
                    example.families.append((spot, _FAMILIES.index(piece.family)))
                    example.question_from.append((spot, question * (piece.family == family)))
                source = start + _token_at(asked, named) if piece.topic == topic else 0
                example.topic_from += [
                    (start + _token_at(asked, at + begin + last), source)
                    for last in _ends_of(piece.topic, piece.text)
                ]
            at += len(response.text)
            closing = start + _token_at(asked, at + len(f"\n[/{i}{mark}]") - 1)
            example.levels.append((closing, response.level - 1))
            example.traits.append((closing, _traits(response)))

    def _mark_slots(
        self,
        example: Example,
        labels: list[int],
        targets: list[NDArray[np.float64]],
        low: int,
        said: Encoding,
    ) -> None:
        place = len('{"scores":[')
        for label, target, (closing, _) in zip(labels, targets, example.levels, strict=True):
            spot = example.n_prompt + _token_at(said, place)
            example.score_from.append((spot - 1, closing))
            if (
                low + len(target) - 1 <= 9
            ):  # one token a label: the whole distribution is the target
                tokens = [self._token_id(str(low + i)) for i in range(len(target))]
                wanted = [(t, float(p)) for t, p in zip(tokens, target, strict=True) if p > 0]
                example.soft.append((spot, wanted))
            place += len(str(label)) + 1


def _first(text: str, char: int, said: Encoding, example: Example) -> int:
    """Position of the token that starts a part of the evolved response."""
    place = len('{"evolved_response":"') + len(compact(text[:char])) - 2
    return example.n_prompt + _token_at(said, place)


def _ends_of(topic: str, text: str) -> Iterator[int]:
    """Position of the last character of each mention of a topic."""
    if topic:
        yield from (m.end() - 1 for m in re.finditer(re.escape(topic), text, re.IGNORECASE))


def _traits(response: Response) -> int:
    """Bit i is set if TRAITS[i] names a role of the response."""
    roles = {piece.role for piece in response.pieces}
    return sum(1 << i for i, names in enumerate(TRAITS) if roles & set(names))


def _token_at(encoding: Encoding, char: int) -> int:
    """Index of the token that holds a character."""
    index = encoding.char_to_token(char)
    if index is None:  # a character of several byte tokens, or a merged space
        index = bisect_right([a for a, _ in encoding.offsets], char) - 1
    return index
