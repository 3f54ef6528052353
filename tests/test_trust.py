"""The trust table: what it says of LMs beside one another, on values that are known."""

from __future__ import annotations

import sys
from typing import Any

import pytest


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend("benchmarks")
    import trust

    yield trust
    sys.modules.pop("trust", None)


def result(lm: str, way: str, **values: list[float]) -> dict[str, Any]:
    return {"lm": lm, "way": way, "values": values}


def test_lms_are_held_against_the_first_on_the_rows_of_both(script: Any) -> None:
    first = result("a", "joint", one=[1.0, 2.0], two=[1.5, 1.5], three=[1.0, 3.0, 2.0])
    other = result("b", "joint", one=[2.0, 1.0], two=[1.5, 1.5], three=[1.0, 3.5, 2.0], four=[9.0])
    (line,) = script.agreement([first, result("a", "pairwise", one=[1.0]), other])
    # Apart by 1, 1, 0, 0, 0, .5 and 0; the pair of row one alone is turned.
    assert line == (
        "  joint: b beside a, 3 rows: values apart by 0.3571 (most 1.0000), 4 of 5 pairs in the "
        "same order"
    )


def test_one_lm_or_no_common_row_says_nothing(script: Any) -> None:
    assert not list(script.agreement([result("a", "joint", one=[1.0])]))
    apart = [result("a", "joint", one=[1.0]), result("b", "joint", two=[1.0])]
    assert not list(script.agreement(apart))


def test_a_figure_of_one_row_has_no_interval(script: Any) -> None:
    assert script.shown([-1.0, None, None], "+.3f") == "-1.000 (- to -)"
    assert script.shown([0.5, 0.25, 0.75], ".3f") == "0.500 (0.250 to 0.750)"
