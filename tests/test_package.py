import ast
import pickle
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import structq
from structq import errors

ROOT = Path(__file__).parents[1]
with (ROOT / "pyproject.toml").open("rb") as file:
    PROJECT = tomllib.load(file)["project"]
HANDED_IN = {"mlx", "compression", "pip", "uv"}
"""What a caller's model brings, the standard library's own from 3.14 on, and two installers."""


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
    assert structq.__version__ == PROJECT["version"]


NAMING = ("library", "find_spec")
"""Functions that are given the name of what is imported, or looked into."""


def imported(folder):
    """Top-level names that the files of a folder import from elsewhere."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in NAMING:
                found.add(node.args[0].value.partition(".")[0])
    return found - sys.stdlib_module_names - {"structq", "training"}


def distributions(names):
    """Names of the distributions that hold them, as the package index spells them."""
    known = packages_distributions()
    return {re.sub(r"[-_.]+", "-", known.get(name, [name])[0]).lower() for name in names}


def declared(*extras):
    wanted = [*PROJECT["dependencies"]]
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]
    return {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", one)[0]).lower() for one in wanted}


def test_every_import_is_declared_and_nothing_else_is():
    tools = {"dev", "docs", "test-torch", "test-browser"}
    extras = PROJECT["optional-dependencies"].keys() - tools - {"train"}
    assert distributions(imported("structq") - HANDED_IN) == declared(*extras)


def test_what_training_imports_is_declared():
    assert distributions(imported("training")) <= declared("train")
    assert {"torch", "safetensors"} <= distributions(imported("training"))


def test_dspy_is_capped():
    """A new minor version of it may change the interfaces that engines and adapters implement."""
    (dspy,) = [one for one in PROJECT["dependencies"] if one.startswith("dspy")]
    assert re.fullmatch(r"dspy>=[\d.]+,<[\d.]+", dspy)


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
