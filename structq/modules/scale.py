"""What a score may be: list-wise, a fixed range, or the levels of a rubric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from structq.errors import InputError, shorten

__all__ = ["ScaleLike", "labels_of", "normal_scale"]

MAX_LABELS = 1000
_MAX_LABEL = 999_999_999

ScaleLike = tuple[int, int] | Mapping[int, str] | None


def normal_scale(scale: Any) -> ScaleLike:
    """A scale as it is kept: ``None``, ``(low, high)``, or label to description, ascending.

    Args:
        scale: One of these, or as JSON has them: a list, and labels as digits in text.

    Raises:
        InputError: Not one of these, or the low end is not below the high end.
    """
    if scale is None:
        return None
    if isinstance(scale, Mapping):
        return _rubric(scale)
    if not isinstance(scale, tuple | list) or len(scale) != 2 or not all(map(_is_int, scale)):
        raise _fault(f"must be None, (low, high) or a rubric, found {shorten(scale)}")
    low, high = scale
    if low >= high:
        raise _fault(f"low {low} is not below high {high}")
    if high - low >= MAX_LABELS:
        raise _fault(f"{low} to {high} is too wide (at most {MAX_LABELS} labels)")
    _check_size(low, high)
    return low, high


def labels_of(scale: ScaleLike) -> tuple[tuple[int, ...] | None, tuple[str, ...]]:
    """The labels, ascending (``None``: 1..K+1 with K responses), and what each stands for."""
    if scale is None:
        return None, ()
    if isinstance(scale, Mapping):
        return tuple(scale), tuple(scale.values())
    return tuple(range(scale[0], scale[1] + 1)), ()


def _rubric(rubric: Mapping[Any, Any]) -> dict[int, str]:
    from structq.templates import check_text

    levels = {_label(label): text for label, text in rubric.items()}
    if not 2 <= len(levels) <= MAX_LABELS:
        raise _fault(f"a rubric needs 2 to {MAX_LABELS} levels, found {len(levels)}")
    for label, text in levels.items():
        if not check_text(text, f"scale[{label}]").strip():
            raise _fault(f"the level {label} has no description")
    _check_size(*levels)
    return {label: " ".join(levels[label].split()) for label in sorted(levels)}


def _label(label: object) -> int:
    if _is_int(label):
        return label  # type: ignore[return-value]
    if isinstance(label, str):
        try:
            return int(label)
        except ValueError:
            pass
    raise _fault(f"a rubric's labels are integers, found {shorten(label)}")


def _check_size(*labels: int) -> None:
    for label in labels:
        if abs(label) > _MAX_LABEL:
            raise _fault(f"labels have at most 9 digits, found {shorten(label)}")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _fault(reason: str) -> InputError:
    return InputError(f"scale: {reason}", field="scale")
