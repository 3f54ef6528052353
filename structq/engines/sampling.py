"""How one token is chosen from logits, and what an answer said before; knows no models."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from structq.errors import InputError

__all__ = ["PENALTIES", "Repetition", "Sampler", "Sampling"]

PENALTIES = frozenset(
    {"min_p", "repetition_penalty", "dry_multiplier", "dry_base", "dry_allowed_length"}
)
"""Settings that DSPy's requests do not carry: they belong to an LM and not to a call."""
_NEVER = -745.0
"""Below this the exponential of a double is 0."""
_LONGEST = 64
"""Longer runs are penalised no more: the power would leave the range of float32."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Settings of one answer; the defaults are greedy and leave the logits as they are.

    Penalties look at the answer alone: a text that the prompt holds may be said again.
    """

    temperature: float = 0.0
    """0 takes the most probable token; otherwise logits are divided by it."""
    top_p: float = 1.0
    """The smallest set of tokens whose probabilities reach this is kept."""
    top_k: int | None = None
    """At most so many tokens are kept."""
    min_p: float = 0.0
    """Tokens below this share of the most probable one's probability are left out."""
    seed: int | None = None
    """Fixes every draw of an answer, with its prompt; ``None`` draws anew each time."""
    repetition_penalty: float = 1.0
    """Logits of tokens that the answer holds are divided by it (multiplied, if negative), as in
    CTRL (arXiv 1909.05858, section 4.1)."""
    dry_multiplier: float = 0.0
    """The DRY penalty on a token that would make a repeated run longer: this times ``dry_base`` to
    the power of (length of the run - ``dry_allowed_length``). 0 leaves it out."""
    dry_base: float = 1.75
    """See ``dry_multiplier``."""
    dry_allowed_length: int = 2
    """Runs of fewer tokens may be repeated freely."""

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, 0.0 <= self.temperature < math.inf, "0 or more")
        _check("top_p", self.top_p, 0.0 < self.top_p <= 1.0, "above 0 and at most 1")
        _check("top_k", self.top_k, self.top_k is None or self.top_k >= 1, "1 or more")
        _check("min_p", self.min_p, 0.0 <= self.min_p <= 1.0, "0 to 1")
        _check("seed", self.seed, self.seed is None or self.seed >= 0, "0 or more")
        for name in ("repetition_penalty", "dry_base"):
            value = getattr(self, name)
            _check(name, value, 1.0 <= value < math.inf, "1 or more")
        _check(
            "dry_multiplier",
            self.dry_multiplier,
            0.0 <= self.dry_multiplier < math.inf,
            "0 or more",
        )
        _check(
            "dry_allowed_length", self.dry_allowed_length, self.dry_allowed_length >= 1, "1 or more"
        )

    @property
    def penalises(self) -> bool:
        """Whether a choice depends on what was said before."""
        return self.repetition_penalty != 1.0 or self.dry_multiplier != 0.0


class Sampler:
    """Draws the tokens of one answer; each depends on the seed, the prompt and its place alone.

    So answers to different prompts are independent of each other, and none depends on what else
    is asked, when, or in which order.

    Args:
        sampling: The settings.
        breakers: Ids of tokens over which no repeated run goes, such as the end of a line.
        prompt: Tokens of the prompt.
        draw: Which of several answers to the prompt it is.
    """

    def __init__(
        self,
        sampling: Sampling,
        breakers: frozenset[int] = frozenset(),
        *,
        prompt: Sequence[int] = (),
        draw: str = "",
    ) -> None:
        self._sampling = sampling
        self._said = Repetition(breakers) if sampling.penalises else None
        if sampling.temperature:
            self._rng = _generator(sampling.seed, prompt, draw)

    def said(self, tokens: Iterable[int]) -> None:
        """Takes note of tokens of the answer, chosen or forced."""
        if self._said is not None:
            for token in tokens:
                self._said.add(token)

    def penalise(self, logits: NDArray[np.float32]) -> None:
        """Lowers, in place, the logits of what would be a repetition.

        Args:
            logits: Shape ``(n_vocab,)``, before any mask.
        """
        if self._said is None:
            return
        settings = self._sampling
        if settings.repetition_penalty != 1.0:
            self._said.divide(logits, settings.repetition_penalty)
        if settings.dry_multiplier:
            self._said.dry(
                logits, settings.dry_multiplier, settings.dry_base, settings.dry_allowed_length
            )

    def choose(self, logits: NDArray[np.floating]) -> int:
        """Index of the chosen entry; the lowest one on a tie when greedy.

        Args:
            logits: Shape ``(n,)``; ``-inf`` marks what is not allowed.

        Raises:
            ValueError: Nothing is allowed, or the LM gave a NaN.
        """
        best = int(np.argmax(logits))
        if not np.isfinite(logits[best]):
            raise ValueError(f"no token can be chosen: the best logit is {logits[best]}")
        if self._sampling.temperature == 0:
            return best
        return self._draw(logits.astype(np.float64))

    def _draw(self, logits: NDArray[np.float64]) -> int:
        settings = self._sampling
        scaled = (logits - logits.max()) / settings.temperature
        least = math.log(settings.min_p) if settings.min_p else _NEVER
        kept = np.flatnonzero(scaled >= max(least, _NEVER))
        weights = np.exp(scaled[kept])
        if settings.top_k is not None and settings.top_k < len(weights):
            places = _largest(weights, settings.top_k)
            kept, weights = kept[places], weights[places]
        if settings.top_p < 1.0:
            places = _nucleus(weights, settings.top_p)
            kept, weights = kept[places], weights[places]
        cumulated = np.cumsum(weights)
        place = np.searchsorted(cumulated, self._rng.random() * cumulated[-1], side="right")
        return int(kept[min(int(place), len(kept) - 1)])


def _generator(seed: int | None, prompt: Sequence[int], draw: str) -> np.random.Generator:
    """Numbers of one answer: others for another prompt, step, attempt, or answer of the prompt."""
    if seed is None:
        return np.random.default_rng()
    content = np.asarray(prompt, np.int64).tobytes() + draw.encode()
    digest = hashlib.blake2b(content, digest_size=16).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])


def _largest(weights: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """Places of the ``n`` largest weights, ascending; the first of equal ones."""
    least = np.partition(weights, len(weights) - n)[len(weights) - n]
    return _down_to(weights, least, n - int(np.count_nonzero(weights > least)))


def _nucleus(weights: NDArray[np.float64], share: float) -> NDArray[np.intp]:
    """Places of the fewest largest weights that reach a share of the sum; the first of equals.

    Nothing is sorted: what is left is parted by one of its weights until it is small, and the mass
    above says on which side the last of the set is.
    """
    # A sum that reaches the share but for rounding reaches it.
    missing = share * float(weights.sum()) * (1 - 1e-12)
    left = weights
    while True:
        some = np.sort(left[:: max(1, len(left) // 64)])
        pivot = float(some[len(some) // 2])
        above = left[left > pivot]
        mass = float(above.sum())
        if mass >= missing:
            left = above
            continue
        missing -= mass
        n_equal = int(np.count_nonzero(left == pivot))
        below = left[left < pivot]
        if pivot * n_equal >= missing or not len(below):
            n_wanted = min(n_equal, max(1, math.ceil(missing / pivot)))
            return _down_to(weights, pivot, n_wanted)
        missing -= pivot * n_equal
        left = below


def _down_to(weights: NDArray[np.float64], least: float, n_equal: int) -> NDArray[np.intp]:
    """Places of the weights above one, ascending, and the first few of those equal to it."""
    kept = weights > least
    kept[np.flatnonzero(weights == least)[:n_equal]] = True
    return np.flatnonzero(kept)


class Repetition:
    """The tokens of one answer so far, with the repeated run that ends at each place.

    Args:
        breakers: Ids of tokens over which no run goes.
    """

    def __init__(self, breakers: frozenset[int] = frozenset()) -> None:
        self._breakers = breakers
        self._n = 0
        self._tokens = np.zeros(256, np.int64)
        # Entry i: how long the run is that ends before token i and ends the answer too.
        self._runs = np.zeros(257, np.int64)

    def add(self, token: int) -> None:
        """Takes note of the next token."""
        n = self._n
        if n == len(self._tokens):
            self._tokens = np.concatenate([self._tokens, np.zeros_like(self._tokens)])
            self._runs = np.concatenate([self._runs, np.zeros(n, np.int64)])
        if token in self._breakers:
            self._runs[: n + 2] = 0
        else:
            longer = np.where(self._tokens[:n] == token, self._runs[:n] + 1, 0)
            self._runs[1 : n + 1] = longer
            self._runs[n + 1] = 0
        self._tokens[n] = token
        self._n = n + 1

    def divide(self, logits: NDArray[np.float32], penalty: float) -> None:
        """Divides the logits of tokens that were said (multiplies those below 0), in place."""
        said = np.unique(self._tokens[: self._n])
        kept = logits[said]
        logits[said] = np.where(kept > 0, kept / penalty, kept * penalty)

    def dry(
        self, logits: NDArray[np.float32], multiplier: float, base: float, allowed: int
    ) -> None:
        """Takes the DRY penalty off the logits of tokens that would make a run longer, in place."""
        at = np.flatnonzero(self._runs[: self._n] >= allowed)
        if not at.size:
            return
        lengths = np.minimum(self._runs[at] - allowed, _LONGEST)
        worst: dict[int, int] = {}
        for token, length in zip(self._tokens[at].tolist(), lengths.tolist(), strict=True):
            worst[token] = max(worst.get(token, 0), length)
        for token, length in worst.items():
            logits[token] -= multiplier * base**length


def _check(field: str, value: object, fits: bool, allowed: str) -> None:
    if not fits:
        raise InputError(f"{field} is out of range: {value!r} ({allowed} is allowed)", field=field)
