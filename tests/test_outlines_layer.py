"""Outlines is the constraint layer: seen in a process of its own, from the outside."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

EVOLVE_AND_SCORE = """
import json, sys
import structq

assert "outlines" not in sys.modules
lm = structq.lm("nano", max_tokens=40)
from outlines.backends.base import BaseBackend
from outlines.models.base import Model
from outlines.processors import OutlinesLogitsProcessor
from structq.decoding.processor import StructqBackend
from structq.decoding.processor import MatcherProcessor

real, called, answers = MatcherProcessor.process_logits, [], []

def process(self, input_ids, logits):
    called.append(isinstance(self, OutlinesLogitsProcessor))
    return real(self, input_ids, logits)

def submit(call):
    future = type(model).submit(model, call)
    future.add_done_callback(lambda done: answers.append(done.result()))
    return future

MatcherProcessor.process_logits = process
model = lm.engine.lm
model.submit = submit
structq.EvolQuality(lm=lm)(instruction="Why is the sky blue?", response="Air scatters light.")
n_evolved, n_passes = len(called), answers[0].n_passes
structq.QualityScorer(lm=lm)(instruction="Name a prime.", responses=["7", "8"])
print(json.dumps({
    "model": isinstance(model, Model),
    "backend": issubclass(StructqBackend, BaseBackend),
    "processors": all(called),
    "n_evolved": n_evolved,
    "n_passes": n_passes,
    "n_scored": len(called) - n_evolved,
    "slots": len(answers[-1].slots),
}))
"""


def run(code):
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="module")
def seen():
    return json.loads(run(EVOLVE_AND_SCORE))


def test_local_lms_are_outlines_models_and_the_backend_is_one_of_its_kind(seen):
    assert seen["model"]
    assert seen["backend"]
    assert seen["processors"]


def test_every_pass_of_an_evolution_goes_through_the_processor_once(seen):
    assert seen["n_evolved"] == seen["n_passes"] > 1


def test_score_slots_are_read_without_a_mask(seen):
    assert seen["n_scored"] == 0
    assert seen["slots"] == 2


@pytest.mark.parametrize("spec", ["vllm/some-model", "openai/gpt-4o-mini"])
def test_users_of_servers_do_not_pay_for_importing_outlines(spec):
    code = (
        f"import sys, structq; structq.lm({spec!r}, api_key='k'); print('outlines' in sys.modules)"
    )
    assert run(code).strip() == "False"
