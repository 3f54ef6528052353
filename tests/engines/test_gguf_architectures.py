"""A random LM of each architecture against llama.cpp and transformers, over 600 tokens."""

import numpy as np
import pytest
from gguf import RopeScalingType

from structq.engines.backends.gguf import convert
from structq.engines.backends.onnx.runtime import OnnxRuntime
from tests.tiny_gguf import write_tiny_gguf


def linear(writer):
    writer.add_rope_scaling_type(RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(4.0)


def yarn(writer):
    writer.add_rope_scaling_type(RopeScalingType.YARN)
    writer.add_rope_scaling_factor(4.0)
    writer.add_rope_scaling_orig_ctx_len(256)


CASES = {
    "llama": ("llama", {}),
    "llama with biases and a head": ("llama", {"biases": True, "head": True}),
    "llama 3's rope": ("llama", {"rope_factors": True}),
    "llama, linear rope": ("llama", {"add": linear}),
    "llama, yarn": ("llama", {"add": yarn}),
    "qwen2": ("qwen2", {}),
    "qwen3": ("qwen3", {"head": True}),
    "gemma3": ("gemma3", {}),
    "gemma3, linear rope": ("gemma3", {"add": linear}),
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STRUCTQ_HOME", str(tmp_path / "home"))


def ids(n, seed=0):
    return np.random.default_rng(seed).integers(5, 380, n).tolist()


def opened(path):
    return OnnxRuntime(convert(path), name="tiny", n_slots=2, n_threads=1)


def log_softmax(logits):
    logits = logits.astype(np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


@pytest.mark.parametrize(("architecture", "options"), CASES.values(), ids=CASES)
def test_probabilities_are_those_of_llama_cpp(tmp_path, architecture, options):
    pytest.importorskip("xllamacpp", reason="no wheel for this platform")
    from tests.servers.llama import LlamaServer

    path = write_tiny_gguf(tmp_path / "tiny.gguf", architecture, **options)
    server = LlamaServer(path, n_slots=1, window=1024)
    runtime = opened(path)
    atol = 1e-2 if architecture == "gemma3" else 1e-4  # llama.cpp reads GELU from a table of halves
    for n_prompt in (3, 584):
        prompt = ids(n_prompt)
        asked = {"prompt": prompt, "n_predict": 16, "n_probs": 20, "temperature": 0}
        steps = server.post("/completion", asked)["completion_probabilities"]
        assert len(steps) == 16
        tokens = [step["id"] for step in steps]
        runtime.rewind(0, 0)
        logs = log_softmax(runtime.extend(0, [*prompt, *tokens], len(tokens) + 1)[:-1])
        for step, row in zip(steps, logs, strict=True):
            found = {entry["id"]: entry["logprob"] for entry in step["top_logprobs"]}
            np.testing.assert_allclose(list(found.values()), row[list(found)], atol=atol)


@pytest.mark.torch
def test_mistrals_window_is_that_of_transformers(tmp_path):
    """llama.cpp reads no window of this architecture."""
    torch = pytest.importorskip("torch")
    from benchmarks.gguf_reference import float32_model

    path = write_tiny_gguf(tmp_path / "tiny.gguf", "llama", add=lambda w: w.add_sliding_window(48))
    tokens = ids(600)
    with torch.no_grad():
        theirs = float32_model(path)(torch.tensor([tokens])).logits[0].numpy()
    ours = opened(path).extend(0, tokens, 600)
    np.testing.assert_allclose(log_softmax(ours), log_softmax(theirs), atol=2e-3)


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["F32", "Q4_0", "Q4_1", "Q8_0"])
@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "gemma3"])
def test_logits_are_those_of_transformers_in_float32(tmp_path, architecture, kind):
    torch = pytest.importorskip("torch")
    from benchmarks.gguf_reference import float32_model

    path = write_tiny_gguf(tmp_path / "tiny.gguf", architecture, kind=kind)
    tokens = ids(600)
    with torch.no_grad():
        theirs = float32_model(path)(torch.tensor([tokens])).logits[0].numpy()
    ours = opened(path).extend(0, tokens, 600)
    np.testing.assert_allclose(log_softmax(ours), log_softmax(theirs), atol=2e-3)
