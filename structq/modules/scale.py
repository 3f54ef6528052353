"""What a score may be: list-wise, a fixed range, or the levels of a rubric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from structq.errors import InputError, shorten
from structq.signatures import ScoreCall
from structq.templates import check_text

__all__ = ["Scale", "ScaleLike", "parse_scale"]

MAX_LABELS = 1000

ScaleLike = tuple[int, int] | Mapping[int, str] | None


@dataclass(frozen=True)
class Scale:
    """What a score may be, and what it stands for."""

    labels: tuple[int, ...] | None
    """Ascending; ``None`` for 1..K+1 with K responses."""
    rubric: tuple[str, ...] = ()
    """What each label stands for, or nothing."""

    def call(self, n_responses: int) -> ScoreCall:
        """The score call for that many responses."""
        return ScoreCall(n_responses, self.labels, self.rubric)


def parse_scale(scale: Any) -> Scale:
    """The scale that a setting stands for.

    Args:
        scale: ``None``, ``(low, high)``, or a mapping of integer label to description. The keys may
            be digits in text, as JSON has them.

    Raises:
        InputError: Not one of these, or the low end is not below the high end.
    """
    if scale is None:
        return Scale(None)
    if isinstance(scale, Mapping):
        return _parse_rubric(scale)
    if not isinstance(scale, tuple | list) or len(scale) != 2 or not all(map(_is_int, scale)):
        raise _fault(f"must be None, (low, high) or a rubric, found {shorten(scale)}")
    low, high = scale
    if low >= high:
        raise _fault(f"low {low} is not below high {high}")
    if high - low >= MAX_LABELS:
        raise _fault(f"{low} to {high} is too wide (at most {MAX_LABELS} labels)")
    return Scale(tuple(range(low, high + 1)))


def _parse_rubric(rubric: Mapping[Any, Any]) -> Scale:
    levels = {_label(label): text for label, text in rubric.items()}
    if not 2 <= len(levels) <= MAX_LABELS:
        raise _fault(f"a rubric needs 2 to {MAX_LABELS} levels, found {len(levels)}")
    for label, text in levels.items():
        if not check_text(text, f"scale[{label}]").strip():
            raise _fault(f"the level {label} has no description")
    labels = tuple(sorted(levels))
    return Scale(labels, tuple(" ".join(levels[label].split()) for label in labels))


def _label(label: object) -> int:
    if _is_int(label):
        return label  # type: ignore[return-value]
    if isinstance(label, str):
        try:
            return int(label)
        except ValueError:
            pass
    raise _fault(f"a rubric's labels are integers, found {shorten(label)}")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fault(reason: str) -> InputError:
    return InputError(f"scale: {reason}", field="scale")
