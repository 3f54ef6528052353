"""The label distribution of each score, read from the log probabilities that a server returns.

A server shows, for each token of its answer, that token and the few most likely ones in its place.
That is enough for the exact distribution over the labels of a score *if every label is among them*;
otherwise there is none, with a reason, and never a guess. Nothing here knows a server or its
tokenizer: tokens are bytes, and are walked along the answer's text.

Which distribution it is, the server decides. llama.cpp and vLLM (by default) report the model's
own, before grammar mask and temperature, as structq's engines measure it; the *label mass* then
says how much of it fell on labels at all. A server that reports the one after the mask always has a
mass near 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["SlotReading", "TokenScore", "read_slots"]


@dataclass(frozen=True, kw_only=True)
class TokenScore:
    """One token of an answer, as a server reports it."""

    text: bytes
    """Its UTF-8 bytes; empty for a token without text, such as the end of the answer."""
    logprob: float
    """Natural logarithm of its probability."""
    top: tuple[tuple[bytes, float], ...] = ()
    """The most likely tokens in its place and their log probabilities; it may be one of them."""


@dataclass(frozen=True, kw_only=True)
class SlotReading:
    """What the log probabilities of one answer say about its scores, in their order."""

    distributions: tuple[tuple[float, ...], ...] | None
    """Shape ``(n_scores, n_labels)``, rows sum to 1; ``None`` if any score has none."""
    label_mass: tuple[float, ...]
    """Probability of the labels that can be seen, before normalising; empty if none was found."""
    reason: str | None
    """Why there are no distributions."""


def read_slots(
    text: str, tokens: Sequence[TokenScore], labels: Sequence[int], n_scores: int
) -> SlotReading:
    """The distributions at the scores of an answer such as ``{"scores":[4,2]}``.

    A label's probability is the sum over the tokens that say it: ``4``, but also `` 4`` and
    ``4,``, as tokenizers have them. A label of several tokens counts only where the answer itself
    took the road to it, and where no other label ends on that road: of ``1`` and ``10``, written
    in single digits, a server does not say enough.

    Args:
        text: The answer.
        tokens: Its tokens in order; there may be others before and after (reasoning, end marks).
        labels: Labels of the distributions, in their order.
        n_scores: Scores that the answer must have.

    Returns:
        The distributions, or the reason why there are none.
    """
    try:
        starts = _slot_starts(text, tokens, n_scores)
    except _UnreadableError as error:
        return SlotReading(distributions=None, label_mass=(), reason=str(error))
    slots = [_Slot(tokens, start, labels) for start in starts]
    reasons = [
        f"score {place}: {slot.reason}" for place, slot in enumerate(slots, 1) if slot.reason
    ]
    return SlotReading(
        distributions=None if reasons else tuple(slot.distribution() for slot in slots),
        label_mass=tuple(slot.mass for slot in slots),
        reason=reasons[0] if reasons else None,
    )


class _UnreadableError(Exception):
    """The probabilities cannot be had; says why."""


# Where the scores are.

_ARRAY = re.compile(rb"\[\s*-?\d+(?:\s*,\s*-?\d+)*\s*\]")
_NUMBER = re.compile(rb"-?\d+")


def _slot_starts(text: str, tokens: Sequence[TokenScore], n_scores: int) -> list[tuple[int, int]]:
    """For each score the token that it starts in, and the offset in that token."""
    answer, spoken = text.encode(errors="replace"), b"".join(token.text for token in tokens)
    if spoken.count(answer) != 1:
        raise _UnreadableError("the tokens with logprobs do not spell the answer")
    arrays = list(_ARRAY.finditer(answer))
    if len(arrays) != 1:
        raise _UnreadableError(f"the answer has {len(arrays)} lists of numbers")
    (array,) = arrays
    found = [number.start() for number in _NUMBER.finditer(answer, array.start(), array.end())]
    if len(found) != n_scores:
        raise _UnreadableError(f"the answer has {len(found)} scores ({n_scores} were asked for)")
    first = spoken.index(answer)
    return [_token_at(tokens, first + start) for start in found]


def _token_at(tokens: Sequence[TokenScore], offset: int) -> tuple[int, int]:
    at = 0
    for place, token in enumerate(tokens):
        if at <= offset < at + len(token.text):
            return place, offset - at
        at += len(token.text)
    raise _UnreadableError("the answer goes on behind the tokens with logprobs")


# What the tokens there say.

_SPACE = b" \t\r\n"
_ENDS = frozenset(b",]" + _SPACE)
_HEAD = re.compile(rb"-?\d*")
_MOST = 1.01  # servers that work in half precision round this far


class _Slot:
    """One score: the probability of each label that can be seen."""

    def __init__(
        self, tokens: Sequence[TokenScore], start: tuple[int, int], labels: Sequence[int]
    ) -> None:
        self._tokens = tokens
        self._labels = [str(label).encode() for label in labels]
        self._seen: dict[bytes, float] = {}
        self.reason: str | None = None
        place, offset = start
        try:
            names = {name: name for name in self._labels}
            self._read(place, tokens[place].text[:offset], names, share=1.0, inside=False)
            if self.mass == 0:
                raise _UnreadableError("the labels have no probability")
        except _UnreadableError as error:
            self.reason = str(error)

    @property
    def mass(self) -> float:
        """Probability of the labels that were found, at most 1."""
        return min(1.0, math.fsum(self._seen.values()))

    def distribution(self) -> tuple[float, ...]:
        """Probability of each label, in their order; sums to 1."""
        total = math.fsum(self._seen.values())
        return tuple(self._seen[label] / total for label in self._labels)

    def _read(
        self, place: int, lead: bytes, rests: Mapping[bytes, bytes], *, share: float, inside: bool
    ) -> None:
        """Notes the probability of labels from the token at ``place``.

        Args:
            place: The token.
            lead: What it holds before the label.
            rests: For each label what is left of it to be said.
            share: Probability of what was said of these labels before.
            inside: Whether anything was, so that no space may come between.
        """
        if place >= len(self._tokens) or not self._tokens[place].top:
            raise _UnreadableError("the server returned no alternatives for a token")
        token = self._tokens[place]
        alternatives = _alternatives(token)
        total = math.fsum(probability for _, probability in alternatives)
        if total > _MOST:
            raise _UnreadableError(
                f"the probabilities of one token sum to {total:.3g} (at most 1 is possible)"
            )
        ended, open_ = _heads(alternatives, lead, inside=inside)
        roads: dict[bytes, dict[bytes, bytes]] = {}
        missing: list[bytes] = []
        for label, rest in rests.items():
            if rest in ended or rest in open_:
                self._seen[label] = share * (ended.get(rest, 0.0) + open_.get(rest, 0.0))
            elif road := _road(rest, open_):
                roads.setdefault(road, {})[label] = rest[len(road) :]
            else:
                missing.append(label)
        for road, ahead in roads.items():
            self._check_road(token, lead, road, rests, next(iter(ahead)))
            self._read(place + 1, b"", ahead, share=share * open_[road], inside=True)
        if missing:
            raise _UnreadableError(
                f"the label {missing[0].decode()} is not among the {len(token.top)} most likely "
                "tokens that the server returned"
            )

    def _check_road(
        self,
        token: TokenScore,
        lead: bytes,
        road: bytes,
        rests: Mapping[bytes, bytes],
        label: bytes,
    ) -> None:
        """Raises unless the tokens behind this one are those that follow ``road``."""
        if road in rests.values():
            raise _UnreadableError(
                f"the label {label.decode()} begins like another one ({road.decode()}), and the "
                "server does not say how likely it ends there"
            )
        if token.text[len(lead) :].lstrip(_SPACE) != road:
            raise _UnreadableError(
                f"the label {label.decode()} has several tokens, and the answer took another road"
            )


def _alternatives(token: TokenScore) -> list[tuple[bytes, float]]:
    """Tokens and probabilities; the one that was taken too, where it is not among the likeliest."""
    known = {text for text, _ in token.top}
    taken = [] if token.text in known else [(token.text, token.logprob)]
    return [
        (text, min(1.0, math.exp(logprob)))
        for text, logprob in (*token.top, *taken)
        if logprob < 1  # rounding may leave a bit above 0; what is not a number says nothing
    ]


def _heads(
    alternatives: Sequence[tuple[bytes, float]], lead: bytes, *, inside: bool
) -> tuple[dict[bytes, float], dict[bytes, float]]:
    """Probability of each number that is said to its end, and of each that may go on."""
    ended: dict[bytes, float] = {}
    open_: dict[bytes, float] = {}
    for text, probability in alternatives:
        body = _after(lead, text, inside=inside)
        head = _HEAD.match(body or b"")
        if body is None or head is None or not head[0]:
            continue
        rest = body[head.end() :]
        if not rest:
            open_[head[0]] = open_.get(head[0], 0.0) + probability
        elif rest[0] in _ENDS:
            ended[head[0]] = ended.get(head[0], 0.0) + probability
    return ended, open_


def _after(lead: bytes, text: bytes, *, inside: bool) -> bytes | None:
    """What a token says of the label, if it starts as the answer does; space does not count."""
    if inside:
        return text
    if not lead.strip(_SPACE):
        return text.lstrip(_SPACE)
    return text[len(lead) :] if text.startswith(lead) else None


def _road(rest: bytes, open_: Mapping[bytes, float]) -> bytes | None:
    """The token by which a label of several is begun: the longest, as tokenizers take it."""
    return max((head for head in open_ if rest.startswith(head)), key=len, default=None)
