"""structq's own engine and llama.cpp with the same weights and threads: what each row costs.

Run ``python benchmarks/engines.py FILE.gguf`` (needs the ``llamacpp`` extra). Both engines run in
this process, through the same modules, on the same rows, in turns; seconds are CPU seconds of the
process, so that what else the machine does matters little. Of each job the ratio is what counts:

* ``score K=2``, ``score K=4``: rows a second; ours measures the labels, llama.cpp's server is sent
  the strict schema and asked for log probabilities;
* ``evolve``: rows a second with so many in flight. The texts differ, so tokens are shown too;
* ``prefill``: floating-point operations a second in the products of a prompt, as a share of what
  onnxruntime does in one float32 product of the same shape, measured beside it;
* ``prefixes``: rows a second with and without what other rows computed of a prompt;
* ``opening``: in a process of its own: seconds, memory after opening and after an answer, with and
  without the pages of mapped files, and the size of the converted file.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import structq
from structq.engines.store import path_of
from structq.errors import InputError

EXAMPLES = Path(__file__).parents[1] / "examples" / "responses.jsonl"
BARS = {"score K=2": 3.0, "score K=4": 2.7, "evolve": 2.2, "prefill": 0.7}

OPENING = """
import sys, time
import structq
def megabytes(*names):
    with open("/proc/self/status") as lines:
        found = dict(line.split(":", 1) for line in lines)
    return sum(int(found[name].split()[0]) for name in names) // 1024
own = "RssAnon", "RssShmem"
begin = time.perf_counter(), time.process_time()
lm = structq.lm(sys.argv[1], n_threads=1, activations=sys.argv[2])
opened = time.perf_counter() - begin[0], time.process_time() - begin[1]
opened += megabytes("VmRSS"), megabytes(*own)
structq.QualityScorer(lm=lm)(instruction="Name a prime.", responses=["7", "8"])
print(*opened, megabytes("VmRSS"), megabytes(*own), megabytes("VmHWM"))
"""


def pulled() -> Path | None:
    """smollm2's weights, or nothing but a remark."""
    try:
        return path_of("smollm2")
    except InputError as error:
        print(f"nothing to measure: {error}")
        return None


def read_rows(path: Path, n_rows: int) -> list[dict[str, Any]]:
    with path.open(encoding="utf8") as lines:
        rows = [json.loads(line) for line in lines]
    return [rows[place % len(rows)] for place in range(n_rows)]


def score_jobs(rows: Sequence[dict[str, Any]], k: int) -> list[dict[str, Any]]:
    """Each row with its own response and those of the next rows."""
    texts = [row["response"] for row in rows] * 2
    return [
        {"instruction": row["instruction"], "responses": texts[place : place + k]}
        for place, row in enumerate(rows)
    ]


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    before = time.process_time()
    found = work()
    return time.process_time() - before, found


def compare(
    name: str, tasks: dict[str, Any], jobs: Sequence[dict[str, Any]], n_rounds: int
) -> None:
    """Rows a CPU second of each engine, over rounds in which they take turns."""
    spent, tokens, failed = (dict.fromkeys(tasks, 0.0) for _ in range(3))
    for part in np.array_split(np.arange(len(jobs)), n_rounds):
        rows = [jobs[place] for place in part]
        for engine, task in tasks.items():
            seconds, found = cpu_seconds(lambda task=task, rows=rows: next(task.process(rows)))
            spent[engine] += seconds
            failed[engine] += sum(row["metadata"]["error"] is not None for row in found)
            tokens[engine] += sum(
                call["usage"]["output_tokens"] for row in found for call in row["metadata"]["calls"]
            )
    rates = {engine: len(jobs) / seconds for engine, seconds in spent.items()}
    first, second = rates
    for engine, rate in rates.items():
        print(
            f"{name:<10} {engine:<22} {rate:7.2f} rows/s {tokens[engine] / len(jobs):6.1f} "
            f"tokens a row, {failed[engine]:.0f} failed"
        )
    bar = f" (bar {BARS[name]})" if name in BARS else ""
    print(f"{name:<10} ratio {rates[first] / rates[second]:.2f}{bar}", flush=True)


def prefill(lm: Any, n_tokens: int, n_rounds: int) -> None:
    """The share of the machine's rate at which a prompt is worked through."""
    runtime = lm.engine.lm._runtime
    rng = np.random.default_rng(0)
    per_token, shape = products(runtime.folder)
    product = machine_product(shape, n_tokens)
    ours, machine = [], []
    for _ in range(n_rounds):
        tokens = rng.integers(100, runtime.n_vocab, n_tokens).tolist()
        runtime.rewind(0, 0)
        ours.append(cpu_seconds(lambda tokens=tokens: runtime.extend(0, tokens, 1))[0])
        machine.append(min(cpu_seconds(product)[0] for _ in range(5)))
    rate = n_tokens * per_token / min(ours)
    best = 2 * n_tokens * shape[0] * shape[1] / min(machine)
    print(
        f"prefill    {n_tokens / min(ours):.0f} tokens/s, {rate / 1e9:.1f} GFLOP/s of "
        f"{best / 1e9:.1f}: share {rate / best:.2f} (bar {BARS['prefill']})",
        flush=True,
    )


def products(folder: Path) -> tuple[int, tuple[int, int]]:
    """Operations a token in the products of the layers, and the shape of the largest of these."""
    import onnx

    graph = onnx.load(str(folder / "model.onnx"), load_external_data=False).graph
    known = {node.output[0]: node for node in graph.node}
    sizes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    shapes = []
    for node in graph.node:
        if node.op_type == "MatMulNBits" and node.output[0] != "logits":
            values = {attribute.name: attribute.i for attribute in node.attribute}
            shapes.append((values["K"], values["N"]))
        elif node.op_type == "FusedMatMul" and node.output[0] != "logits":
            matrix = node.input[1]
            matrix = known[matrix].input[0] if matrix in known else matrix
            if not matrix.endswith(".offset"):
                shapes.append(sizes[matrix][::-1])
    return sum(2 * k * n for k, n in shapes), max(shapes, key=np.prod)


def machine_product(shape: tuple[int, int], n_rows: int) -> Callable[[], Any]:
    """One float32 product on onnxruntime, on one thread."""
    import onnxruntime as ort
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    right = numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), "right")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["left", "right"], ["out"])],
        "product",
        [helper.make_tensor_value_info("left", TensorProto.FLOAT, ["M", shape[0]])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["M", shape[1]])],
        [right],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    left = rng.standard_normal((n_rows, shape[0])).astype(np.float32)
    return lambda: session.run(None, {"left": left})


def opening(spec: str, activations: str, folder: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", OPENING, spec, activations],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    wall, cpu = (float(value) for value in printed[:2])
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    print(
        f"opening    {wall:.2f} s ({cpu:.2f} CPU s), {printed[2]} MB opened, {printed[4]} MB after "
        f"a score ({printed[3]} and {printed[5]} without mapped files), {printed[6]} MB at most, "
        f"file {size:.1f} MB (bars 2 s, 400 MB, 115 MB)"
    )


JOBS = ("score", "evolve", "prefixes", "prefill", "opening")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE.gguf", help="default: smollm2")
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=JOBS)
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--in-flight", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=1, help="turns; each ends with few rows")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the prefill")
    parser.add_argument("--max-tokens", type=int, default=128, help="of an evolution")
    parser.add_argument("--data", type=Path, default=EXAMPLES)
    parser.add_argument("--activations", choices=("float32", "int8"), default="float32")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    given = parsed(arguments)
    if (path := given.file or pulled()) is None:
        return
    words = sys.argv[1:] if arguments is None else arguments
    print("command   ", shlex.join(["python", "benchmarks/engines.py", *words]))
    print("setting   ", platform.machine(), "Python", platform.python_version(), "1 thread each")
    options = {"n_threads": 1, "n_slots": given.in_flight, "max_tokens": given.max_tokens}
    spec, kind = f"gguf:{path}", {"activations": given.activations}
    ours = structq.lm(spec, **kind, **options)
    rows = read_rows(given.data, given.rows)

    def tasks(module: Any, lms: dict[str, Any]) -> dict[str, Any]:
        return {name: module(lm=lm, n_in_flight=given.in_flight) for name, lm in lms.items()}

    if {"score", "evolve"} & set(given.jobs):
        both = {"gguf": ours, "llamacpp": structq.lm(f"llamacpp:{path}", **options)}
    for k in (2, 4) if "score" in given.jobs else ():
        jobs = score_jobs(rows, k)
        compare(f"score K={k}", tasks(structq.QualityScorer, both), jobs, given.rounds)
    if "evolve" in given.jobs:
        compare("evolve", tasks(structq.EvolQuality, both), rows, given.rounds)
    if "prefixes" in given.jobs:
        plain = structq.lm(spec, reuse_prefixes=False, **kind, **options)
        both = {"prefixes reused": ours, "computed each time": plain}
        compare("prefixes", tasks(structq.QualityScorer, both), score_jobs(rows, 2), given.rounds)
    if "prefill" in given.jobs:
        prefill(ours, given.prompt, 3)
    if "opening" in given.jobs:
        opening(spec, given.activations, ours.engine.lm._runtime.folder)


if __name__ == "__main__":
    main()
