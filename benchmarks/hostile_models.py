"""Model files that were damaged or made to do harm: each is refused by name, or works; none kills.

    python benchmarks/hostile_models.py [--files 200] [--seed 0]

Good files of four kinds are changed at random: nano's folder, an export as the hub has them, a GGUF
file and the settings beside them. Bits are flipped, ends cut off, numbers in heads replaced by
extreme ones, dimensions swapped, attributes of operators set to nought, values of JSON exchanged
for others. Each is opened and asked for a text and for scores in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing as mp
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TIMEOUT_S = 90
EDGES = (0, 1, -1, 2, 3, 7, 255, 2**15, 2**31 - 1, -(2**31), 2**32, 2**40, 2**62, -(2**63))
OTHERS: tuple[Any, ...] = (
    None, True, 0, -1, 2**40, 1e308, "", "x", "<|end|>", [], [0], [[]], {}, {"x": 1},
    "{{ 1 // 0 }}", "{% for a in range(3) %}x{% endfor %}",
)  # fmt: skip
SCORES = {
    "name": "scores",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"score": {"enum": [1, 2, 3]}},
        "required": ["score"],
        "additionalProperties": False,
    },
}


def flipped(data: bytearray, rng: random.Random) -> None:
    """Up to eight bits turned over, most of them in the head."""
    head = rng.choice([256, 4096, len(data)])
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(min(head, len(data)))] ^= 1 << rng.randrange(8)


def cut(data: bytearray, rng: random.Random) -> None:
    """The end is gone, or there is more behind it."""
    if rng.random() < 0.2:
        data += rng.randbytes(rng.randint(1, 4096))
    else:
        del data[rng.randrange(len(data)) :]


def numbered(data: bytearray, rng: random.Random) -> None:
    """A number of four or eight bytes in the head becomes an extreme one."""
    size = rng.choice([4, 8])
    place = rng.randrange(min(rng.choice([64, 2048, len(data)]), len(data) - size))
    value = rng.choice(EDGES) % 2 ** (8 * size)
    data[place : place + size] = value.to_bytes(size, "little")


BYTES: tuple[Callable[[bytearray, random.Random], None], ...] = (flipped, cut, numbered)


def change_bytes(path: Path, rng: random.Random) -> str:
    data, how = bytearray(path.read_bytes()), rng.choice(BYTES)
    how(data, rng)
    path.write_bytes(data)
    return how.__name__


def change_json(path: Path, rng: random.Random) -> str:
    """One value, near the root more often than deep inside, exchanged or taken away."""
    found = json.loads(path.read_text(encoding="utf-8"))
    holder, key = found, rng.choice(list(found))
    while isinstance(inner := holder[key], dict | list) and inner and rng.random() < 0.75:
        holder = inner
        key = rng.choice(list(inner)) if isinstance(inner, dict) else rng.randrange(len(inner))
    if rng.random() < 0.25:
        del holder[key]
        said = f"without {key}"
    else:
        holder[key] = rng.choice(OTHERS)
        said = f"{key} = {holder[key]!r}"
    path.write_text(json.dumps(found), encoding="utf-8")
    return said


def change_graph(path: Path, rng: random.Random) -> str:
    """A graph that can still be read, with one thing in it that cannot be right."""
    import onnx

    model = onnx.load(str(path))
    graph, what = model.graph, rng.randrange(6)
    if what == 0:
        node = rng.choice([node for node in graph.node if node.attribute])
        attribute = rng.choice(node.attribute)
        attribute.i = value = rng.choice(EDGES)
        said = f"{node.op_type}.{attribute.name} = {value}"
    elif what == 1:
        tensor = rng.choice([one for one in graph.initializer if one.dims])
        dims = list(tensor.dims)
        if len(dims) > 1 and rng.random() < 0.5:
            tensor.dims[:] = dims[::-1]
        else:
            tensor.dims[rng.randrange(len(dims))] = rng.choice(EDGES)
        said = f"{tensor.name}: {dims} to {list(tensor.dims)}"
    elif what == 2:
        tensor = rng.choice(graph.initializer)
        tensor.data_type = rng.choice([0, 1, 2, 3, 7, 9, 10, 11, 16, 21, 22, 99])
        said = f"{tensor.name} of type {tensor.data_type}"
    elif what == 3:
        tensor = rng.choice([one for one in graph.initializer if one.data_type == 7])
        numbers = onnx.numpy_helper.to_array(tensor).copy()
        numbers.reshape(-1)[rng.randrange(max(1, numbers.size))] = rng.choice(EDGES)
        tensor.CopyFrom(onnx.numpy_helper.from_array(numbers, tensor.name))
        said = f"{tensor.name} = {numbers.tolist()}"[:60]
    elif what == 4:
        node = rng.choice(graph.node)
        place = rng.randrange(len(node.input))
        node.input[place] = rng.choice(
            ["", "nobody", rng.choice(graph.node).output[0], rng.choice(graph.initializer).name]
        )
        said = f"{node.op_type} reads {node.input[place]!r}"
    else:
        tensor = rng.choice(graph.initializer)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = rng.choice(["../../../etc/passwd", "/etc/passwd", "model.onnx", "tokenizer.json"])
        offset = str(rng.choice(EDGES))
        for key, value in (("location", place), ("offset", offset), ("length", "64")):
            tensor.external_data.add(key=key, value=value)
        said = f"{tensor.name} in {place} at {offset}"
    path.write_bytes(model.SerializeToString())
    return said


def seeds(folder: Path) -> dict[str, Path]:
    """Good files to begin with."""
    from structq.engines.kinds import NANO
    from tests.hub_export import write_hub
    from tests.tiny_gguf import write_tiny_gguf

    shutil.copytree(NANO, folder / "nano")
    (folder / "gguf").mkdir()
    for architecture, kind in (("llama", "Q4_1"), ("gemma3", "Q8_0")):
        write_tiny_gguf(folder / "gguf" / f"{architecture}.gguf", architecture, kind=kind)
    write_hub(folder / "hub")
    return {name: folder / name for name in ("nano", "hub", "gguf")}


def changed(good: dict[str, Path], folder: Path, rng: random.Random) -> tuple[str, str]:
    """A spec of a changed copy, and what was changed."""
    kind = rng.choice(["nano", "hub", "gguf"])
    shutil.copytree(good[kind], folder)
    if kind == "gguf":
        path = rng.choice(sorted(folder.glob("*.gguf")))
        return f"gguf:{path}", f"{path.name}: {change_bytes(path, rng)}"
    path = rng.choice(
        [one for one in sorted(folder.rglob("*")) if one.suffix in (".onnx", ".json")]
    )
    structured = change_graph if path.suffix == ".onnx" else change_json
    how = change_bytes if rng.random() < 0.35 else structured
    return f"onnx:{folder}", f"{kind}/{path.name}: {how(path, rng)}"


def use(spec: str, said: Path) -> None:
    """Opens and asks; what came of it goes into a file."""
    os.environ["STRUCTQ_HOME"] = str(said.parent)
    import warnings

    warnings.simplefilter("ignore")
    logging.disable()
    import structq

    options = {"n_slots": 2, "n_threads": 1}
    try:
        lm = structq.lm(spec, max_tokens=24, **options)
        lm("Name a colour.")
        lm("How good is it?", response_format={"type": "json_schema", "json_schema": SCORES})
        said.write_text("works")
    except structq.InputError as error:
        said.write_text(f"refused: {error}")
    except BaseException as error:
        cause = error.__cause__ or error.__context__
        said.write_text(f"{type(error).__name__}: {error} ({type(cause).__name__}: {cause})")


def outcomes(n_files: int, seed: int) -> Iterator[tuple[str, str, str, float]]:
    """What was changed, how it ended, in how many seconds; for each file."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload(["structq", "dspy", "outlines", "structq.engines.pair", "onnx"])
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as work:
        root = Path(work)
        good = seeds(root / "good")
        for number in range(n_files):
            folder = root / f"{number}"
            spec, what = changed(good, folder / "lm", rng)
            said, start = folder / "said", time.monotonic()
            process = context.Process(target=use, args=(spec, said))
            process.start()
            process.join(TIMEOUT_S)
            if process.exitcode is None:
                process.kill()
                process.join()
                end = "hang"
            elif process.exitcode < 0:
                end = f"killed by signal {-process.exitcode}"
            else:
                end = said.read_text() if said.exists() else f"exit code {process.exitcode}"
            yield spec.partition(":")[0], what, end, time.monotonic() - start
            shutil.rmtree(folder)


def kind_of(end: str) -> str:
    if end == "works" or end.startswith("refused"):
        return end.partition(":")[0]
    return "hang" if end == "hang" else "killed" if "signal" in end else "another error"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="show every file")
    arguments = parser.parse_args()
    counts: Counter[str] = Counter()
    longest = 0.0
    for _, what, end, taken in outcomes(arguments.files, arguments.seed):
        counts[kind_of(end)] += 1
        longest = max(longest, taken)
        if arguments.all or kind_of(end) not in ("works", "refused"):
            print(f"{what}\n    {end[:400]}", flush=True)
    print(
        f"{arguments.files} files, seed {arguments.seed}: {dict(counts)}; {longest:.1f} s at most"
    )
    return int(any(kind not in ("works", "refused") for kind in counts))


if __name__ == "__main__":
    raise SystemExit(main())
