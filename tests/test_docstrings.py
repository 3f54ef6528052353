"""The examples in docstrings run; one that shows what comes out is held to it."""

import doctest
import importlib
import pkgutil
from functools import cache
from typing import Any

import dspy
import pytest
from dspy.experimental import Score

import structq

TOO_LONG = {"structq.optimize.optimizer"}  # 2,000 calls; docs/how-to/tune.md runs the same with 40
NEED_MORE = ("torch", "transformers", "mlx", "xllamacpp")
"""Packages of extras: a module that adapts one is not there without it."""


class _Shown(doctest.OutputChecker):
    """An example that shows no output may print whatever it likes."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return not want or super().check_output(want, got, optionflags)


def modules() -> list[str]:
    found = pkgutil.walk_packages(structq.__path__, "structq.", onerror=lambda name: None)
    return [one.name for one in found if one.name != "structq.cli.__main__"]


@cache
def documented(name: str) -> tuple[doctest.DocTest, ...]:
    """The docstrings of a module that have examples."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] in NEED_MORE:
            return ()
        raise
    found = doctest.DocTestFinder(exclude_empty=True).find(module, name)
    return tuple(test for test in found if test.examples)


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """What a reader has at hand."""

    class Judge(dspy.Signature):
        """Judge the text."""

        text: str = dspy.InputField()
        quality: Score["bad", "good"] = dspy.OutputField(desc="How good")  # noqa: F821

    public = {name: getattr(structq, name) for name in structq.__all__}
    prediction = dspy.Prediction(evolved_response="An oak.")
    return public | {"structq": structq, "dspy": dspy, "signature": Judge, "prediction": prediction}


@pytest.mark.parametrize(
    "test",
    [test for name in modules() if name not in TOO_LONG for test in documented(name)],
    ids=lambda test: test.name,
)
def test_an_example_does_what_it_shows(test: doctest.DocTest, names: dict[str, Any]) -> None:
    runner = doctest.DocTestRunner(checker=_Shown(), optionflags=doctest.ELLIPSIS)
    test.globs = names | test.globs
    said: list[str] = []
    with dspy.context(lm=structq.lm("nano")):
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)
