"""Draws `demo.svg`: finished rows, each response with its score and label distribution.

structq demo -o demo_out/responses.jsonl
python docs/picture.py demo_out/responses.jsonl docs/demo.svg
"""

from __future__ import annotations

import json
import sys
import textwrap
from html import escape
from pathlib import Path
from typing import Any

SHOWN = ("password", "guitar", "toddler", "library")
"""Short rows by their id; drawn are the first three that are there and did not fail."""

WIDTH, CARD, GAP, PAD = 920, 350, 20, 14
BARS, LINE, CHARACTERS = 150, 18, 50
INK, PALE, OLD, NEW = "#1f2933", "#66717c", "#9aa5b1", "#2f7d6d"


def text(x: float, y: float, words: str, *, size: int = 13, fill: str = INK, **style: str) -> str:
    more = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}"{more}>{escape(words)}</text>'


def lines_of(response: str) -> list[str]:
    return textwrap.wrap(response, CHARACTERS)


def bars(x: float, y: float, distribution: dict[str, float], colour: str) -> list[str]:
    """One bar a label, as long as its probability."""
    drawn = []
    for place, (label, share) in enumerate(distribution.items()):
        top = y + place * 16
        drawn += [
            text(x, top + 10, label, size=11, fill=PALE),
            f'<rect x="{x + 14}" y="{top + 1}" height="10" width="{share * 60:.1f}"'
            f' fill="{colour}"/>',
            text(x + 18 + share * 60, top + 10, f"{100 * share:.0f} %", size=10, fill=PALE),
        ]
    return drawn


def response(x: float, y: float, row: dict[str, Any], place: int, title: str) -> list[str]:
    """A response under its title, its score and its distribution beside it."""
    colour = NEW if place else OLD
    score = row["expected_scores"][place]
    drawn = [text(x, y + 12, title, size=12, fill=PALE)]
    for i, line in enumerate(lines_of(row["responses"][place])):
        drawn.append(text(x, y + 34 + i * LINE, line))
    at = x + CARD
    drawn.append(text(at, y + 16, f"{score:.2f}", size=19, fill=colour, font_weight="bold"))
    return drawn + bars(at, y + 28, row["score_distributions"][place], colour)


def draw(rows: list[dict[str, Any]]) -> str:
    drawn, y = [], 16
    for row in rows:
        drawn.append(text(PAD, y + 14, row["instruction"], size=15, font_weight="bold"))
        drawn += response(PAD, y + 26, row, 0, "response as it was")
        drawn += response(WIDTH / 2 + PAD / 2, y + 26, row, 1, f"evolved: {row['mutations'][0]}")
        n_lines = max(len(lines_of(one)) for one in row["responses"])
        y += 26 + max(34 + n_lines * LINE, 28 + 16 * len(row["score_distributions"][0])) + GAP
        drawn.append(f'<path d="M{PAD} {y - GAP}H{WIDTH - PAD}" stroke="#dfe3e8"/>')
    drawn.append(
        text(PAD, y + 2, f"expected score and probability of each label, by {model_of(rows[0])}",
             size=11, fill=PALE)
    )  # fmt: skip
    height = y + 14
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            'font-family="Helvetica, Arial, sans-serif">',
            f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def model_of(row: dict[str, Any]) -> str:
    return str(row["model_name"]).removeprefix("structq/").split(".")[0]


def main(source: str, target: str) -> None:
    rows = {row["id"]: row for row in map(json.loads, Path(source).read_text("utf8").splitlines())}
    good = [rows[name] for name in SHOWN if name in rows and rows[name]["scores"] is not None]
    Path(target).write_text(draw(good[:3]), encoding="utf8")


if __name__ == "__main__":
    main(*sys.argv[1:])
