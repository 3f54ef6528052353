"""Outlines' model of mlx-lm as an LM; runs where mlx-lm is installed (mlx has wheels for Linux)."""

import json
import shutil

import numpy as np
import pytest

pytestmark = pytest.mark.torch

pytest.importorskip("torch")
pytest.importorskip("transformers")
mlx_lm = pytest.importorskip("mlx_lm")

import outlines  # noqa: E402

import structq  # noqa: E402
from structq.engines.registry import open_lm  # noqa: E402
from tests.engines.test_outlines_lm import calls  # noqa: E402
from tests.tiny_lm import CHAT  # noqa: E402
from training.export import export  # noqa: E402


@pytest.fixture(scope="module")
def folder(tiny_folder, tmp_path_factory):
    source = tmp_path_factory.mktemp("mlx") / "source"
    shutil.copytree(tiny_folder, source)
    facts = json.loads((source / "model.json").read_text())
    (source / "model.json").write_text(json.dumps({**facts, "chat": {**CHAT, "pad": "<|pad|>"}}))
    return export("hf", source.parent / "tiny", source=source)


def test_texts_and_distributions_are_those_of_the_transformers_engine(folder):
    model, tokenizer = mlx_lm.load(str(folder))[:2]
    steered = structq.lm(outlines.from_mlxlm(model, tokenizer)).engine.lm
    own = open_lm(f"transformers:{folder}")
    for call in calls():
        theirs, ours = steered.submit(call).result(), own.submit(call).result()
        assert theirs.text == ours.text
        for found, expected in zip(theirs.slots or (), ours.slots or (), strict=True):
            np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-3)
