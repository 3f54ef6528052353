"""A report of 20,000 rows in Chromium: its size, and how long a curator waits.

    python benchmarks/report.py [--rows 20000]

Rows of two evolutions, with words drawn as a language has them (a few often, most rarely), go into
a journal as a run leaves it; `structq report` makes the page; Chromium (`chromium` on the path)
opens it from the disk and is timed by the page's own clock. Memory is the heap of the page's
script, with what lies beside it, after a search over everything.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from structq.journal import Journal, RowState
from structq.report import write_report

MUTATIONS = ("helpfulness", "relevance", "deepening", "creativity", "details")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
LIMITS = {"file, MB": 20, "first rows, s": 1, "sort, s": 0.3, "search, s": 3, "heap, MB": 200}
SORT = """() => new Promise((done) => {
  const start = performance.now();
  document.querySelector("[data-sort=gain]").click();
  requestAnimationFrame(() => setTimeout(() => done((performance.now() - start) / 1000)));
})"""
SEARCH = """(word) => new Promise((done) => {
  const start = performance.now();
  const status = document.getElementById("status");
  new MutationObserver(() => {
    if (status.textContent.includes(" with ")) done((performance.now() - start) / 1000);
  }).observe(status, { childList: true, characterData: true, subtree: true });
  const box = document.getElementById("search");
  box.value = word;
  box.dispatchEvent(new Event("input"));
})"""


def words(rng: np.random.Generator) -> list[str]:
    """A vocabulary of 8,000 words of one to four syllables."""
    syllables = [a + b + c for a in "bdfgklmnprstv" for b in "aeiou" for c in ("", "n", "r", "s")]
    return ["".join(rng.choice(syllables, rng.integers(1, 5))) for _ in range(8_000)]


def rows(n: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows as `structq run` leaves them."""
    rng = np.random.default_rng(seed)
    vocabulary = np.array(words(rng))
    weights = 1 / np.arange(2, len(vocabulary) + 2)
    ends = np.cumsum(weights / weights.sum())

    def text(length: int) -> str:
        found = vocabulary[np.searchsorted(ends, rng.random(length))]
        return " ".join(found).capitalize() + "."

    for number in range(n):
        original = text(int(rng.integers(20, 60)))
        first = f"{original} {text(int(rng.integers(15, 40)))}"
        second = f"{first} {text(int(rng.integers(15, 40)))}"
        spreads = rng.dirichlet((1, 1, 1, 1), 3)
        expected = (spreads * (1, 2, 3, 4)).sum(axis=1)
        failed = rng.random() < 0.02
        names = [MUTATIONS[i] for i in rng.integers(0, 5, 2)]
        usage = [
            {"mutation": name, "usage": {"input_tokens": 150, "output_tokens": 80}, "attempts": 1,
             "finish_reason": "stop", "form": "json"}
            for name in (*names, None)
        ]  # fmt: skip
        error = {"type": "OutputError", "field": None, "message": "the answer was cut off"}
        yield {
            "id": f"row-{number}",
            "instruction": text(int(rng.integers(8, 30))),
            "response": original,
            "responses": None if failed else [original, first, second],
            "scores": None if failed else (spreads.argmax(axis=1) + 1.0).tolist(),
            "expected_scores": None if failed else expected.tolist(),
            "score_distributions": None if failed else [
                {str(i + 1): float(p) for i, p in enumerate(spread)} for spread in spreads
            ],
            "evolved_response": None if failed else second,
            "best_response": None if failed else [original, first, second][expected.argmax()],
            "mutations": None if failed else names,
            "model_name": "made-up",
            "metadata": {"calls": usage, "error": error if failed else None},
        }  # fmt: skip


def make_journal(path: Path, n: int) -> None:
    """The journal that a run over them would leave."""
    with Journal(path, {"structq": "0", "lm": {"model": "made-up"}}) as journal:
        for number, row in enumerate(rows(n)):
            cause = "OutputError: cut off" if row["metadata"]["error"] else None
            state = RowState(digest=b"", shape="", cause=cause)
            journal.finish_row(number, state, json.dumps(row, ensure_ascii=False))


def in_chromium(browser: Any, page_path: Path) -> dict[str, float]:
    """Seconds and megabytes, of a page opened from the disk."""
    page = browser.new_page()
    page.goto(page_path.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=60_000)
    first = page.evaluate("performance.getEntriesByName('rows')[0].startTime / 1000")
    sort = page.evaluate(SORT)
    word = page.evaluate("document.querySelector('tbody td.head').textContent.split(' ')[1]")
    search = page.evaluate(SEARCH, word)
    usage = page.context.new_cdp_session(page).send("Runtime.getHeapUsage")
    sizes = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
    heap = sum(usage.get(name, 0) for name in sizes) / 1e6
    page.close()
    return {"first rows, s": first, "sort, s": sort, "search, s": search, "heap, MB": heap}


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    n = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        journal, page = Path(folder) / "run.jsonl.journal", Path(folder) / "report.html"
        make_journal(journal, n)
        start = time.perf_counter()
        write_report([journal], page, most_rows=n)
        print(f"{n:,} rows, {journal.stat().st_size / 1e6:.0f} MB of journal")
        print(f"report made in {time.perf_counter() - start:.1f} s")
        found = {"file, MB": page.stat().st_size / 1e6}
        if program := shutil.which("chromium"):
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
                found |= in_chromium(browser, page)
                browser.close()
        else:
            print("there is no chromium on the path: nothing is opened")
    for name, value in found.items():
        print(f"{name:14} {value:8.2f}   (at most {LIMITS[name]})")


if __name__ == "__main__":
    main()
