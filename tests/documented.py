"""The code of README and docs, run as a reader would run it: page by page, in one process.

On a page, Python blocks share their names and commands share a folder. A block whose title says
``smollm2`` needs that LM. A block titled ``output`` is what the block before it prints.
``python -m tests.documented`` writes the outputs anew (with ``--real`` those of smollm2 too).
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from structq.cli.commands import main

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
}
LANGUAGES = {"python", "sh", "text", "json", "toml", "jinja"}
_BLOCK = re.compile(r"^( *)```(\w*)[ ]?([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class WrongDocsError(Exception):
    """A block does not do what the page says."""


@dataclass(frozen=True)
class Block:
    """A fenced block; ``start`` and ``end`` are the places of its text in the page."""

    language: str
    title: str
    text: str
    start: int
    end: int

    @property
    def real(self) -> bool:
        """Whether it needs smollm2."""
        return "smollm2" in self.title

    @property
    def is_output(self) -> bool:
        return self.language == "text" and "output" in self.title


def blocks(page: str) -> list[Block]:
    """The blocks of a page's text, in order."""
    found = []
    for match in _BLOCK.finditer(page):
        indent, language, title, text = match.groups()
        plain = "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
        found.append(Block(language, title, plain, *match.span(4)))
    return found


def run_page(page: str, *, real: bool) -> dict[Block, str]:
    """Runs a page's blocks (of smollm2, or the others); output blocks with what is printed now."""
    names: dict[str, Any] = {"__name__": "__main__"}
    found: dict[Block, str] = {}
    printed = ""
    with _reader():
        for block in blocks(page):
            if block.real != real:
                continue
            if block.is_output:
                found[block] = printed
            elif block.language == "python":
                with _printed() as out:
                    exec(compile(block.text, "<page>", "exec", dont_inherit=True), names)
                    printed = out()
            elif block.language == "sh":
                printed = "".join(map(_run_command, _commands(block.text)))
    return found


@contextmanager
def _printed() -> Iterator[Callable[[], str]]:
    """What is printed inside, as text; standard output has its ``buffer``, as in a process."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="utf8", write_through=True)
    with redirect_stdout(out):
        yield lambda: raw.getvalue().decode("utf8")


@contextmanager
def _reader() -> Iterator[Path]:
    """A folder with the examples in it, where a reader would be; what a page configures ends."""
    import dspy

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "examples", Path(folder) / "examples")
        configured = {name: dspy.settings.get(name) for name in ("lm", "adapter")}
        os.chdir(folder)
        try:
            yield Path(folder)
        finally:
            os.chdir(before)
            dspy.configure(**configured)


def _commands(text: str) -> list[list[str]]:
    joined = text.replace("\\\n", " ")
    return [words for line in joined.splitlines() if (words := shlex.split(line, comments=True))]


def _run_command(words: list[str]) -> str:
    """Runs a `structq` command; what would change the reader's machine is looked up instead."""
    if words[0] == "structq" and words[1] != "pull":
        return _run_structq(words)
    if words[0] == "make":
        targets = {word for word in words[1:] if "=" not in word}
        known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        _need(targets <= known, words)
    elif words[:2] == ["pip", "install"]:
        with (ROOT / "pyproject.toml").open("rb") as file:
            extras = tomllib.load(file)["project"]["optional-dependencies"]
        asked = re.search(r"(?:structq|^\.)(?:\[(.+)\])?$", words[-1])
        _need(asked is not None and set((asked[1] or "dev").split(",")) <= set(extras), words)
    elif words[0] == "python":
        module = words[2].replace(".", "/") + ".py" if words[1] == "-m" else words[1]
        _need((ROOT / module).exists() or (ROOT / module[:-3]).is_dir(), words)
    else:
        _need(words[:2] in (["structq", "pull"], ["git", "clone"]) or words[0] == "cd", words)
    return ""


def _need(holds: bool, words: list[str]) -> None:
    if not holds:
        raise WrongDocsError(f"no such command: {shlex.join(words)}")


def _run_structq(words: list[str]) -> str:
    with mock.patch.object(sys, "argv", words), _printed() as out:
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise WrongDocsError(f"{shlex.join(words)}: exit code {ended.code}") from ended
        return out()


def write_outputs(*, real: bool) -> None:
    """Puts what is printed now into the output blocks of every page."""
    for path in PAGES.values():
        page = path.read_text(encoding="utf8")
        found = run_page(page, real=real)
        for block, printed in sorted(found.items(), key=lambda item: -item[0].start):
            page = page[: block.start] + printed + page[block.end :]
        path.write_text(page, encoding="utf8")


if __name__ == "__main__":
    write_outputs(real="--real" in sys.argv)
