"""How well nano evolves and scores, on topics and phrasings that training never drew.

Run: ``python benchmarks/nano.py [--n 600] [--data ../shared/data/evolving] [--card]``

Every prompt goes through the shipped weights and the engine that users get, unforced but for the
JSON schema. Beside each figure stand its 95 % interval (bootstrap over rows) and what needs no
model: the most common label for a list of that size, a label read from the text's length alone, a
random label.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from dspy.lm15 import Config, Message, Request

import structq
from training.corpus import World
from training.examples import evolve_prompt, score_prompt
from training.heldout import (
    EvolveRow,
    ScoreRow,
    evolve_rows,
    kinds_in,
    level_after,
    pair_rows,
    score_rows,
)
from training.levels import KIND_OF, label_distribution

CARD = Path(structq.__file__).parent / "nano" / "card.md"


# asking nano ------------------------------------------------------------------------------------


def _format(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "json_schema", "name": name, "strict": True, "schema": schema}


def _request(lm: Any, prompt: str, response_format: dict[str, Any], **config: Any) -> Request:
    return Request(
        model=lm.model,
        messages=(Message.user(prompt),),
        config=Config(response_format=response_format, temperature=0.0, **config),
    )


def score_request(lm: Any, row: ScoreRow) -> Request:
    k = len(row.responses)
    item = {"type": "integer", "enum": list(range(1, k + 2))}
    scores = {"type": "array", "items": item, "minItems": k, "maxItems": k}
    prompt = score_prompt(row.instruction, list(row.responses), 1, k + 1)
    return _request(
        lm, prompt, _format("Scores", {"scores": scores}), extensions={"structq": {"measure": True}}
    )


def evolve_request(lm: Any, method: str, instruction: str, response: str) -> Request:
    prompt = evolve_prompt(method, instruction, response)
    evolved = _format("Evolved", {"evolved_response": {"type": "string"}})
    return _request(lm, prompt, evolved, max_tokens=900)


async def _ask_all(lm: Any, requests: list[Request]) -> list[Any]:
    gate = asyncio.Semaphore(64)

    async def ask(request: Request) -> Any:
        async with gate:
            return await lm.acall(request)

    return await asyncio.gather(*(ask(request) for request in requests))


def ask(lm: Any, requests: list[Request]) -> list[Any]:
    return asyncio.run(_ask_all(lm, requests))


def measured(response: Any) -> tuple[list[int], list[float]]:
    """Integer and expected score of each response in the row."""
    said = response.provider_data["structq"]
    labels = np.array(said["labels"], dtype=float)
    expected = [float(labels @ np.array(d)) for d in said["distributions"]]
    return json.loads(response.text)["scores"], expected


# statistics -------------------------------------------------------------------------------------


def interval(values: Iterable[float], n: int = 2000) -> str:
    """Mean and its 95 % bootstrap interval, as text."""
    x = np.array(list(values), dtype=float)
    draws = np.random.default_rng(0).choice(x, (n, len(x))).mean(1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return f"{x.mean():.3f} ({low:.3f} to {high:.3f}; n={len(x)})"


def ranks(x: np.ndarray) -> np.ndarray:
    return np.array([(x < v).sum() + ((x == v).sum() + 1) / 2 for v in x])


def spearman(a: Iterable[float], b: Iterable[float]) -> float | None:
    """Rank correlation, None where one side is constant."""
    x, y = ranks(np.array(list(a))), ranks(np.array(list(b)))
    if x.std() == 0 or y.std() == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def true_label(level: int, k: int) -> int:
    return 1 + int(np.argmax(label_distribution(level, 1, k + 1)))


class LengthReader:
    """The most common label for a list's size and a response's length, learnt on training rows."""

    def __init__(self, rows: list[ScoreRow]) -> None:
        self.edges: list[float] = list(
            np.quantile([len(t) for r in rows for t in r.responses], np.linspace(0, 1, 13)[1:-1])
        )
        seen: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        self.by_size: dict[int, Counter[int]] = defaultdict(Counter)
        for row in rows:
            k = len(row.responses)
            for text, level in zip(row.responses, row.levels, strict=True):
                seen[k, self._bin(text)][true_label(level, k)] += 1
                self.by_size[k][true_label(level, k)] += 1
        self.seen = seen

    def _bin(self, text: str) -> int:
        return int(np.searchsorted(self.edges, len(text)))

    def by_length(self, text: str, k: int) -> int:
        """Most common label of responses of about this length."""
        return self.seen[k, self._bin(text)].most_common(1)[0][0]

    def majority(self, k: int) -> int:
        """Most common label of lists of this size."""
        return self.by_size[k].most_common(1)[0][0]


# figures ----------------------------------------------------------------------------------------


def score_figures(lm: Any, n: int) -> dict[str, str]:
    rows = score_rows(n, seed=101)
    answers = [measured(a) for a in ask(lm, [score_request(lm, row) for row in rows])]
    reader = LengthReader(score_rows(3000, seed=7, held_out=False))
    hits: dict[str, list[float]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for row, (scores, expected) in zip(rows, answers, strict=True):
        k = len(row.responses)
        truth = [true_label(level, k) for level in row.levels]
        for text, true, score in zip(row.responses, truth, scores, strict=True):
            hits["score: exact label, K = 1..5"].append(score == true)
            hits[f"- exact label, K = {k}"].append(score == true)
            hits["- same, most common label"].append(reader.majority(k) == true)
            hits["- same, from length alone"].append(reader.by_length(text, k) == true)
            hits["- same, random label"].append(int(rng.integers(1, k + 2)) == true)
        if k >= 3 and len(set(row.levels)) > 1:
            for name, values in (
                ("score: Spearman in a row, K >= 3", expected),
                ("- Spearman from length alone", [float(len(t)) for t in row.responses]),
                (
                    "- Spearman of the true levels, ties broken at random",
                    [level + 0.001 * float(rng.random()) for level in row.levels],
                ),
            ):
                rho = spearman(values, row.levels)
                hits[name].append(0.0 if rho is None else rho)
    return {name: interval(values) for name, values in hits.items()}


def pair_figures(lm: Any, n: int) -> dict[str, str]:
    out = {}
    equal = pair_rows(n, seed=202, tolerance=0.03)
    right = [_order_is_right(row, measured(a)[1]) for row, a in _asked(lm, equal)]
    out["score: right order of pairs of equal length"] = interval(right)
    any_length = pair_rows(n, seed=203, tolerance=None)
    swapped = [
        ScoreRow(instruction=r.instruction, responses=r.responses[::-1], levels=r.levels[::-1])
        for r in any_length
    ]
    forth, back = ([measured(a)[1] for _, a in _asked(lm, rows)] for rows in (any_length, swapped))
    same = [np.sign(a[0] - a[1]) == np.sign(b[1] - b[0]) for a, b in zip(forth, back, strict=True)]
    out["score: order-swap consistency of pairs"] = interval(same)
    right = [_order_is_right(row, e) for row, e in zip(any_length, forth, strict=True)]
    out["- right order of pairs of any length"] = interval(right)
    longer = [
        (len(r.responses[0]) > len(r.responses[1])) == (r.levels[0] > r.levels[1])
        for r in any_length
    ]
    out["- same, the longer one"] = interval(longer)
    return out


def _asked(lm: Any, rows: list[ScoreRow]) -> list[tuple[ScoreRow, Any]]:
    return list(zip(rows, ask(lm, [score_request(lm, row) for row in rows]), strict=True))


def _order_is_right(row: ScoreRow, expected: list[float]) -> bool:
    return bool((expected[0] - expected[1]) * (row.levels[0] - row.levels[1]) > 0)


def evolve_figures(lm: Any, n: int) -> dict[str, str]:
    rows = evolve_rows(n, seed=303)
    requests = [evolve_request(lm, r.method, r.subject.instruction, r.original.text) for r in rows]
    texts = [
        json.loads(a.text)["evolved_response"] if a.finish_reason == "stop" else ""
        for a in ask(lm, requests)
    ]
    hits: dict[str, list[float]] = defaultdict(list)
    risen: list[tuple[EvolveRow, str]] = []
    corpus = World(np.random.default_rng(0), held_out=True)
    for row, text in zip(rows, texts, strict=True):
        kept = text.startswith(row.original.text)
        added = text[len(row.original.text) :] if kept else text
        kind = KIND_OF[row.mutation]
        found = kinds_in(added)
        before, after = row.original.level, level_after(row.original, added)
        hits["evolve: keeps the original text"].append(kept)
        hits["evolve: adds the part that the mutation asks for"].append(kind in found)
        hits[f"- same, {row.mutation}"].append(kind in found)
        hits["- adds that part and no other"].append(found == {kind})
        hits["evolve: rule level gained"].append(after - before)
        hits["- level before"].append(before)
        hits["- level gained by the corpus's own evolution"].append(
            corpus.evolved(row.subject, row.original, (kind,)).level - before
        )
        if kept and after > before:
            risen.append((row, text))
    out = {name: interval(values) for name, values in hits.items()}
    out["evolve: own expected score prefers the evolved one, where the level rose"] = interval(
        _preferences(lm, risen)
    )
    return out


def _preferences(lm: Any, risen: list[tuple[EvolveRow, str]]) -> list[bool]:
    lists = [
        ScoreRow(
            instruction=row.subject.instruction,
            responses=(row.original.text, text) if i % 2 else (text, row.original.text),
            levels=(0, 1) if i % 2 else (1, 0),
        )
        for i, (row, text) in enumerate(risen)
    ]
    return [_order_is_right(row, measured(a)[1]) for row, a in _asked(lm, lists)]


def copy_figures(lm: Any, n: int, data: Path, encode: Callable[[str], list[int]]) -> dict[str, str]:
    """Copying of real responses of 200 tokens or more, cut at the last space before the 200th."""
    texts = []
    for path in sorted(data.glob("*.jsonl")):
        with path.open(encoding="utf8", newline="\n") as lines:
            rows = [json.loads(line) for line in lines]
        texts += [
            (r["instruction"], r["response"], path.stem) for r in rows if len(r["response"]) > 500
        ]
    rng = np.random.default_rng(404)
    chosen = []
    for i in rng.permutation(len(texts)):
        instruction, response, source = texts[i]
        if len(encode(response)) < 200 or len(encode(instruction)) > 500:
            continue
        cut = _cut(response, encode)
        chosen.append((instruction, cut, source))
        if len(chosen) == n:
            break
    method = (CARD.parent.parent / "templates/mutations/details.jinja2").read_text("utf8").strip()
    answers = ask(lm, [evolve_request(lm, method, a, b) for a, b, _ in chosen])
    kept = [
        a.finish_reason == "stop" and json.loads(a.text)["evolved_response"].startswith(b)
        for a, (_, b, _) in zip(answers, chosen, strict=True)
    ]
    prefix = [_common(a.text, b) for a, (_, b, _) in zip(answers, chosen, strict=True)]
    return {
        "evolve: copies real responses of 200 tokens": interval(kept),
        "- share of such a response copied before the first error": interval(prefix),
    }


def _cut(text: str, encode: Callable[[str], list[int]]) -> str:
    low, high = 0, len(text)
    while low < high:  # longest prefix of at most 200 tokens
        middle = (low + high + 1) // 2
        low, high = (middle, high) if len(encode(text[:middle])) <= 200 else (low, middle - 1)
    return text[:low].rsplit(" ", 1)[0]


def _common(answer: str, source: str) -> float:
    said = answer.removeprefix('{"evolved_response":"')
    wanted = json.dumps(source, ensure_ascii=False)[1:-1]
    same = next(
        (i for i, (a, b) in enumerate(zip(said, wanted, strict=False)) if a != b), len(wanted)
    )
    return min(same, len(wanted)) / max(1, len(wanted))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--lm", default="nano")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/evolving"))
    parser.add_argument("--card", action="store_true", help="write the figures into card.md")
    arguments = parser.parse_args()
    lm = structq.lm(arguments.lm)
    figures = score_figures(lm, arguments.n) | pair_figures(lm, arguments.n)
    figures |= evolve_figures(lm, arguments.n)
    if arguments.data.is_dir():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(CARD.parent / "tokenizer.json"))
        figures |= copy_figures(
            lm, min(arguments.n, 500), arguments.data, lambda t: tokenizer.encode(t).ids
        )
    else:
        print(f"no folder {arguments.data}: copying of real text was not measured")
    table = "| figure | mean (95 % interval) |\n| --- | --- |\n"
    table += "".join(f"| {name} | {value} |\n" for name, value in figures.items())
    print(f"$ {' '.join(['python', *sys.argv])}\n\n{table}")
    if arguments.card:
        text = CARD.read_text("utf8")
        start, end = "<!-- figures -->\n", "<!-- /figures -->"
        head, rest = text.split(start)
        CARD.write_text(head + start + table + end + rest.split(end)[1], "utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
