"""nano's GGUF in a real llama.cpp: the same tokens, the same prompt, the same probabilities."""

import json
from pathlib import Path

import numpy as np
import pytest

import structq.nano
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.errors import InputError
from tests.tiny_lm import CHAT, write_tiny
from training.export import export
from training.gguf import write_gguf
from training.weights import read_checkpoint

NANO = Path(structq.nano.__file__).parent
TEXTS = {
    "plain": "Rewrite the response so that it's more helpful.",
    "digits": "In 2048 there were 100000 of 3.14",
    "newlines": "one\ntwo\n\nthree\n\n\n  four",
    "spaces": "a  b   c \n d\t e  ",
    "json": '{"scores":[1,2,3]} {"evolved_response":"..."}',
    "sections": "[instruction]\nName a prime.\n[/instruction]\n[1]\n7\n[/1]",
    "unicode": "Straße, naïve, 東京, Ελλάδα, 🙂 – “quoted” … ½",
    "code": "```python\nfor i in range(10):\n    print(i ** 2)  # done\n```\n| a | b |\n|---|---|",
    "contractions": "we've they'll I'd can't 'tis O'Neill's",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder of random weights, and llama.cpp's server with the same."""
    folder = write_tiny(tmp_path_factory.mktemp("gguf") / "tiny")
    facts = json.loads((folder / "model.json").read_text())
    facts["chat"] = {**CHAT, "pad": "<|pad|>"}
    (folder / "model.json").write_text(json.dumps(facts), encoding="utf-8")
    pytest.importorskip("xllamacpp", reason="no wheel for this platform")
    from tests.servers.llama import LlamaServer

    path = export("gguf", folder / "gguf", source=folder)
    return folder, LlamaServer(path, n_slots=1, window=1024)


@pytest.fixture(scope="module")
def nano():
    return OnnxRuntime(NANO, n_slots=1, n_threads=1)


def ids(server, text):
    asked = {"content": text, "add_special": False, "parse_special": True}
    return server.post("/tokenize", asked)["tokens"]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_without_backslashes_has_the_same_tokens(nano_server, nano, text):
    assert ids(nano_server, text) == nano.encode_text(text)


def test_escapes_may_have_other_tokens(nano_server, nano):
    text = '"one\\ntwo"'
    assert ids(nano_server, text) != nano.encode_text(text)
    assert nano_server.post("/detokenize", {"tokens": nano.encode_text(text)})["content"] == text


def test_the_chat_template_gives_the_same_prompt(nano_server, nano):
    turns = [("system", "Be kind."), ("user", " Hello \n"), ("assistant", "Hi"), ("user", "7?")]
    messages = [{"role": role, "content": text} for role, text in turns]
    prompt = nano_server.post("/apply-template", {"messages": messages})["prompt"]
    assert ids(nano_server, prompt) == nano.encode(turns)


def test_random_weights_give_the_same_probabilities_at_every_position(tiny):
    """Rotary pairs in the wrong order, or a transposed matrix, would show here."""
    folder, server = tiny
    runtime = OnnxRuntime(folder, n_slots=1, n_threads=1)
    prompt = runtime.encode([("user", "The quick brown fox jumps over the lazy dog; 0123456789.")])
    asked = {"prompt": prompt, "n_predict": 8, "n_probs": 20, "temperature": 0}
    steps = server.post("/completion", asked)["completion_probabilities"]
    tokens = [step["id"] for step in steps]
    logits = runtime.extend(0, [*prompt, *tokens], len(tokens) + 1)[:-1].astype(np.float64)
    logs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    for step, row in zip(steps, logs, strict=True):
        found = {entry["id"]: entry["logprob"] for entry in step["top_logprobs"]}
        np.testing.assert_allclose(
            list(found.values()), row[list(found)], atol=2e-3, err_msg=str(step["token"])
        )


def test_half_precision_is_half_the_size(tmp_path):
    checkpoint = read_checkpoint(NANO)
    sizes = {}
    for numbers in ("f32", "f16"):
        path = tmp_path / f"{numbers}.gguf"
        write_gguf(
            checkpoint.weights,
            checkpoint.config,
            NANO / "tokenizer.json",
            path,
            chat=checkpoint.chat,
            numbers=numbers,
        )
        sizes[numbers] = path.stat().st_size
    assert sizes["f16"] < 0.52 * sizes["f32"]


def test_another_kind_of_tokenizer_is_refused(tmp_path):
    checkpoint = read_checkpoint(NANO)
    tokenizer = tmp_path / "tokenizer.json"
    tokenizer.write_text(json.dumps({"model": {"type": "Unigram"}, "added_tokens": []}))
    with pytest.raises(InputError, match="Unigram"):
        write_gguf(
            checkpoint.weights, checkpoint.config, tokenizer, tmp_path / "a", chat=checkpoint.chat
        )
