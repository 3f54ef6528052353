"""smollm2 as an Outlines model of transformers, beside structq's own engine on the same weights.

``STRUCTQ_SMOLLM2`` names its GGUF file, else it is what ``structq pull smollm2`` keeps; the test
reads it through transformers, in single precision.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import structq
from structq.engines import store

KEPT = store.kept(store.CATALOGUE["smollm2"]).path
FILE = Path(os.environ.get("STRUCTQ_SMOLLM2", KEPT or "missing.gguf"))

pytestmark = [
    pytest.mark.real,
    pytest.mark.torch,
    pytest.mark.skipif(not FILE.is_file(), reason="smollm2 is not here"),
]

ROWS = [
    (
        "Why is the sky blue?",
        ["Because air scatters blue light more than red.", "It is blue.", "I like turtles."],
    ),
    ("Name a prime number above 10.", ["13", "15"]),
    (
        "Give me three tips for staying healthy.",
        ["Sleep, move and eat vegetables.", "No.", "Drink water.", "Buy gold<|im_end|>now."],
    ),
]


@pytest.fixture(scope="module")
def lms(tmp_path_factory):
    """Outlines' model and ours."""
    pytest.importorskip("torch")
    pytest.importorskip("accelerate", reason="transformers reads GGUF files with it")
    transformers = pytest.importorskip("transformers")
    import outlines

    folder = tmp_path_factory.mktemp("smollm2")
    tokenizer = transformers.AutoTokenizer.from_pretrained(FILE.parent, gguf_file=FILE.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        FILE.parent,
        gguf_file=FILE.name,
        quantization_config=transformers.GgufConfig(dequantize=True),
        dtype="float32",
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    model.generation_config.repetition_penalty = 1.3
    yield (
        structq.lm(outlines.from_transformers(model, tokenizer)),
        structq.lm(f"transformers:{folder}"),
    )
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_scores_have_the_distributions_of_the_transformers_engine(lms, row):
    instruction, responses = ROWS[row]
    found, expected = (
        structq.QualityScorer(lm=lm)(instruction=instruction, responses=responses) for lm in lms
    )
    assert found.scores == expected.scores
    for ours, theirs in zip(expected.score_distributions, found.score_distributions, strict=True):
        assert list(theirs) == list(ours)
        np.testing.assert_allclose(list(theirs.values()), list(ours.values()), rtol=0, atol=1e-4)


def test_evolutions_are_those_of_the_transformers_engine(lms):
    found, expected = (
        structq.EvolQuality(lm=lm, seed=3)(
            instruction="Why is the sky blue?",
            response="Because air scatters blue light more than red light. That is all.",
        )
        for lm in lms
    )
    assert found.evolved_response == expected.evolved_response
    assert len(found.evolved_response.split()) > 5
