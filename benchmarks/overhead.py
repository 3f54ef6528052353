"""CPU time of the path Predict -> adapter -> engine, over an engine that answers at once.

One process, one thread, no model: what is left is what every call pays besides its LM. The same
two jobs go through structq's adapter and through DSPy's two: evolve a response (one text field) and
score K responses (a list of K integers out of K+1 labels; where the adapter is DSPy's, a signature
made once with ``list[Literal[...]]`` of exactly K items). ``lm(Request)``, with the same schema and
no adapter at all, is DSPy's own share, and the unit of the ratios: machines and their load differ.

Run ``python benchmarks/overhead.py``. Every figure is the least CPU time of several rounds; the
rounds of all paths take turns, so that a busy spell of the machine does not fall on one of them.
The function calls that a call makes are counted as well: they are the same on every machine.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import platform
import pstats
import shlex
import sys
import time
from collections.abc import Callable
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from structq import EvolveResponse, ScoreResponses, StructAdapter
from structq.adapter.requests import build_request
from structq.schemas import outputs_of
from structq.signatures import ScoreCall, score_signature

BAR_MS = 0.35

Call = Callable[[], Any]


class ZeroCostEngine:
    """Answers every request with the same text."""

    supports_response_schema = True
    supported_params = frozenset({"response_format", "temperature", "max_tokens"})

    def __init__(self, text: str) -> None:
        self._message = Message.assistant(text)
        self._usage = Usage(input_tokens=1, output_tokens=1)

    def complete(self, request: Request) -> Response:
        """The text."""
        return Response(
            id=None,
            model=request.model,
            message=self._message,
            finish_reason="stop",
            usage=self._usage,
        )


def make_lm(text: str) -> dspy.LM:
    return dspy.LM("zero/cost", engine=ZeroCostEngine(text), cache=False, num_retries=0)


def chat_text(fields: dict[str, Any]) -> str:
    """An answer in the form that DSPy's ChatAdapter reads."""
    shown = {name: v if isinstance(v, str) else json.dumps(v) for name, v in fields.items()}
    sections = [f"[[ ## {name} ## ]]\n{text}" for name, text in shown.items()]
    return "\n\n".join([*sections, "[[ ## completed ## ]]"])


def paths(
    signature: type[dspy.Signature], inputs: dict[str, Any], answer: dict[str, Any]
) -> dict[str, tuple[dspy.LM, dspy.Adapter, Call]]:
    """The ways to get one answer, by name."""
    predict = dspy.Predict(signature)
    as_json = make_lm(json.dumps(answer, separators=(",", ":")))
    messages = StructAdapter().format(signature, [], inputs)
    strict = outputs_of(signature).response_format
    request = build_request(as_json, {}, messages, strict)

    def ask() -> Any:
        return predict(**inputs)

    return {
        "lm(Request)": (as_json, StructAdapter(), lambda: as_json(request)),
        "structq": (as_json, StructAdapter(), ask),
        "ChatAdapter": (make_lm(chat_text(answer)), dspy.ChatAdapter(), ask),
        "JSONAdapter": (as_json, dspy.JSONAdapter(), ask),
    }


def jobs(k: int, n_chars: int) -> dict[str, dict[str, tuple[dspy.LM, dspy.Adapter, Call]]]:
    text = ("A whale is a mammal, and it breathes air. " * n_chars)[:n_chars]
    evolve = paths(
        EvolveResponse, {"instruction": text, "response": text}, {"evolved_response": text}
    )
    score = paths(
        score_signature(ScoreResponses, ScoreCall(k, None)),
        {"instruction": text, "responses": [text] * k},
        {"scores": list(range(1, k + 1))},
    )
    return {"evolve": evolve, f"score K={k}": score}


def cpu_ms(lm: dspy.LM, adapter: dspy.Adapter, call: Call, n: int) -> float:
    """CPU milliseconds of one call, over ``n`` of them."""
    with dspy.context(lm=lm, adapter=adapter):
        started = time.process_time()
        for _ in range(n):
            call()
        return 1e3 * (time.process_time() - started) / n


def functions(lm: dspy.LM, adapter: dspy.Adapter, call: Call, n: int = 10) -> float:
    """Function calls of one call, those into C included."""
    profile = cProfile.Profile()
    with dspy.context(lm=lm, adapter=adapter), profile:
        for _ in range(n):
            call()
    return float(pstats.Stats(profile).total_calls / n)  # type: ignore[attr-defined]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--k", type=int, default=4, help="responses of a score call")
    parser.add_argument("--chars", type=int, default=200, help="characters of each text")
    parser.add_argument("--calls", type=int, default=200, help="calls of a round")
    parser.add_argument("--rounds", type=int, default=9, help="rounds; the best one counts")
    args = parser.parse_args(argv)

    print(f"python {shlex.join(sys.argv)}")
    print(f"python {platform.python_version()}, dspy {dspy.__version__}, cache off, history on")
    print(f"texts of {args.chars} characters, best of {args.rounds} rounds of {args.calls} calls\n")
    ratios = f"{'/ lm(Request)':>14} {'/ structq':>10}"
    print(f"{'job':<11} {'path':<12} {'CPU ms/call':>11} {ratios} functions")
    slow = False
    for job, ways in jobs(args.k, args.chars).items():
        for way in ways.values():
            cpu_ms(*way, 20)
        # The paths take turns within a round.
        rounds = [
            {name: cpu_ms(*way, args.calls) for name, way in ways.items()}
            for _ in range(args.rounds)
        ]
        best = {name: min(one[name] for one in rounds) for name in ways}
        slow |= best["structq"] > BAR_MS
        for name, ms in best.items():
            ratios = f"{ms / best['lm(Request)']:14.2f} {ms / best['structq']:10.2f}"
            print(f"{job:<11} {name:<12} {ms:11.3f} {ratios} {functions(*ways[name]):9.0f}")
    print(f"\nthe bar of {BAR_MS} ms a call is {'missed' if slow else 'kept'} by structq")
    return 0


if __name__ == "__main__":
    sys.exit(main())
