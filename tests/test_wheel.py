"""The wheel: what is in it, how large it is, and that it works where only it is installed."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


def run(*command, **options):
    told = subprocess.run(command, capture_output=True, check=False, text=True, **options)
    assert told.returncode == 0, told.stdout + told.stderr
    return told.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT)
    (path,) = folder.glob("structq-*.whl")
    return path


@pytest.fixture(scope="module")
def files(wheel):
    with zipfile.ZipFile(wheel) as opened:
        return {one.filename: one.file_size for one in opened.infolist()}


def test_it_holds_the_package_and_nothing_else(files):
    tops = {name.partition("/")[0] for name in files}
    assert tops == {"structq", next(top for top in tops if top.endswith(".dist-info"))}
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "structq").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in files if name.startswith("structq/")} == sources


@pytest.mark.parametrize(
    "name",
    [
        "structq/py.typed",
        "structq/demo/rows.jsonl",
        "structq/nano/card.md",
        "structq/nano/model.json",
        "structq/nano/model.onnx",
        "structq/nano/tokenizer.json",
    ],
)
def test_it_holds_the_files_that_are_no_code(files, name):
    assert files[name] >= 0


def test_it_holds_the_templates(files):
    assert any(name.endswith(".jinja2") for name in files)


def test_it_stays_small(wheel):
    assert wheel.stat().st_size < 6e6


def test_the_demo_runs_where_only_the_wheel_is_installed(wheel, tmp_path):
    """Its dependencies are those of this environment, which is read and not written."""
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    paths = [own, sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "STRUCTQ_HOME": str(tmp_path)}
    code = "import structq; print(structq.__file__)"
    assert run(python, "-c", code, env=environment, cwd=tmp_path).startswith(own)
    out = tmp_path / "out.jsonl"
    run(
        python.parent / "structq", "demo", "--lm", "nano", "-o", out,
        env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert len(out.read_text(encoding="utf8").splitlines()) == 12
