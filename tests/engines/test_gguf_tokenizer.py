"""Tokenizers from GGUF metadata against llama.cpp's own reading of the same file."""

import numpy as np
import pytest

from structq.engines.backends.gguf.header import GgufFile
from structq.engines.backends.gguf.tokenizer import build_tokenizer, read_tokens
from tests.tiny_gguf import add_byte_tokens, add_scored_tokens, write_tiny_gguf
from tests.tiny_lm import CORPUS

TEXTS = {
    "empty": "",
    "plain": "Rewrite the response so that it's more helpful to the user.",
    "digits": "In 2048 there were 100000 of 3.14 and 1234567; ٣٤٥ ½ Ⅻ",
    "newlines": "one\ntwo\n\nthree\r\n\r\n\n  four\n",
    "spaces": "  a  b   c \n d\t e  \u00a0f\u3000g ",
    "json": '{"scores":[1,2,3]} {"evolved_response":"...\\n\\"x\\""}',
    "unicode": "Straße, naïve, 東京, Ελλάδα, 🙂👩‍🚀 – “quoted” … ǅ e\u0301 \u200b",
    "code": "```python\nfor i in range(10):\n    print(i ** 2)  # done\n```\n| a | b |\n|---|---|",
    "contractions": "we've they'll I'd can't 'tis O'Neill's WE'VE It'S",
    "case": "helloWorld HTTPServer ABCdef ÀÉîõ aB1Cd",
    "markers": "a<|end|>b <|user|> <s> </s> <unk> <0x41> \u2581x",
    "controls": "a\x00b\x01\x7f\x1bc\ufeff",
}
KINDS = [
    "gpt-2",
    "smollm",
    "starcoder",
    "refact",
    "llama-bpe",
    "qwen2",
    "deepseek-r1-qwen",
    "tekken",
]


def built(path):
    file = GgufFile(path)
    tokenizer = build_tokenizer(read_tokens(file.values), file.values)
    tokenizer.encode_special_tokens = True
    return tokenizer


def theirs(server, text):
    asked = {"content": text, "add_special": False, "parse_special": False}
    return server.post("/tokenize", asked)["tokens"]


@pytest.fixture(scope="module", params=[*KINDS, "scores", "scores without a prefix"])
def pair(request, tmp_path_factory):
    pytest.importorskip("xllamacpp", reason="no wheel for this platform")
    from tests.servers.llama import LlamaServer

    def add(writer):
        if request.param in KINDS:
            return add_byte_tokens(writer, request.param)
        return add_scored_tokens(writer, CORPUS, prefix=request.param == "scores")

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_gguf(path, "llama", tokenizer=add)
    return built(path), LlamaServer(path, n_slots=1, window=64)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts_have_llama_cpps_tokens(pair, text):
    tokenizer, server = pair
    assert tokenizer.encode(text, add_special_tokens=False).ids == theirs(server, text)


def test_random_texts_have_llama_cpps_tokens(pair):
    tokenizer, server = pair
    rng = np.random.default_rng(0)
    letters = np.array(list("aeimnrstHTEAR  \n\n'.,:!3407\t<|>é東🙂{}\"\\/_"))
    for _ in range(60):
        text = "".join(rng.choice(letters, int(rng.integers(1, 60))))
        assert tokenizer.encode(text, add_special_tokens=False).ids == theirs(server, text), text


def test_texts_come_back(pair):
    tokenizer, _ = pair
    for text in TEXTS.values():
        # To SentencePiece its mark of a space is one.
        seen = text.replace("\u2581", " ") if tokenizer.normalizer else text
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == seen
