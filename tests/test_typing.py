"""A user's type checker finds wrong arguments."""

import inspect
import pathlib
import subprocess
import sys

import pytest

import structq

ROOT = pathlib.Path(__file__).parent.parent

GOOD = """
import asyncio

import structq
from structq import EvolQuality, EvolveAndScore, QualityScorer, TemplateOptimizer

lm = structq.lm("nano", temperature=0.5)
evolve = EvolQuality(num_evolutions=2, store_evolutions=True, seed=1, lm=lm)
scorer = QualityScorer(scale=(1, 6), lm="nano")
both = EvolveAndScore(evolve, scorer, lm="nano")
out = evolve(instruction="Why?", response="x", mutation="details")
text: str = out.evolved_response
names: list[str] = out.mutations
scores: list[float | None] = scorer(instruction="Why?", responses=["a", "b"]).scores
best: str = both("Why?", "x").best_response
rows: list[dict[str, object]] = next(both.process([{"instruction": "Why?", "response": "x"}]))


async def one() -> str:
    return (await evolve.acall(instruction="Why?", response="x")).evolved_response


asyncio.run(one())
"""

HEAD = """
import structq
evolve = structq.EvolQuality(lm="nano")
scorer = structq.QualityScorer(lm="nano")
both = structq.EvolveAndScore(evolve, scorer)
"""

# DSPy has no types: what derives from its classes is no error anywhere.
WRONG = [
    'structq.EvolQuality(num_evolutions="2")',
    "structq.EvolQuality(num_evolution=2)",
    "structq.EvolQuality(2)",
    'structq.EvolQuality(preserve="block")',
    "structq.EvolQuality(mutation_templates=['a'])",
    'structq.QualityScorer(scale="1-6")',
    'structq.QualityScorer(scoring="alone")',
    'evolve(instruction=1, response="y")',
    'evolve(instrction="x", response="y")',
    'evolve("x")',
    'evolve("x", "y", seed="z")',
    'scorer(instruction="x", responses="y")',
    'scorer(instruction="x", responses=[1])',
    'both(instruction="x")',
    'n: int = evolve("x", "y").evolved_response',
    'm: int = both("x", "y").best_response',
    "structq.lmm",
    "structq.TemplateOptimizer(None)",
]


def mypy(text, tmp_path):
    """The numbers of the lines that have an error, and what was said."""
    path = tmp_path / "user.py"
    path.write_text(text)
    cache = ROOT / ".mypy_cache"
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "--cache-dir", str(cache),
         str(path)],
        capture_output=True, text=True, cwd=ROOT, check=False,
        env={"PATH": "/usr/bin:/bin", "MYPYPATH": str(ROOT)},
    )  # fmt: skip
    lines = [line for line in found.stdout.splitlines() if line.startswith(f"{path}:")]
    return {int(line.split(":")[1]) for line in lines if ": error:" in line}, found.stdout


@pytest.mark.slow
def test_right_uses_have_no_error_and_each_wrong_one_has(tmp_path):
    _, said = mypy(GOOD, tmp_path)
    assert "user.py" not in said
    n = HEAD.count("\n") + 1
    found, said = mypy(HEAD + "\n".join(WRONG), tmp_path)
    missed = [line for i, line in enumerate(WRONG) if n + i not in found]
    assert not missed, said


def test_the_types_are_shipped():
    assert (ROOT / "structq" / "py.typed").is_file()


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        (structq.EvolQuality, {"num_evolutions", "seed", "lm"}),
        (structq.QualityScorer, {"scale", "criteria", "lm"}),
        (structq.EvolveAndScore, {"evolve", "scorer", "lm"}),
        (structq.TemplateOptimizer, {"metric", "max_lm_calls"}),
    ],
)
def test_a_signature_shows_its_parameters(kind, known):
    names = inspect.signature(kind).parameters.keys()
    assert known <= names
    assert not {"args", "kwargs", "self"} & names


@pytest.mark.parametrize(
    ("module", "names"),
    [
        (structq.EvolQuality(), ["instruction", "response", "seed", "mutation"]),
        (structq.QualityScorer(), ["instruction", "responses", "system_prompt", "messages"]),
        (structq.EvolveAndScore(), ["instruction", "response", "seed", "messages"]),
    ],
)
def test_the_signature_of_a_module_is_that_of_its_call(module, names):
    assert list(inspect.signature(module).parameters) == names
