"""smollm2 on structq's own engine: its tokens, its prompts, and its rows' bits."""

import os
from pathlib import Path

import numpy as np
import pytest

from structq.engines.backends.gguf import convert
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.store import path_of
from structq.errors import InputError

pytestmark = pytest.mark.real

TURNS = [("user", "Name a prime. <|im_end|>"), ("assistant", "7"), ("user", " Another one?\n")]


@pytest.fixture(scope="module")
def path():
    try:
        return Path(os.environ.get("STRUCTQ_SMOLLM2") or path_of("smollm2"))
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def runtime(path):
    return OnnxRuntime(convert(path), n_slots=32, n_threads=1)


def ids(n, seed=0):
    return np.random.default_rng(seed).integers(100, 40000, n).tolist()


def test_the_prompt_is_the_models_own_with_markers_in_texts_as_texts(runtime):
    marks = {name: runtime.tokenizer.token_to_id(f"<|im_{name}|>") for name in ("start", "end")}
    tokens = runtime.encode(TURNS)
    assert tokens.count(marks["start"]) == 5  # a system turn and the answer's header with them
    assert tokens.count(marks["end"]) == 4
    text = runtime.tokenizer.decode(tokens, skip_special_tokens=False)
    assert "<|im_start|>user\nName a prime. <|im_end|><|im_end|>\n" in text
    assert text.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("activations", ["float32", "int8"])
def test_a_row_has_the_same_bits_in_batches_of_every_size(path, activations):
    runtime = OnnxRuntime(convert(path), n_slots=32, n_threads=1, activations=activations)
    prompt, tokens = ids(60, 1), ids(2, 2)
    seen = {}
    for n_rows in (1, 2, 3, 5, 8, 13, 32):
        for slot in range(n_rows):
            runtime.rewind(slot, 0)
            runtime.extend(slot, prompt if slot == n_rows - 1 else ids(20 + slot, slot), 1)
        rows = [runtime.step(list(range(n_rows)), [token] * n_rows)[-1] for token in tokens]
        seen[n_rows] = np.array(rows)
    for n_rows, rows in seen.items():
        np.testing.assert_array_equal(rows, seen[1], err_msg=f"{n_rows} rows")


def test_an_answer_is_what_llama_cpp_answers(path, runtime):
    pytest.importorskip("xllamacpp", reason="no wheel for this platform")
    from tests.servers.llama import LlamaServer

    server = LlamaServer(path, n_slots=1, window=512)
    prompt = runtime.encode([("user", "What is the capital of France? One sentence.")])
    asked = {"prompt": prompt, "n_predict": 12, "temperature": 0}
    assert server.post("/completion", asked)["content"] == "The capital of France is Paris."
    runtime.rewind(0, 0)
    tokens, logits = [], runtime.extend(0, prompt, 1)
    while (token := int(logits[-1].argmax())) != runtime.eos_token_id:
        tokens.append(token)
        logits = runtime.step([0], [token])
    assert runtime.decode(tokens) == "The capital of France is Paris."
