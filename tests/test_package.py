import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import structq
from structq import errors

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", [name for name in structq.__all__ if name != "lm"])
def test_every_public_name_is_there(name):
    assert getattr(structq, name) is not None


def test_all_names_the_errors_and_the_lazy_names():
    helpers = {"describe_error", "is_fatal", "portable", "shorten"}
    public = {*errors.__all__, *structq._HOMES, "__version__"} - helpers
    assert set(structq.__all__) == public
    assert structq.__all__ == sorted(structq.__all__)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Evol'"):
        structq.Evol  # noqa: B018


def test_version_is_that_of_the_project_file():
    found = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert structq.__version__ == found[1]


@pytest.mark.parametrize("module", ["structq", "structq.errors", "structq.schemas"])
def test_import_does_not_load_dspy(module):
    code = f"import sys, {module}; sys.exit('dspy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("error", "fact"),
    [
        (errors.OutputError("m", raw="r", finish_reason="length"), "raw"),
        (errors.PromptTooLongError(n_tokens=9, limit=8), "n_tokens"),
        (errors.SchemaError("m", keyword="not", pointer="/a"), "keyword"),
        (errors.RowError(path="p", line=1, field="f", reason="r"), "line"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_errors_keep_their_facts_when_pickled(error, fact):
    error.calls = ({"mutation": "depth"},)
    loaded = pickle.loads(pickle.dumps(error))
    assert str(loaded) == str(error)
    assert getattr(loaded, fact) == getattr(error, fact)
    assert loaded.calls == error.calls
