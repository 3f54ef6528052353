"""One set of weights behind structq's engines and behind Outlines, on the same rows.

Run: ``python benchmarks/backends.py [--rows 24] [--k 1 4 8] [--lm nano]``

The weights are those that ship, rebuilt as a checkpoint of transformers for every way but the
first. Each way gets the same prompts and a schema for each row:

* ``structq onnx``, ``structq transformers``: all rows in flight, measured label slots, forced text;
* ``outlines as written``: a ``Generator`` for each row, as its documentation shows it, since rows
  may differ in their schema;
* ``outlines cached``: one ``Generator`` a schema, one call a row;
* ``outlines cached batch``: one ``Generator`` a schema, all rows in one call, which needs all of
  them to have the same number of responses;
* ``llama.cpp server``: the one of the ``xllamacpp`` wheel, over HTTP on loopback, sent the strict
  schema of each row, eight rows in flight. It says how many tokens it wrote, which are its passes.

``passes`` are forward passes in which a row took part, its prompt's included. ``cpu ms`` is the
processor's time for a row, which a busy machine changes least. ``valid`` is the share of answers
that obey their schema. The last column compares the processor's time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnxruntime
import outlines
import torch
import transformers
from outlines.inputs import Chat
from outlines.types import JsonSchema

import structq
from structq.engines.backends.onnx.runtime import OnnxRuntime
from structq.engines.backends.transformers.runtime import TransformersRuntime
from structq.engines.calls import Call
from structq.engines.local import LocalLM
from training.examples import evolve_prompt, score_prompt
from training.export import export
from training.heldout import evolve_rows, score_rows

NANO = Path(structq.__file__).parent / "nano"
MAX_TOKENS = 160
"""Of an evolved response."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Prompts with the schema of their answers."""

    name: str
    prompts: Sequence[str]
    schema: dict[str, Any]
    measure: bool


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one way took for all rows of a task."""

    texts: Sequence[str]
    n_passes: float
    """Of a row, on average."""
    wall_s: float
    cpu_s: float


Way = Callable[[Task], tuple[list[str], float]]
"""The answers, and the sum of their passes."""


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def score_task(k: int, n: int) -> Task:
    item = {"type": "integer", "enum": list(range(1, k + 2))}
    scores = {"type": "array", "items": item, "minItems": k, "maxItems": k}
    rows = score_rows(n + 2, seed=k, ks=(k,))
    prompts = [score_prompt(row.instruction, list(row.responses), 1, k + 1) for row in rows]
    return Task(
        name=f"score K={k}", prompts=prompts, schema=_closed({"scores": scores}), measure=True
    )


def evolve_task(n: int) -> Task:
    prompts = [
        evolve_prompt(row.method, row.subject.instruction, row.original.text)
        for row in evolve_rows(n + 2, seed=0)
    ]
    schema = _closed({"evolved_response": {"type": "string"}})
    return Task(name="evolve", prompts=prompts, schema=schema, measure=False)


def structq_way(lm: LocalLM) -> Way:
    def answer(task: Task) -> tuple[list[str], float]:
        calls = [
            Call(
                messages=[("user", prompt)],
                schema=task.schema,
                measure=task.measure,
                max_tokens=MAX_TOKENS,
            )
            for prompt in task.prompts
        ]
        answers = [future.result() for future in lm.submit_all(calls)]
        return [answer.text for answer in answers], sum(answer.n_passes for answer in answers)

    return answer


class Outlines:
    """The ways of a user of Outlines; counts the forward passes of its model."""

    def __init__(self, folder: str) -> None:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = outlines.from_transformers(model, tokenizer)
        self.n_passes = 0
        model.register_forward_pre_hook(self._count)
        self._generators: dict[str, Any] = {}

    def _count(self, *_: object) -> None:
        self.n_passes += 1

    # One generator a row, one a schema, one a schema with all rows in one call.

    def as_written(self, task: Task) -> tuple[list[str], float]:
        start = self.n_passes
        texts = []
        for prompt in task.prompts:
            generator = outlines.Generator(self.model, JsonSchema(task.schema))
            texts.append(generator(_chat(prompt), max_new_tokens=MAX_TOKENS, do_sample=False))
        return texts, self.n_passes - start

    def cached(self, task: Task) -> tuple[list[str], float]:
        start, generator = self.n_passes, self._generator(task)
        texts = [
            generator(_chat(prompt), max_new_tokens=MAX_TOKENS, do_sample=False)
            for prompt in task.prompts
        ]
        return texts, self.n_passes - start

    def cached_batch(self, task: Task) -> tuple[list[str], float]:
        start, generator = self.n_passes, self._generator(task)
        chats = [_chat(prompt) for prompt in task.prompts]
        texts = generator.batch(chats, max_new_tokens=MAX_TOKENS, do_sample=False)
        return list(texts), (self.n_passes - start) * len(chats)

    def _generator(self, task: Task) -> Any:
        key = json.dumps(task.schema)
        if key not in self._generators:
            self._generators[key] = outlines.Generator(self.model, JsonSchema(task.schema))
        return self._generators[key]


class LlamaServer:
    """llama.cpp's server in this process, with one thread as the others have."""

    N_SLOTS = 8

    def __init__(self, path: str, window: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = path
        params.port = 0
        params.n_parallel, params.n_ctx = self.N_SLOTS, self.N_SLOTS * window
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
        params.warmup = params.ui = False
        params.verbosity = 0
        self._server = xllamacpp.Server(params)

    def way(self, task: Task) -> tuple[list[str], float]:
        with ThreadPoolExecutor(self.N_SLOTS) as pool:
            replies = list(pool.map(lambda prompt: self._ask(prompt, task.schema), task.prompts))
        texts = [reply["choices"][0]["message"]["content"] for reply in replies]
        return texts, float(sum(reply["usage"]["completion_tokens"] for reply in replies))

    def _ask(self, prompt: str, schema: dict[str, Any]) -> Any:
        named = {"name": "answer", "strict": True, "schema": schema}
        body = {
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": MAX_TOKENS,
            "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema": named},
        }
        request = urllib.request.Request(
            f"{self._server.listening_address}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=600) as reply:
            return json.load(reply)


def _chat(prompt: str) -> Chat:
    return Chat([{"role": "user", "content": prompt}])


def measure(way: Way, task: Task) -> Result:
    """One round over all prompts but the first two, which warm up what is made on first use.

    No prompt comes twice: structq on transformers keeps what its slots held.
    """
    way(replace(task, prompts=task.prompts[:2]))
    wall, cpu = time.perf_counter(), time.process_time()
    texts, n_passes = way(replace(task, prompts=task.prompts[2:]))
    return Result(
        texts=texts,
        n_passes=n_passes / len(texts),
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
    )


def _is_valid(text: str, schema: dict[str, Any]) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    name = next(iter(schema["properties"]))
    if not isinstance(value, dict) or list(value) != [name]:
        return False
    if name == "evolved_response":
        return isinstance(value[name], str)
    scores = schema["properties"][name]
    right_length = isinstance(value[name], list) and len(value[name]) == scores["minItems"]
    return right_length and all(score in scores["items"]["enum"] for score in value[name])


def report(tasks: Sequence[Task], ways: dict[str, Way], out: Any) -> None:
    header = f"{'task':<10} {'way':<22} {'passes':>7} {'cpu ms':>8} {'rows/s':>8} {'valid':>6}"
    print(f"{header}   structq transformers is", file=out)
    for task in tasks:
        found = {name: measure(way, task) for name, way in ways.items()}
        base = found["structq transformers"].cpu_s
        for name, result in found.items():
            n = len(result.texts)
            valid = sum(_is_valid(text, task.schema) for text in result.texts) / n
            figures = f"{result.n_passes:>7.1f} {1e3 * result.cpu_s / n:>8.1f}"
            speed = f"{n / result.wall_s:>8.1f} {valid:>6.2f} {result.cpu_s / base:>15.2f}x as fast"
            print(f"{task.name:<10} {name:<22} {figures} {speed}", file=out, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lm", default="nano", help="nano, or onnx:FOLDER of structq's own form")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--k", type=int, nargs="*", default=[1, 4, 8])
    parser.add_argument("--no-evolve", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    transformers.utils.logging.disable_progress_bar()
    print(f"command: python benchmarks/backends.py {shlex.join(sys.argv[1:])}")
    print(
        f"transformers {transformers.__version__}, torch {torch.__version__}, onnxruntime "
        f"{onnxruntime.__version__}, {platform.machine()}, {torch.get_num_threads()} thread, "
        f"{args.rows} rows"
    )
    with tempfile.TemporaryDirectory() as folder:
        source = {} if args.lm == "nano" else {"source": args.lm.removeprefix("onnx:")}
        export("hf", folder, **source)
        user = Outlines(folder)
        weights = args.lm.removeprefix("onnx:") if args.lm != "nano" else NANO
        onnx = LocalLM(OnnxRuntime(weights, n_threads=torch.get_num_threads()))
        gguf = export("gguf", folder, **source)
        ways: dict[str, Way] = {
            "structq onnx": structq_way(onnx),
            "structq transformers": structq_way(LocalLM(TransformersRuntime(folder))),
            "outlines as written": user.as_written,
            "outlines cached": user.cached,
            "outlines cached batch": user.cached_batch,
            "llama.cpp server": LlamaServer(str(gguf), onnx.window).way,
        }
        tasks = [score_task(k, args.rows) for k in args.k]
        tasks += [] if args.no_evolve else [evolve_task(args.rows)]
        report(tasks, ways, sys.stdout)


if __name__ == "__main__":
    main()
