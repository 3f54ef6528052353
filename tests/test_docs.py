"""README and docs: their code runs and prints what they say, their links lead somewhere."""

import re

import pytest

from structq.engines import store
from tests.documented import LANGUAGES, PAGES, ROOT, WrongDocsError, blocks, run_page

KEPT = store.kept(store.CATALOGUE["smollm2"]).path
TEXTS = {name: path.read_text(encoding="utf8") for name, path in PAGES.items()}
SEARCHING = ("docs/how-to/report.md", "docs/how-to/tune.md")
"""Pages whose commands search for templates."""
LINKS = {
    f"{name} {target}": (PAGES[name], target)
    for name, text in TEXTS.items()
    for target in re.findall(r"\]\((?!http)([^)#\s]+)", text)
}


def pages(*, real):
    """Pages that have a block to run."""
    return [
        name
        for name, text in TEXTS.items()
        if any(block.real == real and block.language in ("python", "sh") for block in blocks(text))
    ]


def check(name, *, real):
    for block, printed in run_page(TEXTS[name], real=real).items():
        assert printed == block.text


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in SEARCHING else [])
        for name in pages(real=False)
    ],
)
def test_a_page_does_what_it_says(name):
    check(name, real=False)


@pytest.mark.real
@pytest.mark.skipif(KEPT is None, reason="smollm2 is not here (structq pull smollm2)")
@pytest.mark.parametrize("name", pages(real=True))
def test_a_page_does_what_it_says_on_smollm2(name):
    check(name, real=True)


def test_there_is_code_to_run():
    code = [block.text for text in TEXTS.values() for block in blocks(text)]
    for command in ("run", "evolve", "score", "optimize", "demo", "models"):
        assert any(f"structq {command}" in text for text in code), command
    assert len(pages(real=False)) >= 5


@pytest.mark.parametrize("name", TEXTS)
def test_every_block_says_its_language(name):
    assert {block.language for block in blocks(TEXTS[name])} <= LANGUAGES


@pytest.mark.parametrize(
    "page",
    [
        "```python\nassert 1 > 2\n```\n",
        "```sh\nstructq run missing.jsonl -o out.jsonl --lm nano\n```\n",
        "```sh\nmake coffee\n```\n",
        '```sh\npip install "structq[coffee]"\n```\n',
        "```sh\npython benchmarks/coffee.py\n```\n",
        "```sh\nrm -rf examples\n```\n",
    ],
    ids=["python", "structq", "make", "pip", "script", "unknown"],
)
def test_a_wrong_block_is_found(page):
    with pytest.raises((AssertionError, WrongDocsError)):
        run_page(page, real=False)


def test_an_output_that_is_not_printed_is_found():
    page = '```python\nprint("a")\n```\n\n```text title="output"\nb\n```\n'
    ((block, printed),) = run_page(page, real=False).items()
    assert (block.text, printed) == ("b\n", "a\n")


@pytest.mark.parametrize(("page", "target"), LINKS.values(), ids=LINKS)
def test_a_link_leads_somewhere(page, target):
    assert (page.parent / target).exists()


def test_the_readme_is_one_screen():
    text = TEXTS["README.md"]
    assert len(text.splitlines()) <= 60
    assert ROOT.joinpath("docs/demo.svg").exists()
