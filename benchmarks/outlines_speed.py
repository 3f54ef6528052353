"""smollm2 scoring on structq's engine and on Outlines with transformers: same prompts and weights.

    python benchmarks/outlines_speed.py [--rows 8] [--k 2 4]

``as written`` makes an ``outlines.Generator`` for each row, as its documentation shows it, since
rows differ in their schema; ``cached`` keeps one for each schema. Both run the weights of the
pulled GGUF file in float32 through ``outlines.from_transformers``. One thread each, greedy; ``cpu
s`` is the processor's time for a row, which a busy machine changes least; ``build`` is the part of
it that making generators took, ``passes`` the forward passes of a row. Needs torch, transformers
and accelerate, and ``structq pull smollm2``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structq
from structq.adapter import StructAdapter
from structq.engines import store
from structq.schemas import outputs_of
from structq.signatures import ScoreCall, ScoreResponses, score_signature
from structq.templates import default_criteria

DEMO = Path(structq.__file__).parent / "demo" / "rows.jsonl"


@dataclass
class Cost:
    """Seconds of the processor for all rows."""

    total: float = 0.0
    build: float = 0.0
    n_passes: int = 0
    answers: tuple[str, ...] = ()


def rows_of(n: int, k: int) -> list[tuple[str, list[str]]]:
    rows = [json.loads(line) for line in DEMO.read_text(encoding="utf8").splitlines()]
    texts = [row["response"] for row in rows]
    return [
        (rows[i % len(rows)]["instruction"], [texts[(i + j) % len(texts)] for j in range(k)])
        for i in range(n)
    ]


def by_structq(rows: Sequence[tuple[str, list[str]]], lm: Any) -> Cost:
    scorer = structq.QualityScorer(lm=lm, n_in_flight=len(rows))
    inputs = [{"instruction": i, "responses": r} for i, r in rows]
    started = time.process_time()
    done = [row for batch in scorer.process(inputs) for row in batch]
    calls = [row["metadata"]["calls"][0] for row in done]
    return Cost(
        total=time.process_time() - started,
        n_passes=sum(call["n_passes"] for call in calls),
        answers=tuple(call["raw_output"] for call in calls),
    )


def outlines_model() -> tuple[Any, Callable[[], int]]:
    """The model, and how many forward passes it has made."""
    import outlines
    import torch
    import transformers

    torch.set_num_threads(1)
    path = store.kept(store.CATALOGUE["smollm2"]).path
    assert path is not None
    tokenizer = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        path.parent,
        gguf_file=path.name,
        quantization_config=transformers.GgufConfig(dequantize=True),
        dtype="float32",
    )
    passes = [0]
    model.register_forward_hook(lambda *_: passes.__setitem__(0, passes[0] + 1))
    return outlines.from_transformers(model, tokenizer), lambda: passes[0]


def by_outlines(
    rows: Sequence[tuple[str, list[str]]], model: Any, passes: Callable[[], int], *, cached: bool
) -> Cost:
    import outlines
    from outlines.inputs import Chat
    from outlines.types import JsonSchema

    adapter, cost, before = StructAdapter(form="text"), Cost(), passes()
    made: dict[str, Any] = {}
    started = time.process_time()
    for instruction, responses in rows:
        base = ScoreResponses.with_instructions(default_criteria())
        signature = score_signature(base, ScoreCall(len(responses), None))
        inputs = {"instruction": instruction, "responses": responses}
        messages = adapter.format(signature, [], inputs)
        schema = json.dumps(outputs_of(signature).schema)
        building = time.process_time()
        generator = made.get(schema) if cached else None
        if generator is None:
            generator = made[schema] = outlines.Generator(model, JsonSchema(schema))
        cost.build += time.process_time() - building
        cost.answers += (generator(Chat(messages), max_new_tokens=12 + 4 * len(responses)),)
    cost.total = time.process_time() - started
    cost.n_passes = passes() - before
    return cost


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--k", type=int, nargs="+", default=[2, 4])
    options = parser.parse_args(argv)
    if store.kept(store.CATALOGUE["smollm2"]).path is None:
        print("smollm2 is not here: structq pull smollm2")
        return
    print("command: python benchmarks/outlines_speed.py", *(sys.argv[1:] if argv is None else argv))
    lm = structq.lm("smollm2", n_threads=1)
    model, passes = outlines_model()
    structq.QualityScorer(lm=lm)(instruction="Why?", responses=["Because."])  # warm
    print(f"{'K':<3}{'way':<22}{'cpu s a row':>12}{'build':>8}{'passes':>8}{'times structq':>15}")
    for k in options.k:
        rows = rows_of(options.rows, k)
        ways = {
            "structq": by_structq(rows, lm),
            "outlines as written": by_outlines(rows, model, passes, cached=False),
            "outlines cached": by_outlines(rows, model, passes, cached=True),
        }
        for name, cost in ways.items():
            ratio = cost.total / ways["structq"].total
            print(
                f"{k:<3}{name:<22}{cost.total / len(rows):>12.2f}{cost.build / len(rows):>8.2f}"
                f"{cost.n_passes / len(rows):>8.1f}{ratio:>15.2f}"
            )


if __name__ == "__main__":
    main()
