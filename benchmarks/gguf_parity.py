"""A GGUF file on structq's engine, on llama.cpp and in float32: tokens and probabilities.

Run ``python benchmarks/gguf_parity.py FILE.gguf --data FOLDER`` (needs the ``llamacpp`` and
``transformers`` extras; without a part's package or data it says what it leaves out).

* ``tokens``: every text in the JSON and JSON Lines files of the folder, by structq's tokenizer and
  by llama.cpp's;
* ``probabilities``: llama.cpp writes greedy answers to some instructions, and every engine says how
  likely each token of these was: structq with activations in float32 and in int8, llama.cpp as the
  ``llamacpp:`` engine runs it, and transformers in float32 with the numbers of the file. Shown are
  the places at which an engine's likeliest token is that of another one, and the mean difference of
  the log probabilities of the tokens.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from gguf_reference import float32_model

import structq
from structq.engines.backends.gguf import convert
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.store import path_of
from structq.errors import InputError

REFERENCE = "float32 reference"


class LlamaCpp:
    """The server of the ``llamacpp:`` engine."""

    def __init__(self, path: Path) -> None:
        self.address = structq.lm(f"llamacpp:{path}", n_slots=1).address.removesuffix("/v1")

    def post(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=600) as reply:
            return json.load(reply)

    def tokens(self, text: str) -> list[int]:
        asked = {"content": text, "add_special": False, "parse_special": False}
        return self.post("/tokenize", asked)["tokens"]

    def answer(self, prompt: list[int], n_tokens: int) -> tuple[list[int], list[float]]:
        """Greedy tokens and their log probabilities."""
        asked = {"prompt": prompt, "n_predict": n_tokens, "n_probs": 1, "temperature": 0}
        steps = self.post("/completion", asked).get("completion_probabilities", [])
        return [step["id"] for step in steps], [step["logprob"] for step in steps]


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner)


def read_texts(folder: Path) -> list[str]:
    """All different texts of a folder's files that are JSON, in order."""
    found: dict[str, None] = {}
    for path in sorted(folder.rglob("*.json*")):
        with path.open(encoding="utf8", errors="replace", newline="\n") as lines:
            for line in lines:
                try:
                    found.update(dict.fromkeys(texts_of(json.loads(line))))
                except ValueError:  # some of the data are broken on purpose
                    continue
    return [text for text in found if not any("\ud800" <= letter <= "\udfff" for letter in text)]


def compare_tokens(runtime: OnnxRuntime, server: LlamaCpp, texts: Sequence[str]) -> None:
    different = [text for text in texts if runtime.encode_text(text) != server.tokens(text)]
    print(f"tokens         equal for {len(texts) - len(different)} of {len(texts)} texts")
    for text in different[:5]:
        print(f"               not for {text[:80]!r}")


def compare_probabilities(
    path: Path, server: LlamaCpp, prompts: Sequence[list[int]], n_tokens: int
) -> None:
    logs: dict[str, list[float]] = {"llama.cpp": []}
    likeliest: dict[str, list[int]] = {"llama.cpp": []}
    forced: list[tuple[list[int], list[int]]] = []
    for prompt in prompts:
        tokens, said = server.answer(prompt, n_tokens)
        if not tokens:
            continue
        forced.append((prompt, tokens))
        likeliest["llama.cpp"] += tokens
        logs["llama.cpp"] += said
    for name, logits_of in engines(path):
        rows = [log_softmax(logits_of(prompt, tokens)) for prompt, tokens in forced]
        likeliest[name] = [int(token) for row in rows for token in row.argmax(axis=1)]
        logs[name] = [
            float(row[place, token])
            for row, (_, tokens) in zip(rows, forced, strict=True)
            for place, token in enumerate(tokens)
        ]
    for one, other in combinations(logs, 2):
        same = sum(a == b for a, b in zip(likeliest[one], likeliest[other], strict=True))
        gap = np.abs(np.subtract(logs[one], logs[other])).mean()
        print(
            f"probabilities  {one:<18} {other:<18} likeliest equal {same} of {len(logs[one])}, "
            f"mean difference of log p {gap:.5f}"
        )


def engines(path: Path) -> Iterator[tuple[str, Any]]:
    """Functions from a prompt and the tokens behind it to the logits of these tokens."""
    folder = convert(path)
    for activations in ("float32", "int8"):
        runtime = OnnxRuntime(folder, n_slots=1, n_threads=1, activations=activations)

        def ours(
            prompt: list[int], tokens: list[int], runtime: OnnxRuntime = runtime
        ) -> np.ndarray:
            runtime.rewind(0, 0)
            return runtime.extend(0, [*prompt, *tokens], len(tokens) + 1)[:-1]

        yield f"structq {activations}", ours
    try:
        import torch

        model = float32_model(path)
    except ImportError as error:
        print(f"probabilities  without the float32 reference ({error})")
        return

    def reference(prompt: list[int], tokens: list[int]) -> np.ndarray:
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *tokens]])).logits[0]
        return logits[len(prompt) - 1 : -1].numpy()

    yield REFERENCE, reference


def log_softmax(logits: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    return wide - np.logaddexp.reduce(wide, axis=1, keepdims=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE.gguf", help="default: smollm2")
    parser.add_argument("--data", type=Path, help="folder with JSON and JSON Lines files")
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=48, help="of each answer")
    given = parser.parse_args(arguments)
    print("command       ", shlex.join(["python", "benchmarks/gguf_parity.py", *sys.argv[1:]]))
    try:
        path = given.file or path_of("smollm2")
        runtime = OnnxRuntime(convert(path), n_slots=1, n_threads=1)
        server = LlamaCpp(path)
    except InputError as error:
        print(f"nothing to compare: {error}")
        return
    examples = Path(__file__).parents[1] / "examples"
    compare_tokens(runtime, server, read_texts(given.data or examples))
    lines = (examples / "responses.jsonl").read_text(encoding="utf8").splitlines()
    asked = [json.loads(line)["instruction"] for line in lines[: given.prompts]]
    prompts = [runtime.encode([("user", text)]) for text in asked]
    compare_probabilities(path, server, prompts, given.tokens)


if __name__ == "__main__":
    main()
