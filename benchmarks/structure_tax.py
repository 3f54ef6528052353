"""What the form of an answer costs: one evolution a row, asked plainly, as text and as JSON.

Every row is evolved once, with the five default mutations in turn, greedily, by the same weights,
under the same budget of words, DRY penalty and guard:

* ``plain``: a plain prompt and free text, without structq's modules, templates and checks;
* ``text``: structq's default form for this LM;
* ``json``: the JSON form, spaced, which every server is asked for.

``kept`` is the share of the original's different words that the answer has. ``refused`` are answers
that EvolQuality's checks take for none (they are asked of the plain ones too), ``failed``
rows that came to no answer at all, for their form or their end. ``half`` has less than half of the
original's words, ``few`` adds fewer than five different ones. ``looped`` says a sentence three
times or more; ``guarded`` was cut by the guard against that, ``budget`` by the bound on its words.
Intervals are 95 % bootstraps over rows, paired for the difference to plain text. nano, made for
structq's own compact form, is the control.

    python benchmarks/structure_tax.py [--lm smollm2] [--data DIR] [--rows N] [--show K]

The rows are the first N of vicuna80 and of self_instruct_user (``--data``, by default the folder
that STRUCTQ_DATA names or ``../shared/data``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import structq
from structq.decoding import TextRules
from structq.engines.calls import Call
from structq.engines.sampling import Sampling
from structq.modules.checks import EvolveCheck
from structq.modules.length import MAX_GROWTH, Length
from structq.templates import default_mutations
from structq.texts import content_words, sentences

FILES = ("vicuna80", "self_instruct_user")
PLAIN = (
    "{method}\n\nInstruction: {instruction}\n\nResponse: {response}\n\n"
    "Reply with the rewritten response and nothing else."
)
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one row."""

    text: str
    """The answer; empty where the row failed."""
    cut: str = ""
    """Why something was cut off: ``repetition`` (the guard) or ``length`` (the budget)."""
    refused: str = ""
    """Why the checks of EvolQuality take it for no evolution."""
    error: str = ""
    """Why there is no answer."""


def read_rows(folder: Path, n: int) -> list[Row]:
    rows: list[Row] = []
    for name in FILES:
        with (folder / "evolving" / f"{name}.jsonl").open(encoding="utf8", newline="\n") as file:
            rows += [json.loads(line) for line in file][:n]
    return rows


def mutation_of(place: int) -> str:
    names = list(default_mutations())
    return names[place % len(names)]


def evolve_plainly(rows: Sequence[Row], lm: Any) -> list[Outcome]:
    """Free text from a plain prompt, with the budget and the guard of the modules."""
    engine = lm.engine
    calls = []
    for place, row in enumerate(rows):
        prompt = PLAIN.format(method=default_mutations()[mutation_of(place)], **row)
        most = Length(max_growth=MAX_GROWTH).most(row["response"])
        rules = TextRules(max_words=most, guard=True, known=row["response"])
        calls.append(
            Call(messages=[("user", prompt)], text=rules, sampling=Sampling(**engine.penalties))
        )
    answers = [future.result() for future in engine.lm.submit_all(calls)]
    outcomes = []
    for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        text = answer.text.strip()
        check = EvolveCheck(
            instruction=row["instruction"],
            response=row["response"],
            original=row["response"],
            template=default_mutations()[mutation_of(place)],
        )
        cut = answer.cut.reason if answer.cut else ""
        outcomes.append(Outcome(text=text, cut=cut, refused=check.fault(text) or ""))
    return outcomes


def evolve_as(rows: Sequence[Row], lm: Any, form: str) -> list[Outcome]:
    """One evolution a row through EvolQuality, all rows in flight."""
    evolve = structq.EvolQuality(form=form, lm=lm)

    async def one(place: int) -> Outcome:
        row = rows[place]
        try:
            found = await evolve.acall(
                instruction=row["instruction"],
                response=row["response"],
                mutation=mutation_of(place),
            )
        except structq.OutputError as error:
            text = said(error.raw)
            if text is None or error.finish_reason != "stop":
                return Outcome(text="", error=str(error))
            return Outcome(text=text, refused=str(error))
        except structq.StructqError as error:
            return Outcome(text="", error=str(error))
        cut = found.metadata["calls"][-1].get("cut", {})
        return Outcome(text=found.evolved_response, cut=cut.get("reason", ""))

    async def every() -> list[Outcome]:
        return await asyncio.gather(*map(one, range(len(rows))))

    return asyncio.run(every())


def said(raw: str) -> str | None:
    """The text of a refused answer, or ``None`` if it is not of its form."""
    if not raw.lstrip().startswith('{"evolved_response"'):
        return raw.strip() or None
    try:
        return str(json.loads(raw)["evolved_response"])
    except ValueError:
        return None


def kept(row: Row, outcome: Outcome) -> float:
    old = set(content_words(row["response"]))
    return len(old & set(content_words(outcome.text))) / len(old) if old else 1.0


def n_added(row: Row, outcome: Outcome) -> int:
    return len(set(content_words(outcome.text)) - set(content_words(row["response"])))


def is_half(row: Row, outcome: Outcome) -> bool:
    return 2 * len(list(content_words(outcome.text))) < len(list(content_words(row["response"])))


def loops(outcome: Outcome) -> bool:
    said = Counter(
        " ".join(content_words(outcome.text[start:end])) for start, end in sentences(outcome.text)
    )
    return any(n >= 3 and len(words.split()) >= 4 for words, n in said.items())


def interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    draws = np.asarray(values)[rng.integers(len(values), size=(4000, len(values)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


HEADER = (
    "form         words kept         difference to plain   "
    "failed  refused  half  few  looped  guarded  budget  added"
)


def report(
    name: str, rows: Sequence[Row], outcomes: Sequence[Outcome], plain: Sequence[float]
) -> None:
    pairs = list(zip(rows, outcomes, strict=True))
    shares = [kept(*pair) for pair in pairs]
    low, high = interval(shares)
    difference = [share - other for share, other in zip(shares, plain, strict=True)]
    d_low, d_high = interval(difference)
    counts = {
        "failed": sum(bool(one.error) for one in outcomes),
        "refused": sum(bool(one.refused) for one in outcomes),
        "half": sum(is_half(*pair) for pair in pairs),
        "few": sum(n_added(*pair) < 5 for pair in pairs),
        "looped": sum(map(loops, outcomes)),
        "guarded": sum(one.cut == "repetition" for one in outcomes),
        "budget": sum(one.cut == "length" for one in outcomes),
        "added": round(float(np.mean([n_added(*pair) for pair in pairs]))),
    }
    figures = "".join(f"{count:>{len(title) + 2}}" for title, count in counts.items())
    print(
        f"{name:<12} {np.mean(shares):.2f} ({low:.2f}-{high:.2f})   "
        f"{np.mean(difference):+.2f} ({d_low:+.2f} to {d_high:+.2f}){figures}"
    )
    for one in outcomes:
        if reason := one.error or one.refused:
            print(f"    {'failed' if one.error else 'refused'}: {reason[:120]!r}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lm", default="smollm2")
    parser.add_argument("--data", default=os.environ.get("STRUCTQ_DATA", "../shared/data"))
    parser.add_argument("--rows", type=int, default=20, help="of each of the two files")
    parser.add_argument("--forms", default="text,json")
    parser.add_argument("--show", type=int, default=0, help="print so many evolutions of each form")
    parser.add_argument("--no-control", action="store_true", help="leave nano out")
    options = parser.parse_args(argv)
    folder = Path(options.data)
    if not (folder / "evolving").is_dir():
        print(f"no data at {folder}: nothing measured (--data DIR)")
        return
    rows = read_rows(folder, options.rows)
    print("command: python benchmarks/structure_tax.py", *(sys.argv[1:] if argv is None else argv))
    print(f"rows: {len(rows)}, greedy, max_growth {MAX_GROWTH}, one attempt")
    for spec in [options.lm, *([] if options.no_control else ["nano"])]:
        lm = structq.lm(spec)
        print(f"\n{lm.model}, its own form: {lm.engine.form}, {lm.engine.penalties}")
        print(HEADER)
        plain: list[float] = []
        forms = ["plain", *options.forms.split(",")] + (["compact"] if spec == "nano" else [])
        for form in forms:
            started = time.perf_counter()
            outcomes = evolve_plainly(rows, lm) if form == "plain" else evolve_as(rows, lm, form)
            plain = plain or [kept(*pair) for pair in zip(rows, outcomes, strict=True)]
            report(form, rows, outcomes, plain)
            print(f"    {time.perf_counter() - started:.0f} s")
            for place in range(options.show):
                print(
                    f"  --- {mutation_of(place)}: {rows[place]['instruction'][:100]}\n"
                    f"  old: {rows[place]['response'][:300]}\n  new: {outcomes[place].text[:600]}"
                )


if __name__ == "__main__":
    main()
