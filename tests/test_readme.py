"""The README's code runs: each Python block in a process of its own, each `structq` command too."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands():
    lines = "\n".join(blocks("sh")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("structq ")]


def run(arguments, folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error::UserWarning:structq", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, check=False, text=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader would be: a folder with the examples; later commands read earlier output."""
    path = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "examples", path / "examples")
    return path


def test_there_is_code_to_run():
    assert len(blocks("python")) >= 3
    assert {command[0] for command in commands()} == {"run", "evolve", "score", "optimize"}


@pytest.mark.parametrize("code", blocks("python"), ids=lambda code: code.splitlines()[-1][:40])
def test_a_python_block_runs(folder, code):
    told = run(["-c", code], folder)
    assert told.returncode == 0, told.stderr


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_a_command_runs(folder, command):
    told = run(["-m", "structq.cli", *command], folder)
    assert told.returncode == 0, told.stderr
    output = folder / command[command.index("-o") + 1]
    assert output.read_text(encoding="utf8").count("\n") > 0


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)#]+)", README))
def test_a_link_leads_somewhere(target):
    assert (ROOT / target).exists()
