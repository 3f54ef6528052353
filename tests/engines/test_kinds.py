"""Kinds of LMs that other packages add by an entry point."""

import sys
import textwrap
from importlib import invalidate_caches
from pathlib import Path

import pytest
from typer.testing import CliRunner

import structq
from structq.cli.commands import app
from structq.engines.kinds import all_options
from structq.errors import InputError
from tests.tiny_lm import write_tiny

BACKEND = """
    from structq.engines.backends.onnx.runtime import OnnxRuntime
    from structq.engines.kinds import Backend
    from structq.engines.options import Option

    def open_tiny(place, options):
        assert place == "x"
        return OnnxRuntime({folder!r}, n_threads=1, **options)

    rows = Option(type=int, default="4", help="Rows that share a pass.", least=1)
    BACKEND = Backend(options={{"n_slots": rows}}, open=open_tiny)
"""
SCHEMA = {
    "type": "object",
    "properties": {"score": {"enum": [1, 2, 3]}},
    "required": ["score"],
    "additionalProperties": False,
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Writes what an installer leaves of a package: its module and its entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def installed(code, *, kind="tiny", package="structq-tiny", target="BACKEND"):
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
        about = tmp_path / f"{module}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        entry = f"[structq.engines]\n{kind} = {module}:{target}\n"
        (about / "entry_points.txt").write_text(entry)
        monkeypatch.delitem(sys.modules, module, raising=False)
        invalidate_caches()

    return installed


@pytest.fixture
def tiny(install, tmp_path):
    install(BACKEND.format(folder=str(write_tiny(tmp_path / "lm"))))


def test_a_kind_of_another_package_generates_and_scores_under_a_schema(tiny):
    lm = structq.lm("tiny:x", n_slots=2)
    wire = {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA, "strict": True}}
    assert lm("How good?", response_format=wire)[0] in [f'{{"score":{n}}}' for n in (1, 2, 3)]
    found = structq.QualityScorer(lm=lm, scale=(1, 3))(instruction="Why?", responses=["a", "b"])
    assert set(found.scores) <= {1.0, 2.0, 3.0}
    assert found.score_distributions is not None
    assert structq.lm("tiny:x?n_slots=2").engine.lm is lm.engine.lm
    lm.engine.close()


def test_its_options_are_checked_and_shown(tiny):
    with pytest.raises(InputError, match="n_slots must be 1 or more: found 0"):
        structq.lm("tiny:x", n_slots=0)
    with pytest.raises(InputError, match="'n_slot': did you mean 'n_slots'"):
        structq.lm("tiny:x", n_slot=1)
    with pytest.raises(InputError, match="did you mean 'tiny:x'"):
        structq.lm("tinny:x")
    shown = CliRunner().invoke(app, ["models", "--options"]).output
    assert "tiny" in shown
    assert all_options()["tiny"]["n_slots"].default == "4"


def test_a_package_may_answer_by_an_lm_of_its_own(install):
    install(
        """
        import dspy
        from structq.engines.kinds import Backend

        def make(spec, options):
            return dspy.LM("openai/" + spec.partition(":")[2], api_base="http://h/v1", **options)

        BACKEND = Backend(lm=make)
        """
    )
    lm = structq.lm("tiny:m", temperature=0.5)
    assert (lm.model, lm.kwargs["temperature"]) == ("openai/m", 0.5)
    with pytest.raises(InputError, match="unknown option of tiny LMs: 'window'"):
        structq.lm("tiny:m", window=9)


BROKEN = {
    "import": ("import no_such_module", "cannot be loaded .*no_such_module"),
    "raises": ("1 / 0", "cannot be loaded .*ZeroDivisionError"),
    "no such name": ("", "cannot be loaded .*BACKEND"),
    "wrong object": ("BACKEND = 3", "found int .*Backend is allowed"),
    "opens nothing": (
        "from structq.engines.kinds import Backend\nBACKEND = Backend()",
        "one of open and lm: found neither",
    ),
}


@pytest.mark.parametrize(("code", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_package_is_named_and_costs_nobody_else(install, code, message):
    install(code)
    with pytest.raises(InputError, match=f"'structq-tiny'.*{message}"):
        structq.lm("tiny:x")
    assert structq.lm("nano").model.startswith("structq/nano")
    (shown,) = all_options()["tiny"].values()
    assert "structq-tiny" in shown.help


@pytest.mark.parametrize("kind", ["gguf", "nano"])
def test_a_kind_that_exists_cannot_be_taken(install, kind):
    install("BACKEND = 3", kind=kind)
    spec = "nano" if kind == "nano" else "gguf:x.gguf"
    with pytest.raises(InputError, match=f"'{kind}' .*claimed by .*structq, structq-tiny"):
        structq.lm(spec)
    with pytest.raises(InputError, match="no such folder"):
        structq.lm("onnx:/no/such/folder")


def test_two_packages_of_one_kind_are_named(install):
    install("BACKEND = 3")
    install("BACKEND = 3", package="other-tiny")
    with pytest.raises(InputError, match="claimed by several packages: other-tiny, structq-tiny"):
        structq.lm("tiny:x")


def test_the_how_to_runs(install):
    text = (Path(__file__).parents[2] / "docs/how-to/add-an-engine.md").read_text()
    code = text.partition("```python\n")[2].partition("```")[0]
    install(code, kind="mine", package="my-engine")
    lm = structq.lm("mine:anything", n_slots=8)
    assert lm.model.startswith("structq/anything-")
    assert lm("Hello.", max_tokens=3)
    lm.engine.close()
