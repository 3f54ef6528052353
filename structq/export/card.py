"""The dataset card: a header that `datasets` reads, and where the rows came from and went."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from structq.export.formats import Feature, Layout
from structq.export.rows import ExportTally
from structq.export.settings import ExportSettings

__all__ = ["code_span", "render_card"]

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def render_card(
    settings: ExportSettings,
    tally: ExportTally,
    layout: Layout,
    *,
    name: str,
    about: Mapping[str, str],
) -> str:
    """The text of a ``README.md``.

    Names and facts are untrusted: each stands in a code span, where no mark means anything.

    Args:
        settings: What was asked for.
        tally: What became of the rows.
        layout: The columns.
        name: Name of the dataset.
        about: Facts that the rows do not say, by title: the file they come from, the LM that
            scored, the seed.
    """
    return "\n".join(
        [*_header(settings, tally, layout), "", *_body(settings, tally, layout, name, about), ""]
    )


def code_span(text: str) -> str:
    """The text as a code span of Markdown, on one line, without invisible characters."""
    shown = "".join(one if one.isprintable() else _escaped(one) for one in text[:200])
    shown += "..." if len(text) > 200 else ""
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    pad = " " if shown[:1] in ("`", " ", "") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _escaped(character: str) -> str:
    return json.dumps(character)[1:-1] if character < "\U00010000" else f"\\U{ord(character):08x}"


def _header(settings: ExportSettings, tally: ExportTally, layout: Layout) -> Iterator[str]:
    """YAML whose every word is fixed, types included: they need not be guessed from the rows."""
    size = next((size for most, size in _SIZES if tally.n_records < most), "n>1M")
    features = layout.shape.features
    if settings.to in ("dpo", "reward") and settings.margin:
        features = [*features, {"name": "margin", "dtype": "float64"}]
    yield "---"
    yield "configs:"
    yield "- config_name: default"
    yield "  data_files:"
    yield "  - split: train"
    yield "    path: train.jsonl"
    yield "dataset_info:"
    yield "  features:"
    yield from _features(features, "  ")
    yield "size_categories:"
    yield f"- {size}"
    yield "tags:"
    yield from (f"- {tag}" for tag in ("structq", settings.to, settings.trainer, "synthetic"))
    yield "---"


def _features(features: list[Feature], indent: str) -> Iterator[str]:
    for feature in features:
        for place, (key, value) in enumerate(feature.items()):
            lead = f"{indent}{'  ' if place else '- '}{key}:"
            if isinstance(value, list):
                yield lead
                yield from _features(value, f"{indent}  ")
            else:
                yield f"{lead} {value}"


def _body(
    settings: ExportSettings,
    tally: ExportTally,
    layout: Layout,
    name: str,
    about: Mapping[str, str],
) -> Iterator[str]:
    yield f"# {code_span(name)}"
    yield ""
    yield f"Data for {settings.to}, in the columns that {settings.trainer} reads, made by structq:"
    yield "responses that an LM evolved and an LM scored; no person has judged them."
    yield ""
    yield "## Where it comes from"
    yield ""
    for title, fact in about.items():
        yield f"- {code_span(title)}: {code_span(fact)}"
    for lm, n in tally.models.most_common():
        yield f"- Written by: {code_span(lm)} ({_n(n, 'row')})"
    if tally.mutations:
        names = sorted(tally.mutations.items())
        yield f"- Mutation templates: {', '.join(f'{code_span(one)} ({n:,})' for one, n in names)}"
    yield ""
    yield "## Where the rows went"
    yield ""
    yield f"- read: {_n(tally.n_rows, 'row')}"
    yield f"- used: {_n(tally.n_used, 'row')}, as {_n(tally.n_records, 'record')}"
    for reason, dropped in tally.dropped.items():
        first = f"the first is row {dropped.first:,}"
        yield f"- dropped, {reason}: {_n(dropped.n, 'row')} ({first})"
    yield from _outcome(settings, tally)
    yield ""
    yield "## How it was made"
    yield ""
    for key, value in settings.model_dump(exclude_none=True).items():
        yield f"- {key}: {code_span(_plain(value))}"
    yield ""
    yield "## How to read it"
    yield ""
    yield f"```{'python' if settings.trainer == 'trl' else 'yaml'}"
    yield layout.reading.replace("NAME", name)
    yield "```"


def _n(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def _outcome(settings: ExportSettings, tally: ExportTally) -> Iterator[str]:
    if settings.to == "kto":
        n_undesirable = tally.n_records - tally.n_desirable
        yield f"- completions: {tally.n_desirable:,} desirable, {n_undesirable:,} undesirable"
    elif tally.margins:
        yield f"- mean margin: {tally.margins / tally.n_records:.3f}"


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
