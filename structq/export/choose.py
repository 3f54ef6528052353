"""Which of a row's answers become data: pairs, labelled completions, or the best one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from structq.export.scored import Candidate, DropError, best_of
from structq.export.settings import ExportSettings

__all__ = ["Labelled", "Pair", "choose_best", "choose_labelled", "choose_pairs"]

_EQUAL = 1e-9
"""Scores that differ by less are equal: means of the same labels in another order may."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two answers, of which one is better."""

    chosen: str
    """The better one."""

    rejected: str
    """The other."""

    margin: float
    """Difference of their scores, above 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """An answer that is to be learned, or to be avoided."""

    text: str
    """The answer."""

    label: bool
    """Whether it is desirable."""


def choose_best(candidates: Sequence[Candidate], settings: ExportSettings) -> str:
    """The answer with the highest score.

    Raises:
        DropError: It is below the threshold.
    """
    return _learned(best_of(candidates), settings).text


def choose_pairs(candidates: Sequence[Candidate], settings: ExportSettings) -> list[Pair]:
    """Pairs of different texts with different scores, the best answer's first.

    Raises:
        DropError: There is none.
    """
    if len(candidates) < 2:
        raise DropError("fewer than two responses with a score")
    different = _different(candidates)
    if len(different) < 2:
        raise DropError("the responses are the same text")
    best = _learned(best_of(different), settings)
    if settings.pairs != "all":
        return [_pair(best, _other(best, different, settings), settings)]
    ranked = sorted(different, key=lambda one: (-one.score, one.place))
    # The widest says why there is none.
    return list(_good_pairs(ranked, settings)) or [_pair(best, ranked[-1], settings)]


def choose_labelled(candidates: Sequence[Candidate], settings: ExportSettings) -> list[Labelled]:
    """Every answer by the threshold; without one, the two of the pair.

    Raises:
        DropError: There is no pair.
    """
    least = settings.threshold
    if least is not None:
        return [Labelled(text=one.text, label=one.score >= least) for one in _different(candidates)]
    (pair,) = choose_pairs(candidates, settings)
    return [Labelled(text=pair.chosen, label=True), Labelled(text=pair.rejected, label=False)]


def _different(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first answer of each text, so that no text is both better and worse.

    Texts that differ in white space, or in how Unicode writes the same characters, alone are the
    same: a trainer would learn that difference and nothing else.
    """
    first: dict[str, Candidate] = {}
    for one in candidates:
        first.setdefault(_folded(one.text), one)
    return list(first.values())


def _learned(one: Candidate, settings: ExportSettings) -> Candidate:
    if settings.threshold is not None and one.score < settings.threshold:
        raise DropError("the best response is below the threshold")
    return one


def _other(best: Candidate, candidates: Sequence[Candidate], settings: ExportSettings) -> Candidate:
    """The answer that the best one stands against."""
    if settings.pairs == "best-worst":
        return min(candidates, key=lambda one: (one.score, one is best))
    if best.place == 0:
        raise DropError("the original is the best")
    if candidates[0].place != 0:
        raise DropError("the original has no score")
    return candidates[0]


def _pair(chosen: Candidate, rejected: Candidate, settings: ExportSettings) -> Pair:
    margin = chosen.score - rejected.score
    if margin < _EQUAL:
        raise DropError("a tie")
    if margin < settings.min_margin - _EQUAL:
        raise DropError("the margin is too small")
    return Pair(chosen=chosen.text, rejected=rejected.text, margin=margin)


def _good_pairs(ranked: Sequence[Candidate], settings: ExportSettings) -> Iterator[Pair]:
    for chosen, rejected in combinations(ranked, 2):
        if settings.threshold is not None and chosen.score < settings.threshold:
            return
        try:
            yield _pair(chosen, rejected, settings)
        except DropError:
            continue


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
